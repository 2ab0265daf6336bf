cmd="torchrun --nproc_per_node=2 t.py"
echo $cmd
eval $cmd
