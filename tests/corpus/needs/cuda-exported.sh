export CUDA_VISIBLE_DEVICES=2
python t.py
