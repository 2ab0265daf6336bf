#!/usr/bin/env python3
trainer = Trainer(accelerator="gpu", devices=4, max_epochs=3)
