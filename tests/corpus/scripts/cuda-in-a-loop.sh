for i in 0 1 2; do
  CUDA_VISIBLE_DEVICES=$i python t.py --seed $i &
done
wait
