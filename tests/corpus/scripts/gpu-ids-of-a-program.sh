python t.py --gpu_ids 0,1
