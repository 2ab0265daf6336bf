CUDA_VISIBLE_DEVICES=$LIST torchrun --nproc_per_node 2 t.py
