torchrun --nproc_per_node $(echo 0,1,2 | tr ',' '\n' | wc -l) t.py
