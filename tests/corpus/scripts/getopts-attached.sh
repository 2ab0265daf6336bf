while getopts g: opt; do GPU=$OPTARG; done
CUDA_VISIBLE_DEVICES=$GPU python t.py
