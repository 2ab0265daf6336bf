torchrun \
  --nnodes 1 \
  --nproc_per_node 2\
  t.py
