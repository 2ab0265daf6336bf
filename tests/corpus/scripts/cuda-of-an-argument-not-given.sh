export CUDA_VISIBLE_DEVICES=$1
python t.py
