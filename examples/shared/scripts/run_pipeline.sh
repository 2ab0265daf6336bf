#!/usr/bin/env bash
# Stands in for a training: run_pipeline.sh DATASET EXPERIMENT SECONDS [--uni_id ID]
set -euo pipefail
dataset=$1 experiment=$2 seconds=$3
echo "$dataset, experiment $experiment, on GPU ${CUDA_VISIBLE_DEVICES-none}"
for ((step = 1; step <= seconds; step++)); do
    sleep 1
    echo "step $step of $seconds"
done
