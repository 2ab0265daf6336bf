python t.py --trainer.devices=4
