if [ -n "$CUDA_VISIBLE_DEVICES" ]; then N=8; else N=16; fi
torchrun --nproc_per_node $N t.py
