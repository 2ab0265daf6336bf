for i in 0 1 2; do
  [ $i -eq 0 ] && continue
  CUDA_VISIBLE_DEVICES=$i python t.py &
done
