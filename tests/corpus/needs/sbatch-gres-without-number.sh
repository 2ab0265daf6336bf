#SBATCH --gres=gpu
