parallel -j 4 CUDA_VISIBLE_DEVICES={%} python t.py ::: 1 2 3
