# shellcheck shell=bash disable=SC1091,SC2119,SC2016 # the code is edited while a task waits that has a snapshot of it
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
source "$CODE/client.sh"
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=alice GIT_AUTHOR_EMAIL=alice@example.org
export GIT_COMMITTER_NAME=alice GIT_COMMITTER_EMAIL=alice@example.org
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
mkdir project
script project/train.sh <<'END'
python3 train.py
sleep 60
END
script project/train.py <<'END'
print("lr 0.1", flush=True)
END
cd project && git init -q -b main && git add . && git commit -q -m first && chmod 644 train.py train.sh
sed -i 's/0.1/0.2/' train.py
agent --simulate 1 --no-keepalive
#= submit
gpu_submit --snapshot train.sh
sed -i 's/0.2/0.3/' train.py
#-
until_page '^try\t[^\t]*train.sh[^\t]*\trunning'
until_true grep -q lr "$QUEUE_ROOT/$JOB_ID"/logs/*.log
#= submit
gpu_logs train | grep lr
gpu_explain train
