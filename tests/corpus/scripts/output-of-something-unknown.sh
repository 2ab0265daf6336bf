torchrun --nproc_per_node $(echo $UNSET | wc -w) t.py
