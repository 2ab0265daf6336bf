for ((i = 0; i < 6; i++)); do
  CUDA_VISIBLE_DEVICES=$((i % 2)) python t.py $i &
done
wait
