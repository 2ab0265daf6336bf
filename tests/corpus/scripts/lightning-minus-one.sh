python t.py --devices -1
