python t.py --accelerator gpu --devices 4
