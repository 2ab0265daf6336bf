sbatch --gpus-per-node=8 other.sh
