case "$1" in
  small) N=1 ;;
  large|huge) N=8 ;;
  *) N=2 ;;
esac
torchrun --nproc_per_node $N t.py
