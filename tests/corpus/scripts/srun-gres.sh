srun --gres=gpu:2 -n 1 python t.py
