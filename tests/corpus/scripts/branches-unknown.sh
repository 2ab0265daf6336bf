if [ "$MODE" = big ]; then N=8; else N=2; fi
torchrun --nproc_per_node $N t.py
