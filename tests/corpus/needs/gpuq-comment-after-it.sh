#GPUQ --gpus 2  # two of them
