accelerate launch --num_processes=2 t.py
