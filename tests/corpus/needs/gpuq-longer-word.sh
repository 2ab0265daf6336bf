#GPUQUEUE --gpus 4
python train.py
