CUDA_VISIBLE_DEVICES=2,3 ray start --num-gpus 2
