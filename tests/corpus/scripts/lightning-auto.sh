python t.py --trainer.devices auto
