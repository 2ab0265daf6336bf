#SBATCH --gres=shard:4
python t.py
