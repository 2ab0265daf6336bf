while true; do
  torchrun --nproc_per_node 4 t.py && break
  sleep 10
done
