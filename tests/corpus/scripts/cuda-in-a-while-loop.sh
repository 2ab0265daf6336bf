n=0
while [ $n -lt 3 ]; do
  CUDA_VISIBLE_DEVICES=$n python t.py &
  n=$((n + 1))
done
wait
