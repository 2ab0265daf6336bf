# shellcheck shell=bash disable=SC1091,SC2119 # needs torch: the keep-alive on simulated GPUs
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
source "$CODE/client.sh"
agent --simulate 4
until_held 4
#= keepalive
gpu_keepalive
gpu_keepalive off 'the room is too hot'
#-
gpu_keepalive on >/dev/null
script train.sh <<'END'
sleep 4
END
gpu_submit train.sh --gpus 2 >/dev/null
gpu_wait train >/dev/null
gpu_shutdown >/dev/null
wait
#= report
gpu_report
gpu_report --by-gpu
