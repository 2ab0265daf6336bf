GPUS=16 GPUS_PER_NODE=8 bash tools/slurm_train.sh part job c.py
