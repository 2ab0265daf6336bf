deepspeed t.py --deepspeed ds.json
