# shellcheck shell=bash disable=SC1091,SC2119 # of two nodes one dies
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=train-exp1
source "$CODE/client.sh"
script train.sh <<'END'
sleep 60
END
agent --simulate 1 --no-keepalive --node-name gpu1 --local-dir "$HOME/.gpu1"
gpu_submit train.sh >/dev/null
until_page '^try\t[^\t]*train.sh[^\t]*\trunning'
agent --simulate 1 --no-keepalive --node-name gpu2 --local-dir "$HOME/.gpu2"
# It has its hands full, so that the task waits however fast the machine is.
script other.sh <<'END'
sleep 60
END
gpu_submit other.sh >/dev/null
until_page '^try\t[^\t]*other.sh[^\t]*\trunning'
# As a node that loses its power: the agent, the shim and the script.
# shellcheck disable=SC2153 # of whoever runs this
kill -9 "${AGENTS[0]}"
grep -lsF "$HOME/.gpu1" /proc/[0-9]*/cmdline | cut -d / -f 3 | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
{ wait "${AGENTS[0]}"; } 2>/dev/null
# What three minutes are to whoever looks: the age of its page.
touch -d '3 minutes ago' "$QUEUE_ROOT/$JOB_ID"/nodes/gpu1-*
until_page '^watch\tgpu1'
#= forget
gpu_explain train
gpu_forget gpu1
gpu_forget gpu1 --force
