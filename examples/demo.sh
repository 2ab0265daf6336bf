#!/usr/bin/env bash
# The whole way once, on this machine: an agent, a task, its log, the end.  `make demo` runs it.
# shellcheck disable=SC2119  # the client's functions do not mean this script's arguments
set -euo pipefail
code=$(cd -- "$(dirname -- "$0")/.." && pwd)
export JOB_ID=demo
QUEUE_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/gpu-queue-demo.XXXXXX")
export QUEUE_ROOT
agent_flags=(--no-keepalive --lifetime 1h --local-dir "$QUEUE_ROOT/.node")
agent=

cleanup() {
    if [ -n "$agent" ] && kill -0 "$agent" 2>/dev/null; then
        kill "$agent" 2>/dev/null || true
        wait "$agent" || true
    fi
    rm -rf -- "$QUEUE_ROOT"
}
trap cleanup EXIT

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR-}" ]; then
    say() { printf '\n$ %s\n' "$*"; }
fi

if ! python3 "$code/perpetual_motion.py" "${agent_flags[@]}" --check >/dev/null 2>&1; then
    echo "no usable NVIDIA GPU here: the demo simulates four"
    agent_flags+=(--simulate 4)
fi

say "perpetual_motion.py --job-id $JOB_ID ${agent_flags[*]} &"
python3 "$code/perpetual_motion.py" "${agent_flags[@]}" >"$QUEUE_ROOT/agent.out" 2>&1 &
agent=$!
for _ in $(seq 150); do
    if compgen -G "$QUEUE_ROOT/$JOB_ID/nodes/*.tsv" >/dev/null; then break; fi
    if ! kill -0 "$agent" 2>/dev/null; then
        cat "$QUEUE_ROOT/agent.out"
        exit 1
    fi
    sleep 0.1
done
cat "$QUEUE_ROOT/agent.out"

say "source client.sh"
# shellcheck source=client.sh
source "$code/client.sh"

say "gpu_submit examples/train.sh"
task=$(gpu_submit "$code/examples/train.sh")
echo "$task"

say "gpu_tail train"
gpu_tail "$task"

say "gpu_wait train"
gpu_wait "$task"

say "gpu_status"
gpu_status

say "gpu_logs train"
gpu_logs "$task"

say "gpu_shutdown"
gpu_shutdown
wait "$agent"
agent=
echo
echo "the demo is over; nothing of it is left running"
