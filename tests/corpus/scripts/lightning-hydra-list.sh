python t.py "trainer.devices=[0,1]"
