python3 -m verl.trainer.main_ppo trainer.n_gpus_per_node=8 trainer.nnodes=2
