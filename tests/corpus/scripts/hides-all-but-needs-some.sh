CUDA_VISIBLE_DEVICES= python prepare.py
torchrun --nproc_per_node 2 t.py
