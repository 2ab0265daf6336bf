python prepare.py --num_processes 16
