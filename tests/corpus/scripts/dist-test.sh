./tools/dist_test.sh configs/x.py work/latest.pth 4 --eval mAP
