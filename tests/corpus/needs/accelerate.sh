accelerate launch --num_processes 8 t.py
