#  GPUQ --gpus 3
# GPUQ
# GPUQ-ish --gpus 3
python t.py
