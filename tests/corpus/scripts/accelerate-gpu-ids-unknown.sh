accelerate launch --gpu_ids $IDS --num_processes 2 t.py
