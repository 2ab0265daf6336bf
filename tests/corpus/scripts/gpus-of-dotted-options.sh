#!/bin/bash
python3 -m rl.train \
  --ref.num_nodes 1 --ref.num_gpus_per_node 4 \
  --actor.num_nodes 1 --actor.num_gpus_per_node 8 --vllm.tensor_parallel_size 2
