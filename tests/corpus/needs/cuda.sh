#!/bin/bash
CUDA_VISIBLE_DEVICES=0,1 swift sft \
    --model x
