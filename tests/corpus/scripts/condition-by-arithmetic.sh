if (( $# == 0 )); then N=2; else N=8; fi
torchrun --nproc_per_node $N t.py
