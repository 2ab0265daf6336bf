torchrun --nproc_per_node $(echo $CUDA_VISIBLE_DEVICES | tr ',' '\n' | wc -l) t.py
