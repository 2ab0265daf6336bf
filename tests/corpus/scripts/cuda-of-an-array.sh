GPUS=(5 6 7)
for i in "${!GPUS[@]}"; do
  CUDA_VISIBLE_DEVICES=${GPUS[$i]} python t.py $i &
done
wait
