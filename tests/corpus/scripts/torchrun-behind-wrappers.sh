nohup timeout 3h env OMP_NUM_THREADS=1 torchrun --nproc_per_node 4 t.py > log 2>&1 &
wait
