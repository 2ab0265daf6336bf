N=3
let N+=1
((M = N))
torchrun --nproc_per_node $M t.py
