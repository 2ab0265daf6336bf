if [ $1 = a ]; then N=2; elif [ $1 = b ]; then N=4; else N=8; fi
torchrun --nproc_per_node $N t.py
