deepspeed --include localhost:6,7 t.py
