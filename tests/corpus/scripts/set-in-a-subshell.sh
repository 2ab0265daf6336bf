N=2
(N=8; echo $N)
torchrun --nproc_per_node $N t.py
