srun -N 2 --gres=gpu:8 python t.py
