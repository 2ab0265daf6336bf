grep -r --num_gpus 8 src
