deepspeed --num_gpus 4 t.py --num_gpus 2
