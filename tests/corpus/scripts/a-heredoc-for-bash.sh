bash <<'EOF'
torchrun --nproc_per_node 4 t.py
EOF
