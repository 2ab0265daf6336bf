ARGS=(
  --nnodes 1
  --nproc_per_node 4   # all of them
)
torchrun "${ARGS[@]}" t.py
