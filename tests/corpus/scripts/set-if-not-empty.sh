N=4
test -n "$1" && N=$1
torchrun --nproc_per_node $N t.py
