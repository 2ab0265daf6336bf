env -u CUDA_VISIBLE_DEVICES deepspeed --include localhost:$CUDA_VISIBLE_DEVICES t.py
