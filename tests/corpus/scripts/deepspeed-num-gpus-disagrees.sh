deepspeed --num_gpus 4 t.py
