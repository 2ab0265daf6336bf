NODES=1; PER=8
TOTAL=$(( NODES * PER ))
torchrun --nproc_per_node=$TOTAL t.py
