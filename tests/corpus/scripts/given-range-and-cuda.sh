export CUDA_VISIBLE_DEVICES=4,5
python t.py
