i=0
until [ $i -ge 2 ]; do CUDA_VISIBLE_DEVICES=$i python t.py; ((i++)); done
