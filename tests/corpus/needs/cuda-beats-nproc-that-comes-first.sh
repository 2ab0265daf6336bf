torchrun --nproc_per_node 4 t.py
CUDA_VISIBLE_DEVICES=1 python eval.py
