tmux new-session -d "CUDA_VISIBLE_DEVICES=0,1 python t.py"
