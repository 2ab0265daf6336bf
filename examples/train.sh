#!/usr/bin/env bash
#GPUQ --gpus 1 --time 10m
# A stand-in for a training: five "epochs" on one GPU.
set -euo pipefail
echo "training on GPU ${CUDA_VISIBLE_DEVICES:-none}, try ${GPU_QUEUE_TRY:-?} of ${GPU_QUEUE_TASK:-a bare shell}"
for epoch in 1 2 3 4 5; do
    sleep 0.5
    echo "epoch $epoch of 5: loss 0.$((60 / epoch))"
done
echo "done"
