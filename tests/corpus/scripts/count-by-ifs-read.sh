IFS=',' read -ra GPUS <<< "$CUDA_VISIBLE_DEVICES"
torchrun --nproc_per_node ${#GPUS[@]} t.py
