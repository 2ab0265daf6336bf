#!/usr/bin/env bash
# Stands for your training.
echo "run.sh on GPU ${CUDA_VISIBLE_DEVICES-none}"
