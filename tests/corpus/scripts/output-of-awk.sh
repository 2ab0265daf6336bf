N=$(echo 4,5,6 | awk -F, '{print NF}')
torchrun --nproc_per_node $N t.py
