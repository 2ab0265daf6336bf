srun --gpus-per-task=2 -n 2 python t.py
