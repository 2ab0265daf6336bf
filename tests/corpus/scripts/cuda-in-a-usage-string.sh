usage() { echo "usage: CUDA_VISIBLE_DEVICES=0,1 $0"; }
echo "run with CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc_per_node 8"
python t.py
