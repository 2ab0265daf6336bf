vllm serve some/model -tp 4 -pp 2
