#!/bin/bash
# A training over two nodes with eight GPUs each: gpu_submit two-nodes.sh train.py --lr 1e-4 (docs/gangs.md)
#GPUQ --nodes 2 --gpus 8
set -eu

echo "node $NODE_RANK of $NNODES, rank 0 is at $MASTER_ADDR:$MASTER_PORT"
# Started on each of the nodes; what only one is to do stands behind a question.
if [ "$NODE_RANK" = 0 ]; then mkdir -p checkpoints; fi

torchrun --nnodes "$NNODES" --node-rank "$NODE_RANK" --nproc-per-node "$NPROC_PER_NODE" \
  --master-addr "$MASTER_ADDR" --master-port "$MASTER_PORT" "$@"
