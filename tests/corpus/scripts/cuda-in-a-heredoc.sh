cat <<EOF > other.sh
export CUDA_VISIBLE_DEVICES=7
torchrun --nproc_per_node 8 t.py
EOF
python t.py
