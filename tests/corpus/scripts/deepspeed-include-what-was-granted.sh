deepspeed --include localhost:$CUDA_VISIBLE_DEVICES t.py
