gpus="4,5"
export CUDA_VISIBLE_DEVICES="${gpus}"
python t.py
