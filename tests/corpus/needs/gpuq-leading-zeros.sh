#GPUQ --gpus 08
