vllm serve some/model --tensor-parallel-size 4 --port 8000
