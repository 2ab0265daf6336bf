accelerate launch --num_machines=1 --num_processes=4 --mixed_precision bf16 t.py
