docker run --gpus '"device=2"' image python t.py
