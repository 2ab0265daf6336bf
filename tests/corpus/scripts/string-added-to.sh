ARGS="--nnodes 1"
ARGS+=" --nproc_per_node 4"
torchrun $ARGS t.py
