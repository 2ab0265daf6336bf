#!/bin/bash
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1          # one launcher a node
#SBATCH --gres=gpu:4
GPUS_PER_NODE=4
NNODES=16
export LAUNCHER="python -u -m torch.distributed.launch --nproc_per_node $GPUS_PER_NODE --nnodes $NNODES"
srun --jobid $SLURM_JOBID bash -c '$LAUNCHER --node_rank $SLURM_PROCID pretrain.py' 2>&1 | tee -a log.txt
