CUDA_VISIBLE_DEVICES=2,3 python t.py --num_gpus 2
