for g; do CUDA_VISIBLE_DEVICES=$g python t.py & done
