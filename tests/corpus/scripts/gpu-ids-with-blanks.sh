python t.py --gpu-ids 0 1 2 --work-dir w
