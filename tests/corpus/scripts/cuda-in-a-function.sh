run() { CUDA_VISIBLE_DEVICES=$1 python t.py "$2"; }
run 0 a &
run 1 b &
wait
