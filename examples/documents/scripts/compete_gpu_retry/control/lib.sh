# shellcheck shell=bash
# What run.sh and shut_down.sh share: the settings, and how gpu-queue is called.

PROJECT=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
SETTINGS=$PROJECT/config/control_setting.yaml

# The value of a key; $2 where it has none.
setting() {
  local value
  value=$(sed -nE "s/^$1:[[:space:]]*//p" "$SETTINGS" | sed -E '1!d; s/(^|[[:space:]]+)#.*$//; s/[[:space:]]+$//; s/^"(.*)"$/\1/')
  printf %s "${value:-$2}"
}

# The Python that has gpu-queue: of the checkout in which this file lies, else one that was installed.
find_python() {
  local root=$PROJECT
  while [[ -n $root && ! -f $root/gpu_queue/cli.py ]]; do root=${root%/*}; done
  if [[ -n $root ]]; then
    PYTHON=$root/.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=python3
    export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
  else
    PYTHON=python3
  fi
  "$PYTHON" -c 'import gpu_queue' 2>/dev/null || {
    printf '%s: %s has no gpu-queue: %s\n' "${0##*/}" "$PYTHON" "pip install 'gpu-queue[console]'" >&2
    exit 1
  }
}

# gpu-queue console with the settings, and these flags.
console() {
  local words=("--host=$(setting host 127.0.0.1)" "--port=$(setting port 29214)" "--job-id=$(setting job_id compete_gpu)") root
  root=$(setting queue_root '')
  [[ -z $root ]] || words+=("--queue-root=$root")
  [[ $(setting start_agents false) != true ]] || words+=(--start-agents)
  "$PYTHON" -c 'import sys; from gpu_queue.cli import main; sys.exit(main())' console "${words[@]}" "$@"
}
