#SBATCH --gpus=2
#SBATCH --gpus=4
