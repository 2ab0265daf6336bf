# shellcheck shell=bash disable=SC1091,SC2016,SC2119 # needs torch: the first minutes with an agent, as the README tells them
#-
cd ~/gpu-queue || exit
#= start
export QUEUE_ROOT=~/gpu_queue
GPU_QUEUE_SIMULATE=4 ./submit.sh train-exp1
#-
export JOB_ID=train-exp1
until_held 4
#= submit
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
source client.sh
gpu_submit examples/train.sh
gpu_run 'python3 -c "print(6*7)"' --gpus 4
#-
until_page '^try\t[^\t]*train.sh.try1[^\t]*\trunning'
until_page '^wait\t.*python3'
#= status
gpu_status
#= tail
gpu_tail train
#-
gpu_wait >/dev/null
#= end
gpu_shutdown
