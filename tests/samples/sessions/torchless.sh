# shellcheck shell=bash # an agent whose Python has no torch
#-
"$PYTHON" -m venv --without-pip ~/plain || exit
export GPU_QUEUE_KEEPALIVE_PYTHON=~/plain/bin/python QUEUE_ROOT=~/gpu_queue
cd ~/gpu-queue || exit
#= start
GPU_QUEUE_SIMULATE=4 ./submit.sh train-exp1
