for i in 0 1 2 3; do
  if [ $i -ge 2 ]; then break; fi
  CUDA_VISIBLE_DEVICES=$i python t.py &
done
