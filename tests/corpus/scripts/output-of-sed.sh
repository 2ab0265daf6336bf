N=`echo "4,5" | sed 's/,/ /g' | wc -w`
torchrun --nproc_per_node $N t.py
