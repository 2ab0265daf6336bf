old() { CUDA_VISIBLE_DEVICES=7 python t.py; }
python t.py
