#SBATCH --gpus=a100:8
