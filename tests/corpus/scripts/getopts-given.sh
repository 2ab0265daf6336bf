GPU=0
while getopts "g:s:v" opt; do
  case $opt in
    g) GPU=$OPTARG ;;
    s) SEED=$OPTARG ;;
  esac
done
shift $((OPTIND - 1))
CUDA_VISIBLE_DEVICES=$GPU python t.py
