#!/bin/bash
#SBATCH --gres=gpu:1
#SBATCH --time=2:00:00
#SBATCH --signal=B:USR1@60
once_more() {
    sbatch "$0"
    exit 0
}
trap once_more USR1
python train.py &
wait
