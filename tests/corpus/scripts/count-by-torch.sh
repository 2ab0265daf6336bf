N=$(python -c "import torch; print(torch.cuda.device_count())")
torchrun --nproc_per_node $N t.py
