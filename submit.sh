#!/usr/bin/env bash
# Start an agent that serves the queue of a JOB_ID.
#
#   ./submit.sh JOB_ID [GPUS] [NODES] [--way local] [--dry-run] [-- flags for perpetual_motion.py]
#
#   ./submit.sh train-exp1                  the first 2 GPUs of this machine
#   ./submit.sh train-exp1 4                the first 4
#   ./submit.sh train-exp1 all              all of them; each time of those that CUDA_VISIBLE_DEVICES grants, if set
#   ./submit.sh train-exp1 2 -- --gpus 2,3 --lifetime 48h
#   GPU_QUEUE_SIMULATE=4 ./submit.sh demo   without a GPU, to try it out
#
#   --way WAY    where agents are started (also $SUBMIT_WAY):
#                local   one, on this machine, in the background; it survives the terminal
#   --dry-run    print what would be run, and run nothing
#
# The queue outlives its agents: start another with the same JOB_ID, and it goes on.
# Exit status: 0 the agent serves; 1 it ended; 100 a wrong argument or setting; 111 it is still starting.

set -uo pipefail

# ---- Settings: edit them here, or give them in the environment ------------------------------------------------
CODE_DIR="${CODE_DIR:-$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")}" # where perpetual_motion.py lies
QUEUE_ROOT="${QUEUE_ROOT:-$HOME/gpu_queue}" # the queues, on storage that all machines share
CONDA_PATH="${CONDA_PATH:-}"                # …/conda/bin/activate, if conda is used
CONDA_ENV="${CONDA_ENV:-}"                  # and the environment to activate
PYTHON="${PYTHON:-}"                        # default: conda's, else $CODE_DIR/.venv/bin/python, else python3
SUBMIT_WAY="${SUBMIT_WAY:-}"                # default: detected
SUBMIT_WAIT_S="${SUBMIT_WAIT_S:-15}"        # how long an agent may take to say that it serves
# ---------------------------------------------------------------------------------------------------------------

DRY_RUN=''
JOB_ID='' GPUS='' NODES=''
FLAGS=()   # given after --
COMMAND=() # the agent's, made by agent_command

say() { printf '%s\n' "$*"; }

refuse() {
  printf 'submit.sh: %s\n' "$*" >&2
  exit 100
}

# The head of this file.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

parse() {
  local words=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --dry-run) DRY_RUN=1 ;;
      --way)
        SUBMIT_WAY=${2:-none}
        shift
        ;;
      --way=*) SUBMIT_WAY=${1#*=} ;;
      --) shift && FLAGS=("$@") && break ;;
      -*) refuse "$1 is no option of submit.sh; flags for perpetual_motion.py come after --. See ./submit.sh --help" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  ((${#words[@]} >= 1 && ${#words[@]} <= 3)) || refuse 'expected: JOB_ID [GPUS] [NODES]. See ./submit.sh --help'
  JOB_ID=${words[0]} GPUS=${words[1]:-} NODES=${words[2]:-1}
}

check() {
  [[ -n $JOB_ID && $JOB_ID != */* && $JOB_ID != . && $JOB_ID != .. ]] ||
    refuse "JOB_ID '$JOB_ID': expected a name without / (of a directory in $QUEUE_ROOT)"
  # Simulated GPUs are as many as somebody asked for; of real ones we take two unless told more.
  [[ -n $GPUS ]] || { [[ -n ${GPU_QUEUE_SIMULATE:-} ]] && GPUS=all || GPUS=2; }
  [[ $GPUS =~ ^([1-9][0-9]{0,2}|all)$ ]] ||
    refuse "GPUS '$GPUS': expected a number or all; certain GPUs are named by: -- --gpus 2,3"
  [[ $NODES =~ ^[1-9][0-9]{0,3}$ ]] || refuse "NODES '$NODES': expected a number"
  [[ -f $CODE_DIR/perpetual_motion.py ]] || refuse "CODE_DIR '$CODE_DIR' holds no perpetual_motion.py"
  [[ -z $CONDA_ENV || -n $CONDA_PATH ]] || refuse "CONDA_ENV is '$CONDA_ENV', but CONDA_PATH is not set"
  [[ -z $CONDA_PATH || -r $CONDA_PATH ]] || refuse "CONDA_PATH '$CONDA_PATH' cannot be read; expected …/conda/bin/activate"
}

# ---- For every way --------------------------------------------------------------------------------------------

# COMMAND: the agent with the GPUs that $1 names; further flags may follow, the user's own come last and win.
agent_command() {
  local gpus=$1 python=$PYTHON
  shift
  if [[ -z $python ]]; then
    python=python3
    [[ -z $CONDA_PATH && -x $CODE_DIR/.venv/bin/python ]] && python=$CODE_DIR/.venv/bin/python
  fi
  COMMAND=("$python" -u "$CODE_DIR/perpetual_motion.py" --job-id "$JOB_ID" --queue-root "$QUEUE_ROOT" --gpus "$gpus")
  # In many containers the agent is root, on storage of whoever calls us: he may have his own scripts run.
  ((${SUDO_UID:-$UID} == 0)) || COMMAND+=(--allow-root-for "${SUDO_UID:-$UID}")
  COMMAND+=("$@" ${FLAGS[@]+"${FLAGS[@]}"})
}

activate_conda() {
  [[ -n $CONDA_PATH ]] || return 0
  set +u # conda's own scripts use variables that are not set
  # shellcheck disable=SC1090
  source "$CONDA_PATH" ${CONDA_ENV:+"$CONDA_ENV"}
}

ways() { compgen -A function way_ | sed 's/^way_//' | paste -sd ' ' -; }

# The first cluster whose commands are found here and to which there is a way; else this machine.
detect_way() { say local; }

# ---- local: one agent, on this machine ------------------------------------------------------------------------

way_local() {
  ((NODES == 1)) || refuse "NODES $NODES: the local way starts one agent, on this machine; expected 1"
  command -v setsid >/dev/null || refuse 'setsid (util-linux) is needed to detach the agent from this terminal'
  local gpus log_dir="${XDG_STATE_HOME:-$HOME/.local/state}/gpu-queue"
  local log="$log_dir/$JOB_ID.log" before pid
  gpus=$(local_gpus) || exit
  agent_command "$gpus"
  if [[ -n $DRY_RUN ]]; then
    [[ -z $CONDA_PATH ]] || say "source $(printf '%q ' "$CONDA_PATH" ${CONDA_ENV:+"$CONDA_ENV"})"
    say "setsid $(printf '%q ' "${COMMAND[@]}")</dev/null >>$(printf %q "$log") 2>&1 &"
    return 0
  fi
  # Appended to, for it may belong to an agent that runs: then ours will say so and end.
  (umask 077 && mkdir -p -- "$log_dir" && : >>"$log") || refuse "the log $log cannot be written"
  before=$(wc -c <"$log")
  (activate_conda && exec setsid "${COMMAND[@]}") </dev/null >>"$log" 2>&1 &
  pid=$!
  wait_until_ready "$pid" "$log" "$before"
}

# The first GPUs of this machine; where a scheduler granted some of them, the first of those.
local_gpus() {
  local granted=${CUDA_VISIBLE_DEVICES:-} names
  [[ $GPUS != all ]] || { say all && return; }
  [[ -n $granted && -z ${GPU_QUEUE_SIMULATE:-} ]] || granted=$(seq -s , 0 $((GPUS - 1)))
  IFS=, read -ra names <<<"$granted"
  ((${#names[@]} >= GPUS)) || refuse "GPUS $GPUS: CUDA_VISIBLE_DEVICES=$granted grants only ${#names[@]}"
  (IFS=, && say "${names[*]:0:GPUS}")
}

# Until the agent $1 has written to its log $2, past byte $3, what it serves.
wait_until_ready() {
  local pid=$1 log=$2 before=$3 status=0 turn
  for ((turn = 0; turn < SUBMIT_WAIT_S * 5; turn++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" || status=$?
      not_started "$log" "$before" "$status"
      return 1
    fi
    # On a draining queue it leaves right after these lines, unless tasks that it took up again still run.
    if grep -qE "$LAST_LINE" < <(since "$before" "$log") && { ! is_draining || ((turn >= 15)); }; then
      sed -E "/$LAST_LINE/q" < <(since "$before" "$log")
      is_draining && say "$DRAINING"
      say "The agent of $JOB_ID runs here (process $pid). Its log: $log"
      say "To use it: export JOB_ID=$JOB_ID; source $(printf %q "$CODE_DIR/client.sh"); gpu_help"
      return 0
    fi
    sleep 0.2
  done
  say "The agent of $JOB_ID (process $pid) is still starting after $SUBMIT_WAIT_S s. Watch: tail -f $(printf %q "$log")" >&2
  return 111
}

LAST_LINE='^\[INFO\] Keep-alive: ' # of the first lines of an agent
DRAINING='the queue is draining; gpu_resume, then submit again'

is_draining() { [[ -e $QUEUE_ROOT/$JOB_ID/draining ]]; }

since() { tail -c "+$(($1 + 1))" -- "$2"; }

not_started() {
  local log=$1 before=$2 status=$3
  {
    ((status)) || ! is_draining || { say "$DRAINING" && return; }
    say "The agent of $JOB_ID ended with status $status. Last lines of its log $log:"
    since "$before" "$log" | tail -n 15 | sed 's/^/  /'
    if grep -q -e '--simulate' < <(since "$before" "$log"); then
      say "With submit.sh: GPU_QUEUE_SIMULATE=4 ./submit.sh $JOB_ID"
    fi
  } >&2
}

# ---------------------------------------------------------------------------------------------------------------

parse "$@"
check
[[ -n $SUBMIT_WAY ]] || SUBMIT_WAY=$(detect_way)
declare -F "way_$SUBMIT_WAY" >/dev/null || refuse "--way '$SUBMIT_WAY': expected one of: $(ways)"
"way_$SUBMIT_WAY"
