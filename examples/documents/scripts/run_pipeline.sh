#!/usr/bin/env bash
# Stands for your training: run_pipeline.sh DATASET --uni_id ID
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$here/experiments/$1"
number=$(cat "$here/experiments/experience_number")
echo "$1, experience number $number, uni_id ${3-}, on GPU ${CUDA_VISIBLE_DEVICES-none}" | tee "$here/experiments/$1/result.txt"
