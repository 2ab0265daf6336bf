unset CUDA_VISIBLE_DEVICES
python t.py
