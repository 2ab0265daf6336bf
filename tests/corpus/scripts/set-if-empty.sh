N=$1
[ -z "$N" ] && N=4
torchrun --nproc_per_node $N t.py
