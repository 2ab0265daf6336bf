accelerate launch --cpu --num_processes 4 t.py
