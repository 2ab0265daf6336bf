GPUS_PER_NODE=8
DISTRIBUTED_ARGS="
    --nproc_per_node $GPUS_PER_NODE
    --nnodes 1
"
torchrun $DISTRIBUTED_ARGS pretrain.py
