bash tools/dist_train.sh configs/x.py 8
