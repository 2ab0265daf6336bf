python t.py --n_gpu 2
