job() { torchrun --nproc_per_node 4 t.py; }
export -f job
parallel job ::: 1 2
