deepspeed t.py
