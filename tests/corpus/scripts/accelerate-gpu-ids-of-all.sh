accelerate launch --gpu_ids all --num_processes 4 t.py
