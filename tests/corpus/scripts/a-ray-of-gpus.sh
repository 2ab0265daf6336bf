ray start --head --num-gpus=8
python t.py
