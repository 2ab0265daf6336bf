if [ $# -lt 1 ]; then N=2; else N=$1; fi
torchrun --nproc_per_node $N t.py
