python t.py
