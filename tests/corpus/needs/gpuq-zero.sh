#GPUQ --gpus 0
