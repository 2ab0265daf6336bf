deepspeed --include="localhost:6,7" --master_port 29501 t.py
