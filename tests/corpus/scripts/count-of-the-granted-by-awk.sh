NGPU=$(echo "$CUDA_VISIBLE_DEVICES" | awk -F',' '{print NF}')
torchrun --nproc_per_node $NGPU t.py
