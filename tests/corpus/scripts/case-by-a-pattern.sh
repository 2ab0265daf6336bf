case $1 in
  bert-*) N=2 ;;
  gpt-*) N=8 ;;
esac
torchrun --nproc_per_node $N t.py
