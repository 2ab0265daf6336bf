CONFIG=$1
GPUS=${2:-4}
python -m torch.distributed.launch --nproc_per_node=$GPUS train.py $CONFIG
