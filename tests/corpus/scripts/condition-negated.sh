A=1; N=2
if ! [ $A = 1 ]; then N=8; fi
if [ ! $A = 1 ]; then N=16; fi
torchrun --nproc_per_node $N t.py
