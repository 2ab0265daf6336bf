# shellcheck shell=bash # what is wrong with a config.yaml
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
"$PYTHON" "$CODE/perpetual_motion.py" --job-id train-exp1 --simulate 1 --no-keepalive --until-empty
cat >"$QUEUE_ROOT/$JOB_ID/config.yaml" <<'END'
# $QUEUE_ROOT/train-exp1/config.yaml
auto_shutdown_hours: 48
retires: 2
retry_delay: 1m
infeasible: fail
keepalive:
  gpu_util_high: 101
END
python() { "$PYTHON" "$@"; }
cd ~/gpu-queue || exit
#= wrong
python perpetual_motion.py --job-id train-exp1 --simulate 4 --check | grep PROBLEM
