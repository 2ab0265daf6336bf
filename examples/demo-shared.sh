#!/usr/bin/env bash
# A server of eight GPUs that several people share, of which two are competed for: three queues, six tasks.
# `make demo-shared` runs it.  The GPUs are simulated, and so are the other people.
# shellcheck disable=SC2119  # the client's functions do not mean this script's arguments
set -euo pipefail
JOB_ID=demo-shared
# shellcheck source=examples/demo-lib.sh
source "$(dirname -- "$0")/demo-lib.sh"
export LC_ALL=${LC_ALL-C.UTF-8} GPU_QUEUE_SIMULATE_FILE="$QUEUE_ROOT/others.json"

others() { # JSON: what the other people do from now on
    printf '%s\n' "$1" >"$GPU_QUEUE_SIMULATE_FILE.new"
    mv "$GPU_QUEUE_SIMULATE_FILE.new" "$GPU_QUEUE_SIMULATE_FILE"
}

# Somebody trains on GPUs 0 to 3, and on 7, which we compete for.
busy='"used": "18G", "utilization": 97'
others "{\"0\": {$busy}, \"1\": {$busy}, \"2\": {$busy}, \"3\": {$busy}, \"7\": {$busy}}"
mkdir -m 700 "$QUEUE_ROOT/$JOB_ID"
say "cp examples/shared/config.yaml \$QUEUE_ROOT/$JOB_ID/"
cp "$code/examples/shared/config.yaml" "$QUEUE_ROOT/$JOB_ID/"

agent_flags+=(--simulate 8x24G)
start_agent

say "gpu_load examples/shared/command/command_gpu.txt"
gpu_load "$code/examples/shared/command/command_gpu.txt"

tasks_in() { find "$QUEUE_ROOT/$JOB_ID/$1" -type f -name "[!.]*" | wc -l; }
until_ended() { # N: so many tasks are done, or one has failed
    for _ in $(seq 600); do
        if [ "$(tasks_in "done")" -ge "$1" ] || [ "$(tasks_in failed)" -gt 0 ]; then return; fi
        sleep 0.1
    done
    echo "nothing has ended for a minute" >&2
    return 1
}

until_run() { # N: so many tasks run, and it is told
    for _ in $(seq 300); do
        if [ "$(cat "$QUEUE_ROOT/$JOB_ID/nodes"/*.tsv | grep -c '^try.*running')" -ge "$1" ]; then return; fi
        sleep 0.1
    done
    echo "nothing has begun for half a minute" >&2
    return 1
}

say "gpu_status        # somebody else has GPU 7"
until_run 1
gpu_status
until_ended 1
say "gpu_status        # he has gone: two queues at once"
others "{\"0\": {$busy}, \"1\": {$busy}}"
until_run 2
gpu_status
until_ended 3
say "gpu_status        # half of it is done"
gpu_status
until_ended 6

sleep 2 # until it is told
say "gpu_status        # all of it"
gpu_status
echo
echo "what ran where, in the order of the starts:"
python3 - "$QUEUE_ROOT/$JOB_ID" <<'END'
import glob, json, sys
tries = []
for path in glob.glob(sys.argv[1] + "/records/*.try*.json"):
    with open(path) as file:
        tries.append(json.load(file))
for one in sorted(tries, key=lambda one: one["started_at"]):
    where = ", ".join(map(str, one["gpu_indices"]))
    print(f"  {one['started_at'][11:19]}  {one.get('name', ''):16}  GPU {where}  {one.get('outcome', '')}")
END
end_agent
