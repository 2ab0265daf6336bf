python - <<EOF
import os
os.environ["CUDA_VISIBLE_DEVICES"] = "1"
EOF
