NGPU=8
torchrun --nproc_per_node $NGPU t.py
