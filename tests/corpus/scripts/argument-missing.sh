GPUS=$2
python -m torch.distributed.launch --nproc_per_node=$GPUS train.py $1
