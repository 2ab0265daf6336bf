CUDA_VISIBLE_DEVICES= python prepare.py
CUDA_VISIBLE_DEVICES=3 python train.py
