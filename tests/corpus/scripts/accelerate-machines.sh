accelerate launch --num_machines 6 --num_processes 48 t.py
