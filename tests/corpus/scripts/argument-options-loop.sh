while [[ $# -gt 0 ]]; do
  case $1 in
    --gpus) GPUS="$2"; shift 2 ;;
    --config) CONFIG="$2"; shift 2 ;;
    *) shift ;;
  esac
done
torchrun --nproc_per_node "$GPUS" t.py
