python -m deepspeed.launcher.runner --num_gpus 2 t.py
