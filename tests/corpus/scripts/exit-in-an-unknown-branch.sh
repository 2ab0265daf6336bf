if [ -z "$DATA" ]; then
  echo "no data"
  exit 1
fi
torchrun --nproc_per_node 4 t.py
