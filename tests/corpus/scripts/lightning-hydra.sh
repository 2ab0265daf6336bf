python t.py trainer.devices=4 trainer=ddp
