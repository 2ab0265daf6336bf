CUDA_VISIBLE_DEVICES=-1 python cpu.py
