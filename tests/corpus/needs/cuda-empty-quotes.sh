export CUDA_VISIBLE_DEVICES=""
python cpu.py
