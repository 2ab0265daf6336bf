# shellcheck shell=bash disable=SC1091,SC2119,SC2016 # the commands, one after the other, without the keep-alive
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
source "$CODE/client.sh"
script train.sh <<'END'
#!/bin/bash
#GPUQ --gpus 2 --time 4h
echo "training on GPUs $CUDA_VISIBLE_DEVICES"
for epoch in 1 2 3; do sleep 1; echo "epoch $epoch"; done
END
script eval.sh <<'END'
#!/bin/bash
echo "evaluating on GPU $CUDA_VISIBLE_DEVICES"
sleep 2
echo "cannot open checkpoint.pt" >&2
exit 1
END
script big.sh <<'END'
torchrun --nproc_per_node 4 big.py
END
script step1.sh <<'END'
sleep 60
END
script step2.sh <<'END'
sleep 1
END
script plot.sh <<'END'
#GPUQ --gpus 0
sleep 1
END
agent --simulate 4 --no-keepalive
#= submit
gpu_submit train.sh
gpu_submit eval.sh 001
gpu_submit big.sh
gpu_run 'python3 -c "print(6*7)"' --gpus 0
#-
until_page '^try\t[^\t]*(train|eval).sh[^\t]*\trunning' 2
until_page '^wait\t.*big.sh'
until_true compgen -G "$QUEUE_ROOT/$JOB_ID/done/*python3*"
until_no_page '^try\t.*python3'
#= status
gpu_status
#= plain
gpu_status --plain | awk -F '\t' '$1 == "task" {print $2, $12, $13}'
#= explain
gpu_explain big
#-
gpu_cancel big >/dev/null
#= tail
gpu_tail train
#= wait
gpu_wait eval train
#= wait
gpu_logs
#= failed
gpu_explain eval
#= queue
gpu_submit step1.sh step2.sh --queue car --gpus 1
gpu_submit plot.sh --after step2
#-
until_page '^try\t[^\t]*step1.sh[^\t]*\trunning'
until_page '^wait\t.*(step2|plot).sh' 2
#= steer
gpu_explain step2
gpu_explain plot
gpu_priority plot 100
#-
gpu_pause >/dev/null
#= steer
gpu_stop step1
gpu_cancel plot
gpu_retry eval
#-
gpu_cancel step2 >/dev/null
for seed in 1 2 3; do script "seed$seed.sh" <<<'sleep 1'; done
#= many
gpu_submit seed1.sh seed2.sh seed3.sh --queue sweep
gpu_priority 'seed[12]*' 100
#< y
gpu_cancel --queue sweep --yes
#-
gpu_resume >/dev/null
gpu_wait eval >/dev/null
#= whole
gpu_pause 'maintenance at noon'
gpu_resume
gpu_clean --older-than 7d --dry-run
#-
(export JOB_ID=exp0 && gpu_submit plot.sh && gpu_cancel plot) >/dev/null 2>&1
#= instances
gpu_list
gpu_use train-exp2
#-
gpu_use train-exp1
gpu_submit step1.sh >/dev/null
until_page '^try\t[^\t]*step1.sh[^\t]*\trunning'
#= shutdown
gpu_shutdown
