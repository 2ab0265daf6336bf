python tools/train_net.py --num-gpus 8 --config-file c.yaml
