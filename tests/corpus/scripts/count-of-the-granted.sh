NGPU=$(echo $CUDA_VISIBLE_DEVICES | tr ',' '\n' | wc -l)
torchrun --nproc_per_node $NGPU t.py
