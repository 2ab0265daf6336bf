#!/usr/bin/env bash
# Stands for yours: set_hyperparameters.sh --experience_number N
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$here/experiments"
echo "$2" >"$here/experiments/experience_number"
