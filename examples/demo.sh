#!/usr/bin/env bash
# The whole way once, on this machine: an agent, a task, its log, the end.  `make demo` runs it.
# shellcheck disable=SC2119  # the client's functions do not mean this script's arguments
set -euo pipefail
JOB_ID=demo
# shellcheck source=examples/demo-lib.sh
source "$(dirname -- "$0")/demo-lib.sh"

agent_flags+=(--no-keepalive)
if ! python3 "$code/perpetual_motion.py" "${agent_flags[@]}" --check >/dev/null 2>&1; then
    echo "no usable NVIDIA GPU here: the demo simulates four"
    agent_flags+=(--simulate 4)
fi

start_agent

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

end_agent
