G=$(echo 3,4 | cut -d, -f2)
CUDA_VISIBLE_DEVICES=$G python t.py
