#SBATCH --time=4:00:00
#SBATCH -p long
torchrun --nproc_per_node 4 t.py
