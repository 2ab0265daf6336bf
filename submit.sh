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

HERE=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# What the environment says counts more than what stands below, and must not be overwritten by it.
declare -A ENVIRONMENT=() BESIDE=() OWN=() PLACES=()
KEYS=(CODE_DIR QUEUE_ROOT CONDA_PATH CONDA_ENV PYTHON SUBMIT_WAY SUBMIT_WAIT_S)
for key in "${KEYS[@]}"; do ENVIRONMENT[$key]=${!key-}; done

# ---- Settings: edit them here, or in gpu-queue.conf beside this file, or give them in the environment -----------
# client.sh, Python and the agent read QUEUE_ROOT here too; which place beats which: docs/settings.md.
CODE_DIR=""      # where perpetual_motion.py lies; default: beside this file
QUEUE_ROOT=""    # the queues, on storage that all machines share; default: ~/gpu_queue
CONDA_PATH=""    # …/conda/bin/activate, if conda is used
CONDA_ENV=""     # and the environment to activate
PYTHON=""        # default: conda's, else $CODE_DIR/.venv/bin/python, else python3
SUBMIT_WAY=""    # default: detected
SUBMIT_WAIT_S="" # how long an agent may take to say that it serves; default: 15
# ---------------------------------------------------------------------------------------------------------------

DRY_RUN='' WAY='' SIMULATE='' CLIENT=''
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
        WAY=${2:-none}
        shift
        ;;
      --way=*) WAY=${1#*=} ;;
      --) shift && FLAGS=("$@") && break ;;
      -*) refuse "$1 is no option of submit.sh; flags for perpetual_motion.py come after --. See ./submit.sh --help" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  ((${#words[@]} >= 1 && ${#words[@]} <= 3)) || refuse 'expected: JOB_ID [GPUS] [NODES]. See ./submit.sh --help'
  JOB_ID=${words[0]} GPUS=${words[1]:-} NODES=${words[2]:-1}
}

# The settings, each from the strongest place that says something (docs/settings.md).
settle() {
  local key literal value other
  read_files
  for key in "${KEYS[@]}"; do
    literal=${!key}
    other=${BESIDE[$key]:-${literal:-${OWN[$key]:-}}}
    value=${ENVIRONMENT[$key]:-$other}
    printf -v "$key" %s "$value"
    if [[ -z ${BESIDE[$key]:-} && -n $literal ]]; then PLACES[$key]=$HERE/submit.sh; fi
    [[ $value == "$other" || -z $other || -z ${PLACES[$key]:-} ]] ||
      say "$key is $value, as the environment says; ${PLACES[$key]} says $other" >&2
  done
  CODE_DIR=${CODE_DIR:-$HERE} QUEUE_ROOT=${QUEUE_ROOT:-$HOME/gpu_queue} SUBMIT_WAIT_S=${SUBMIT_WAIT_S:-15}
  [[ $QUEUE_ROOT/ != \~/* ]] || QUEUE_ROOT=$HOME${QUEUE_ROOT#?} # as client.sh and Python understand it
  SUBMIT_WAY=${WAY:-$SUBMIT_WAY}
  SIMULATE=${GPU_QUEUE_SIMULATE:-${BESIDE[GPU_QUEUE_SIMULATE]:-${OWN[GPU_QUEUE_SIMULATE]:-}}}
  # The agent reads what lies beside its own program.
  [[ $HERE -ef $CODE_DIR ]] || for key in "${!BESIDE[@]}"; do
    [[ $key =~ ^(GPU_|AUTO_SHUTDOWN_HOURS$|MEMORY_USAGE_TARGET$) && -z ${!key-} ]] && export "$key=${BESIDE[$key]}"
  done
  CLIENT=$CODE_DIR/client.sh
  [[ -r $CLIENT ]] || CLIENT=$HERE/client.sh
}

# What gpu-queue.conf says beside this file and at home, into BESIDE and OWN; client.sh knows how it is read.
read_files() {
  local client=$HERE/client.sh file key place value is_whole=''
  [[ -r $client ]] || client=${ENVIRONMENT[CODE_DIR]:-$CODE_DIR}/client.sh
  [[ -r $client ]] || refuse "client.sh is not beside $HERE/submit.sh, nor in CODE_DIR '$CODE_DIR'; expected the whole project"
  while IFS= read -r -d '' file && IFS= read -r -d '' key && IFS= read -r -d '' place && IFS= read -r -d '' value; do
    case $file in
      end) is_whole=1 && continue ;;
      "$HERE/submit.sh") continue ;; # bash has read it better
      "$HERE"/*) [[ -z $value ]] || BESIDE[$key]=$value ;;
      *) [[ -z $value || -n ${BESIDE[$key]:-} ]] || OWN[$key]=$value ;;
    esac
    [[ -z $value || -n ${PLACES[$key]:-} ]] || PLACES[$key]=$place
  done < <(
    # shellcheck disable=SC1090,SC1091
    source "$client"
    # shellcheck disable=SC2329
    __gpu_fail() { __gpu_tell 'submit.sh: ' "$@" && return 1; }
    __gpu_guest settings "$HERE"
  )
  [[ -n $is_whole ]] || exit 100
}

check() {
  [[ -n $JOB_ID && $JOB_ID != */* && $JOB_ID != . && $JOB_ID != .. ]] ||
    refuse "JOB_ID '$JOB_ID': expected a name without / (of a directory in $QUEUE_ROOT)"
  # Simulated GPUs are as many as somebody asked for; of real ones we take two unless told more.
  [[ -n $GPUS ]] || { [[ -n $SIMULATE ]] && GPUS=all || GPUS=2; }
  [[ $GPUS =~ ^([1-9][0-9]{0,2}|all)$ ]] ||
    refuse "GPUS '$GPUS': expected a number or all; certain GPUs are named by: -- --gpus 2,3"
  [[ $NODES =~ ^[1-9][0-9]{0,3}$ ]] || refuse "NODES '$NODES': expected a number"
  [[ $SUBMIT_WAIT_S =~ ^[1-9][0-9]{0,4}$ ]] || refuse "SUBMIT_WAIT_S '$SUBMIT_WAIT_S': expected seconds"
  [[ $QUEUE_ROOT == /* ]] || QUEUE_ROOT=$PWD/$QUEUE_ROOT
  [[ -f $CODE_DIR/perpetual_motion.py ]] || refuse "CODE_DIR '$CODE_DIR' holds no perpetual_motion.py"
  [[ -z $CONDA_ENV || -n $CONDA_PATH ]] || refuse "CONDA_ENV is '$CONDA_ENV', but CONDA_PATH is not set"
  [[ -z $CONDA_PATH || -r $CONDA_PATH ]] || refuse "CONDA_PATH '$CONDA_PATH' cannot be read; expected …/conda/bin/activate"
}

# Words as a person may type them, Chinese ones as they are; client.sh knows how.
quoted() (
  # shellcheck disable=SC1090,SC1091
  source "$CLIENT"
  __gpu_quote "$1" && printf %s "$REPLY"
  for word in "${@:2}"; do __gpu_quote "$word" && printf ' %s' "$REPLY"; done
)

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
    [[ -z $CONDA_PATH ]] || say "source $(quoted "$CONDA_PATH" ${CONDA_ENV:+"$CONDA_ENV"})"
    say "setsid $(quoted "${COMMAND[@]}") </dev/null >>$(quoted "$log") 2>&1 &"
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
  [[ -n $granted && -z $SIMULATE ]] || granted=$(seq -s , 0 $((GPUS - 1)))
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
      first_lines "$before" "$log"
      is_draining && say "$DRAINING"
      say "The agent of $JOB_ID runs here (process $pid). Its log: $log"
      say "To use it: export $(exports); source $(quoted "$CLIENT"); gpu_help"
      return 0
    fi
    sleep 0.2
  done
  say "The agent of $JOB_ID (process $pid) is still starting after $SUBMIT_WAIT_S s. Watch: tail -f $(quoted "$log")" >&2
  return 111
}

LAST_LINE='^\[(INFO|WARN)\] Keep-alive: ' # of the first lines of an agent; its node's page can be read by then
DRAINING='the queue is draining; gpu_resume, then submit again'

is_draining() { [[ -e $QUEUE_ROOT/$JOB_ID/draining ]]; }

# An agent before this one may have said its last words meanwhile, in the same log.
first_lines() {
  local red='' plain=''
  [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]] && red=$'\e[31m' plain=$'\e[0m'
  sed -nE "/^\[INFO\] Started at: /,/$LAST_LINE/{s/^\[WARN\].*/$red&$plain/;/$LAST_LINE/{p;q};p}" < <(since "$@")
}

# What a shell must be told for the client to find this queue: its name, and where it is if no file says that.
exports() {
  local found
  found=$(
    unset QUEUE_ROOT
    # shellcheck disable=SC1090,SC1091
    source "$CLIENT"
    __gpu_guest root
  )
  [[ $found == "$QUEUE_ROOT" ]] || printf 'QUEUE_ROOT=%s ' "$(quoted "$QUEUE_ROOT")"
  printf 'JOB_ID=%s' "$(quoted "$JOB_ID")"
}

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
settle
check
[[ -n $SUBMIT_WAY ]] || SUBMIT_WAY=$(detect_way)
declare -F "way_$SUBMIT_WAY" >/dev/null || refuse "--way '$SUBMIT_WAY': expected one of: $(ways)"
"way_$SUBMIT_WAY"
