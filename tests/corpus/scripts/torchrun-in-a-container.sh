singularity exec --nv image.sif torchrun --nproc_per_node=4 t.py
