python t.py  # CUDA_VISIBLE_DEVICES=7 torchrun --nproc_per_node 8
