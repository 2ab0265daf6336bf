#SBATCH --gres=tmp:10G,gpu:a100:4,shard:1
