deepspeed --num_gpus 2 a.py
accelerate launch --num_processes 3 b.py
torchrun --nproc_per_node 4 c.py
