python t.py fit --trainer.devices 4 --trainer.strategy ddp
