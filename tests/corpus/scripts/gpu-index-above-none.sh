python t.py --gpu 3
