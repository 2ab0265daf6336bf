A=1; B=2; N=2
if [[ $A == 1 && $B == 3 ]]; then N=8; fi
[[ $A == 2 || $B == 3 ]] && N=16
torchrun --nproc_per_node $N t.py
