GPUS_PER_NODE=8
./start.sh
