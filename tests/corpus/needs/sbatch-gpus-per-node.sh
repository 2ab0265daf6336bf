#SBATCH --nodes=1 --gpus-per-node=4
