deepspeed --hostfile hosts.txt t.py
