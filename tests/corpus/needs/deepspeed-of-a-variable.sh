deepspeed --num_gpus $N t.py
