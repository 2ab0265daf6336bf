G="4 5"
CUDA_VISIBLE_DEVICES=${G// /,} python t.py
