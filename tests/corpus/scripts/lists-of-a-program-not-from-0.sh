python t.py --gpu_ids 2,3
