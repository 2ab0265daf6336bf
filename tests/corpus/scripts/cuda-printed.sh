printf 'CUDA_VISIBLE_DEVICES=0,1 %s\n' x
python t.py
