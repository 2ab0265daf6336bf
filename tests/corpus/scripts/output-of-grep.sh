N=$(( $(echo 4,5,6 | grep -o , | wc -l) + 1 ))
torchrun --nproc_per_node $N t.py
