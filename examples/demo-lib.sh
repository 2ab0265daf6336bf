# shellcheck shell=bash
# What the demonstrations share: a directory of their own, an agent, the client.  Sourced with JOB_ID set.
code=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
QUEUE_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/gpu-queue-demo.XXXXXX")
export JOB_ID QUEUE_ROOT
agent_flags=(--lifetime 1h --local-dir "$QUEUE_ROOT/.node")
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

start_agent() { # until it serves
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
}

end_agent() {
    say "gpu_shutdown"
    # shellcheck disable=SC2119  # the client's functions do not mean this script's arguments
    gpu_shutdown
    wait "$agent"
    agent=
    echo
    echo "the demo is over; nothing of it is left running"
}
