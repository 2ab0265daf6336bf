CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc_per_node 2 a.py &
CUDA_VISIBLE_DEVICES=2,3 torchrun --nproc_per_node 2 b.py &
wait
