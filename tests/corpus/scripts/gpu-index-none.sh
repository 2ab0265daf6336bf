python t.py --gpu 0
