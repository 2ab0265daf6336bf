#GPUQ --gpus 2-2
