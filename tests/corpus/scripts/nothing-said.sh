set -e
source env.sh
python t.py --lr 1e-3 --epochs 8
