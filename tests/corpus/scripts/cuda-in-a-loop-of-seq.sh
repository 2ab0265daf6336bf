for i in $(seq 0 1)
do
    export CUDA_VISIBLE_DEVICES=$i
    python t.py
done
