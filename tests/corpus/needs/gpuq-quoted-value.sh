#GPUQ --queue "car" --gpus '2'
