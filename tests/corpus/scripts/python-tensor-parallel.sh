#!/usr/bin/env python3
llm = LLM(model="m", tensor_parallel_size=4)
