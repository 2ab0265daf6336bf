#SBATCH --gres gpu:2
