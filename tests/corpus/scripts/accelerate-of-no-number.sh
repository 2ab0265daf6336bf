accelerate launch --config_file c.yaml t.py
