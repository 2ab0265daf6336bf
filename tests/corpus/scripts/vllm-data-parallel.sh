vllm serve m --tensor-parallel-size 2 --data-parallel-size 2
