GPU=0
while getopts "g:s:v" opt; do
  case $opt in
    g) GPU=$OPTARG ;;
    s) SEED=$OPTARG ;;
  esac
done
CUDA_VISIBLE_DEVICES=$GPU python t.py
