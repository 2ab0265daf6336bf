deepspeed --num_gpus 2 t.py
