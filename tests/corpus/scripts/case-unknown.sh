case "$MODE" in
  small) N=1 ;;
  *) N=8 ;;
esac
torchrun --nproc_per_node $N t.py
