IFS=, read -ra G <<< "6,7"
for g in "${G[@]}"; do CUDA_VISIBLE_DEVICES=$g python t.py & done
