for gpu in {0..3}; do CUDA_VISIBLE_DEVICES=$gpu nohup python t.py > log.$gpu 2>&1 & done
wait
