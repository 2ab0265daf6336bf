if false; then
  export CUDA_VISIBLE_DEVICES=7
fi
python t.py
