#GPUQ --gpus 2
#GPUQ --gpus 3
