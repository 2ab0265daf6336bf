G[0]=4
G[1]=5
for g in ${G[@]}; do CUDA_VISIBLE_DEVICES=$g python t.py & done
