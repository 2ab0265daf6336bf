NNODES=2 NODE_RANK=0 NPROC_PER_NODE=8 swift sft --model m
