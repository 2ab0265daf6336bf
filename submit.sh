#!/usr/bin/env bash
# Start agents that serve the queue of a JOB_ID: on this machine, or by a job of the cluster.
#
#   ./submit.sh JOB_ID [GPUS] [NODES] [--way WAY] [--time 24h] [--dry-run] [-- flags for perpetual_motion.py]
#   ./submit.sh --list [JOB_ID]             what was asked for, and what became of it
#   ./submit.sh --delete JOB_ID             end it; running tasks go back into the queue
#   ./submit.sh --exec JOB_ID [ID]          a shell on the node
#   ./submit.sh --keep N JOB_ID [GPUS] [NODES]   have it served without end by N allocations at most, as long as there is work
#   ./submit.sh --no-keep JOB_ID            no longer; what runs goes on to its end
#
#   ./submit.sh train-exp1                  2 GPUs of one node; here: the first 2 of this machine, or on a shared
#                                           server (mode: shared) those that the queue's config.yaml names
#   ./submit.sh train-exp1 4                4
#   ./submit.sh train-exp1 8 2              8 on each of 2 nodes
#   ./submit.sh train-exp1 all              all of this machine; each time of those that CUDA_VISIBLE_DEVICES grants, if set
#   ./submit.sh train-exp1 2 -- --gpus 2,3 --lifetime 48h
#   GPU_QUEUE_SIMULATE=4 ./submit.sh demo   without a GPU, to try it out
#
#   --way WAY    where agents are started (also $SUBMIT_WAY; docs/clusters.md):
#                slurm sco k8s ray   a cluster; without --way the first that is found here
#                local               one agent, on this machine, in the background; it survives the terminal
#   --time TIME  how long the cluster is asked for the GPUs: 90m, 24h, 2d, never; default: the --lifetime among the
#                flags, else AUTO_SHUTDOWN_HOURS, else 24h.  The agent ends itself a little earlier.
#   --dry-run    print what would be run, and run nothing
#
# The queue outlives its agents: start another with the same JOB_ID, and it goes on.
# Exit status: 0 submitted, or the agent serves; 1 refused, or it ended; 75 try later; 100 a wrong argument or setting;
# 111 not known: it is still starting, or may have been submitted.

set -uo pipefail

SCRIPTS=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
HERE=$SCRIPTS TYPED=./submit.sh
# Of an installed package both scripts lie within it.
[[ $SCRIPTS != */gpu_queue/shell || -d $SCRIPTS/gpu_queue ]] || HERE=${SCRIPTS%/*/*} TYPED='gpu-queue submit.sh'
# What the environment says counts more than what stands below, and must not be overwritten by it.
declare -A ENVIRONMENT=() BESIDE=() OWN=() PLACES=()
[[ -n ${HOME:-} ]] || HOME=$(getent passwd "$EUID" | cut -d : -f 6)
export HOME=${HOME:-/nonexistent}
KEYS=(CODE_DIR QUEUE_ROOT CONDA_PATH CONDA_ENV PYTHON SUBMIT_WAY SUBMIT_PREFIX SUBMIT_WAIT_S GPU_QUEUE_WAYS
  SLURM_WAY_PARTITION SLURM_WAY_ACCOUNT SLURM_WAY_QOS SLURM_WAY_GRES SLURM_WAY_ARGS SLURM_WAY_ONE_JOB
  SCO_WORKSPACE SCO_CLUSTER SCO_SPEC SCO_IMAGE SCO_MOUNT SCO_FRAMEWORK SCO_PRIORITY SCO_QUOTA SCO_ARGS
  RAY_API_SERVER_ADDRESS RAY_WAY_ARGS K8S_PVC K8S_MOUNT K8S_IMAGE K8S_NAMESPACE K8S_QUEUE)
for key in "${KEYS[@]}"; do ENVIRONMENT[$key]=${!key-}; done
# shellcheck disable=SC2016
GPUS='$GPUS' # a setting may name it; the way fills it in

# ---- Settings: edit them here, or in gpu-queue.conf beside this file, or give them in the environment -----------
# client.sh, Python and the agent read QUEUE_ROOT here too; which place beats which: docs/settings.md.
# shellcheck disable=SC2034 # which way reads which is the way's business
{
CODE_DIR=""      # where perpetual_motion.py lies; default: beside this file
QUEUE_ROOT=""    # the queues, on storage that all machines share; default: ~/gpu_queue
CONDA_PATH=""    # …/conda/bin/activate, if conda is used
CONDA_ENV=""     # and the environment to activate
PYTHON=""        # default: conda's, else $CODE_DIR/.venv/bin/python, else python3
SUBMIT_WAY=""    # default: detected
SUBMIT_PREFIX="" # jobs are called PREFIX-JOB_ID; default: ydj for sco, else your user name
SUBMIT_WAIT_S="" # how long an agent of this machine may take to say that it serves; default: 15
GPU_QUEUE_WAYS="" # a directory with ways of your own; default: ~/.config/gpu-queue/ways

SLURM_WAY_PARTITION=""
SLURM_WAY_ACCOUNT=""
SLURM_WAY_QOS=""
SLURM_WAY_GRES=""    # default: gpu:$GPUS
SLURM_WAY_ARGS=""    # more arguments for sbatch
SLURM_WAY_ONE_JOB="" # 1: NODES nodes are one job; default: as many jobs

SCO_WORKSPACE="" # default: share-space
SCO_CLUSTER=""   # default: share-cluster
SCO_SPEC=""      # default: n6ls.iu.i40.$GPUS
SCO_IMAGE=""
SCO_MOUNT=""     # VOLUME:/mnt/afs
SCO_FRAMEWORK="" # default: pytorch
SCO_PRIORITY=""  # default: normal
SCO_QUOTA=""     # default: reserved
SCO_ARGS=""      # more arguments for sco acp jobs create

RAY_API_SERVER_ADDRESS="" # http://HEAD:8265
RAY_WAY_ARGS=""           # more arguments for ray job submit

K8S_PVC="" # the claim of the storage that holds code and queues
K8S_MOUNT=""
K8S_IMAGE=""
K8S_NAMESPACE=""
K8S_QUEUE="" # of Kueue
}
# ---------------------------------------------------------------------------------------------------------------

AGENT='' ACT=start DRY_RUN='' WAY='' TIME='' KEEP='' SLOT='' TOKEN='' AFTER='' SIMULATE='' CLIENT='' UNASKED=''
JOB_ID='' GPUS='' NODES='' ID=''
FLAGS=()     # given after --
WAY_FILE=''   # the program of the way that is asked
HOURS=''      # AUTO_SHUTDOWN_HOURS, wherever it stands
SECONDS_OF='' # how long the allocation is wanted; empty: without end
LIFETIME=''   # what the agent is told of that; empty: nothing

say() { printf '%s\n' "$*"; }

tell() { printf 'submit.sh: %s\n' "${*//.\/submit.sh/"$TYPED"}" >&2; }

refuse() {
  tell "$@"
  exit 100
}

# Of --OPTION VALUE …
value() {
  [[ -n ${2-} ]] || refuse "$1: expected a value after it. See ./submit.sh --help"
  printf %s "$2"
}

# The head of this file.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed "s,\./submit\.sh,$TYPED,"; }

parse() {
  local words=() most=1
  while (($#)); do
    case $1 in --way=* | --time=* | --keep=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;; esac
    case $1 in
      -h | --help) usage && exit 0 ;;
      --dry-run) DRY_RUN=1 ;;
      --list | --delete | --exec | --no-keep | --states) # an agent asks for the last
        [[ $ACT == start ]] || refuse "--$ACT and $1: expected one of them. See ./submit.sh --help"
        ACT=${1#--}
        ;;
      --successor)
        ACT=successor SLOT=${2:-none} # an agent's, too
        shift
        ;;
      --after)
        AFTER=$(value "$@") || exit
        shift
        ;;
      --keep)
        KEEP=$(value "$@") || exit
        shift
        ;;
      --way)
        WAY=$(value "$@") || exit
        shift
        ;;
      --time)
        TIME=$(value "$@") || exit
        shift
        ;;
      --) shift && FLAGS=("$@") && break ;;
      -*) refuse "$1 is no option of submit.sh; flags for perpetual_motion.py come after --. See ./submit.sh --help" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  case $ACT in
    start) most=3 ;;
    exec | delete | no-keep)
      [[ $ACT != exec ]] || most=2
      [[ -z $DRY_RUN$KEEP ]] || refuse "--$ACT: expected neither --dry-run nor --keep with it; nothing was done. See ./submit.sh --help"
      ;;
  esac
  ((${#words[@]} <= most)) && [[ $ACT == list || ${#words[@]} -ge 1 ]] || case $ACT in
    start) refuse 'expected: JOB_ID [GPUS] [NODES]. See ./submit.sh --help' ;;
    list) refuse 'expected: --list [JOB_ID]' ;;
    delete) refuse 'expected: --delete JOB_ID' ;;
    exec) refuse 'expected: --exec JOB_ID [ID]' ;;
    *) refuse "expected: --$ACT JOB_ID" ;;
  esac
  JOB_ID=${words[0]:-} GPUS=${words[1]:-} NODES=${words[2]:-} ID=${words[1]:-}
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
    if [[ -z ${BESIDE[$key]:-} && -n $literal ]]; then PLACES[$key]=$SCRIPTS/submit.sh; fi
    [[ $value == "$other" || -z $other || -z ${PLACES[$key]:-} ]] ||
      tell_place "$key is $value, as the environment says; ${PLACES[$key]} says $other"
  done
  CODE_DIR=${CODE_DIR:-$HERE} QUEUE_ROOT=${QUEUE_ROOT:-$HOME/gpu_queue} SUBMIT_WAIT_S=${SUBMIT_WAIT_S:-15}
  [[ $QUEUE_ROOT/ != \~/* ]] || QUEUE_ROOT=$HOME${QUEUE_ROOT#?} # as client.sh and Python understand it
  SUBMIT_WAY=${WAY:-$SUBMIT_WAY}
  SIMULATE=${GPU_QUEUE_SIMULATE:-${BESIDE[GPU_QUEUE_SIMULATE]:-${OWN[GPU_QUEUE_SIMULATE]:-}}}
  HOURS=${AUTO_SHUTDOWN_HOURS:-${BESIDE[AUTO_SHUTDOWN_HOURS]:-${OWN[AUTO_SHUTDOWN_HOURS]:-}}}
  # The agent reads what lies beside its own program.
  [[ $HERE -ef $CODE_DIR ]] || for key in "${!BESIDE[@]}"; do
    [[ $key =~ ^(GPU_|AUTO_SHUTDOWN_HOURS$|MEMORY_USAGE_TARGET$) && -z ${!key-} ]] && export "$key=${BESIDE[$key]}"
  done
  CLIENT=$CODE_DIR/client.sh
  [[ -r $CLIENT ]] || CLIENT=$SCRIPTS/client.sh
  # shellcheck disable=SC1090,SC1091
  source "$CLIENT"
  OUR_WAYS=$CODE_DIR/gpu_queue/ways
  [[ -d $OUR_WAYS ]] || OUR_WAYS=$HERE/gpu_queue/ways
  OWN_WAYS=$HOME/.config
  [[ ${XDG_CONFIG_HOME:-} != /* ]] || OWN_WAYS=$XDG_CONFIG_HOME
  OWN_WAYS=${GPU_QUEUE_WAYS:-$OWN_WAYS/gpu-queue/ways}
  [[ $OWN_WAYS == /* ]] || OWN_WAYS=$HOME/${OWN_WAYS#\~/}
}

tell_place() { say "$*" >&2; }

# What gpu-queue.conf says beside this file and at home, into BESIDE and OWN; client.sh knows how it is read.
read_files() {
  local client=$SCRIPTS/client.sh file key place value is_whole=''
  [[ -r $client ]] || client=${ENVIRONMENT[CODE_DIR]:-$CODE_DIR}/client.sh
  [[ -r $client ]] || refuse "client.sh is not beside $SCRIPTS/submit.sh, nor in CODE_DIR '$CODE_DIR'; expected the whole project"
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
  [[ $ACT == list && -z $JOB_ID ]] || { [[ -n $JOB_ID && $JOB_ID != */* && $JOB_ID != . && $JOB_ID != .. ]] ||
    refuse "JOB_ID '$JOB_ID': expected a name without / (of a directory in $QUEUE_ROOT)"; }
  [[ $JOB_ID != *[[:cntrl:]]* ]] || refuse 'JOB_ID holds control characters; expected a name'
  [[ $QUEUE_ROOT == /* ]] || QUEUE_ROOT=$PWD/$QUEUE_ROOT
  [[ -z $JOB_ID || ! -d $QUEUE_ROOT/$JOB_ID || -x $QUEUE_ROOT/$JOB_ID ]] ||
    refuse "you may not enter $QUEUE_ROOT/$JOB_ID, which belongs to $(stat -c %U -- "$QUEUE_ROOT/$JOB_ID"); ask for --allow-group (docs/security.md), or take another JOB_ID"
  [[ $CODE_DIR == /* ]] || CODE_DIR=$PWD/$CODE_DIR
  [[ $SUBMIT_WAIT_S =~ ^[1-9][0-9]{0,4}$ ]] || refuse "SUBMIT_WAIT_S '$SUBMIT_WAIT_S': expected seconds"
  [[ $ACT == start || $ACT == successor ]] || return 0
  [[ -z $KEEP || $KEEP =~ ^[1-9][0-9]{0,3}$ ]] || refuse "--keep '$KEEP': expected how many allocations there may be at one time"
  [[ -z $GPUS || $GPUS =~ ^([1-9][0-9]{0,2}|all)$ ]] ||
    refuse "GPUS '$GPUS': expected a number or all; certain GPUs are named by: -- --gpus 2,3"
  [[ -z $NODES || $NODES =~ ^[1-9][0-9]{0,3}$ ]] || refuse "NODES '$NODES': expected a number"
  AGENT=$CODE_DIR/perpetual_motion.py
  [[ -f $AGENT ]] || AGENT=$CODE_DIR/gpu_queue/agent/__main__.py # of an installed package
  [[ -f $AGENT ]] || refuse "CODE_DIR '$CODE_DIR' holds no perpetual_motion.py"
  [[ -z $CONDA_ENV || -n $CONDA_PATH ]] || refuse "CONDA_ENV is '$CONDA_ENV', but CONDA_PATH is not set"
  [[ -z $CONDA_PATH || -r $CONDA_PATH ]] || refuse "CONDA_PATH '$CONDA_PATH' cannot be read; expected …/conda/bin/activate"
}

# How long: SECONDS_OF, and what the agent gets for a --lifetime.
settle_time() {
  local at text='' from=--time kept=()
  if [[ -z $TIME ]]; then
    for ((at = 0; at < ${#FLAGS[@]}; at++)); do
      case ${FLAGS[at]} in
        --lifetime) text=${FLAGS[at + 1]:-none} from=--lifetime at=$((at + 1)) ;;
        --lifetime=*) text=${FLAGS[at]#*=} from=--lifetime ;;
        *) kept+=("${FLAGS[at]}") ;;
      esac
    done
    # On this machine nothing ends an agent but itself, by what its own settings say.
    [[ $SUBMIT_WAY != local ]] || return 0
    [[ -z $text ]] || FLAGS=(${kept[@]+"${kept[@]}"})
    [[ -n $text || -z $HOURS ]] || { text=$HOURS from=AUTO_SHUTDOWN_HOURS && [[ $text == never ]] || text+=h; }
    [[ -n $text ]] || { text=$(lifetime_in_files) && from='the lifetime in config.yaml or perpetual_motion.py'; }
  fi
  TIME=${TIME:-${text:-24h}}
  seconds_of "$TIME" || refuse "$from '$TIME': expected for example 90m, 24h, 2d or never"
  settle_lifetime
}

# What only agents read otherwise: the queue's config.yaml, and the constants of perpetual_motion.py.  Our --lifetime beats both.
lifetime_in_files() {
  local file value rest='[[:space:]]*[:=][[:space:]]*["'\'']?([0-9a-z.]+)["'\'']?[[:space:]]*(#.*)?$'
  for file in "$QUEUE_ROOT/$JOB_ID/config.yaml" "$CODE_DIR/perpetual_motion.py"; do
    [[ -f $file ]] || continue
    value=$(head -c 65536 -- "$file" | sed -nE "s/^lifetime$rest/\\1/p; s/^(auto_shutdown_hours|AUTO_SHUTDOWN_HOURS)$rest/\\2h/p" | tail -n 1)
    [[ -z $value ]] || { printf %s "${value/neverh/never}" && return; }
  done
}

settle_lifetime() {
  case $SUBMIT_WAY:$SECONDS_OF in
    *:) LIFETIME=never ;;
    local:*) LIFETIME=${SECONDS_OF}s ;;
    *) LIFETIME=$((SECONDS_OF - (SECONDS_OF < 3000 ? SECONDS_OF / 10 : 300)))s ;; # what ends and says so needs a little time
  esac
}

# SECONDS_OF = the seconds of 90, 90s, 1d12h, 1.5h, never, as the agent reads them.
seconds_of() {
  local text=${1,,} total=0 fraction unit_s
  SECONDS_OF=''
  [[ $text != never ]] || return 0
  [[ ! $text =~ ^[0-9.]+$ ]] || text+=s
  while [[ $text =~ ^([0-9]{1,9})(\.[0-9]+)?([smhd])(.*)$ ]]; do
    case ${BASH_REMATCH[3]} in s) unit_s=1 ;; m) unit_s=60 ;; h) unit_s=3600 ;; d) unit_s=86400 ;; esac
    fraction=${BASH_REMATCH[2]#.}000
    total=$((total + 10#${BASH_REMATCH[1]} * unit_s + 10#${fraction:0:3} * unit_s / 1000))
    text=${BASH_REMATCH[4]}
  done
  [[ -z $text ]] && ((total >= 1 && total <= 3153600000)) && SECONDS_OF=$total
}

# Words as a person may type them, Chinese ones as they are; client.sh knows how.
quoted() {
  local word REPLY line=''
  # shellcheck disable=SC1090,SC1091
  declare -F __gpu_quote >/dev/null || source "$CLIENT"
  for word in "$@"; do
    __gpu_quote "$word"
    line+=" $REPLY"
  done
  printf %s "${line# }"
}

# ---- Ways: one program each (gpu_queue/ways/, docs/clusters.md) ------------------------------------------------

# The names of ways, those of your own first, ours as they are looked for.
ways() {
  local name
  for name in "$OWN_WAYS"/*; do [[ ! -f $name || ! -x $name ]] || say "${name##*/}"; done
  for name in slurm sco k8s ray local; do [[ ! -x $OUR_WAYS/$name ]] || say "$name"; done
}

# WAY_FILE = the program of the way $1.  1: there is none; 2: it is not to be trusted, and why was told.
find_way() {
  local name=$1 why
  WAY_FILE=''
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || return 1
  if [[ -f $OWN_WAYS/$name && -x $OWN_WAYS/$name ]]; then
    why=$(strangeness "$OWN_WAYS" "$OWN_WAYS/$name") || { tell "the way '$name' is not run: $why" && return 2; }
    WAY_FILE=$OWN_WAYS/$name
  elif [[ -f $OUR_WAYS/$name && -x $OUR_WAYS/$name ]]; then
    WAY_FILE=$OUR_WAYS/$name
  else
    return 1
  fi
}

# Whether anybody else may have written these, or what they lead to; prints why.
strangeness() {
  local path real paths=("$@") owner mode
  for path in "$@"; do
    real=$(readlink -f -- "$path") || return
    [[ $real == "$path" ]] || paths+=("$real" "${real%/*}")
  done
  for path in "${paths[@]}"; do
    read -r owner mode < <(stat -L -c '%u %a' -- "$path") || { say "$path cannot be looked at" && return 1; }
    ((owner == EUID || owner == 0)) ||
      { say "$path belongs to uid $owner; expected a way of yours or of root" && return 1; }
    ((!(8#$mode & 8#022))) ||
      { say "$path: mode $mode lets others write it, who could then run code as you; chmod go-w $(quoted "$path")" && return 1; }
  done
}

# Call the way, at most $1 seconds: VERB WORD…  124 or 137: it was cut off.
call() {
  local limit_s=$1
  shift
  timeout --foreground -k 5 "$limit_s" "$WAY_FILE" "$@" </dev/null
}

# What a scheduler says, or somebody's name for a job, without what would steer a terminal.
plain() { LC_ALL=C sed 's/\xc2[\x80-\x9f]//g' | LC_ALL=C tr -d '\000-\010\013-\037\177'; }

# The same, and nobody waits for what it may have left behind with our pipes in its hands.
ask() {
  local status=0 scratch=$SCRATCH/$BASHPID
  call "$@" >"$scratch.out" 2>"$scratch.err" || status=$?
  plain <"$scratch.err" >&2
  cat -- "$scratch.out"
  return "$status"
}

# SUBMIT_WAY and WAY_FILE: the way that was named, else the first that says it can be used here.
choose_way() {
  local name
  if [[ -n $SUBMIT_WAY ]]; then
    find_way "$SUBMIT_WAY" && return
    (($? == 1)) && tell "--way '$SUBMIT_WAY': expected one of: $(ways | paste -sd ' ' -)"
    exit 100
  fi
  while IFS= read -r name; do
    case $name in
      k8s) [[ -n $K8S_PVC ]] || continue ;;
      ray) [[ -n $RAY_API_SERVER_ADDRESS ]] || continue ;;
    esac
    find_way "$name" && ask 45 detect >/dev/null && SUBMIT_WAY=$name && return
  done < <(ways)
  refuse "no way can be used here; expected one of: $(ways | paste -sd ' ' -)"
}

# What a way is told of the settings: its own, and those of ways that we do not know.
export_settings() {
  local key
  for key in "${KEYS[@]}"; do
    case $key in SLURM_WAY_* | SCO_* | RAY_* | K8S_* | SUBMIT_WAIT_S) [[ -z ${!key} ]] || export "${key?}" ;; esac
  done
  for key in "${!BESIDE[@]}" "${!OWN[@]}"; do
    [[ $key =~ ^WAY_[A-Z0-9_]+$ && -z ${!key-} ]] && export "$key=${BESIDE[$key]:-${OWN[$key]}}"
  done
  [[ -z $SIMULATE ]] || export GPU_QUEUE_SIMULATE=$SIMULATE
  export GQ_LIB=$OUR_WAYS/lib.sh
}

job_name() {
  local prefix=$SUBMIT_PREFIX
  [[ -n $prefix ]] || { [[ $1 == sco ]] && prefix=ydj || prefix=$(id -un 2>/dev/null); } # without a name it prints the number
  printf %s "$prefix-$2"
}

# ---- One submission, and its directory (docs/spool.md) --------------------------------------------------------

# What the way is told of the submission $1, a path of its directory; its nonce is the end of its name.
describe() {
  export GQ_JOB_ID=$JOB_ID GQ_NAME GQ_NONCE=${1##*-} GQ_GPUS=$GPUS GQ_NODES GQ_SECONDS=$SECONDS_OF
  export GQ_START=$1/start-${1##*-}.sh GQ_LOG_DIR=$1 GQ_AFTER=$AFTER
  GQ_NAME=$(job_name "$SUBMIT_WAY" "$JOB_ID")
}

# The Python that has the agent's packages.
default_python() {
  local own=$CODE_DIR/.venv/bin/python
  [[ $CODE_DIR =~ ^(.*)/lib[^/]*/(python3[^/]*)/[^/]*-packages$ ]] && own=${BASH_REMATCH[1]}/bin/${BASH_REMATCH[2]}
  if [[ -z $CONDA_PATH && -x $own ]]; then
    say "$own"
  elif [[ -z $CONDA_PATH && $own == */bin/python3* ]] && command -v "${own##*/}" >/dev/null; then
    say "${own##*/}" # installed with pip --user
  else
    say python3
  fi
}

# What runs on the node, whatever the way.
start_script() {
  local python=$PYTHON key value agent
  [[ -n $python ]] || python=$(default_python)
  agent=("$python" -u "$AGENT" --job-id "$JOB_ID" --queue-root "$QUEUE_ROOT" "--gpus${UNASKED:+-unless-shared}")
  say '#!/usr/bin/env bash'
  say '# Starts an agent on the node that it is given; made by submit.sh.'
  while IFS= read -r key; do
    value=${!key-}
    [[ -n $value || $SUBMIT_WAY == local ]] || value=${OWN[$key]:-} # a home directory may be another there
    [[ -z $value ]] || ! is_setting "$key" || say "export $key=$(quoted "$value")"
  done < <(printf '%s\n' "${!OWN[@]}" | cat <(compgen -e) - | grep . | LC_ALL=C sort -u)
  say "export GPU_QUEUE_START=$(quoted "$GQ_START")"
  [[ -z $SLOT ]] || say "export GPU_QUEUE_SLOT=$SLOT"
  say 'gpus=all'
  ask 20 prelude || return
  # shellcheck disable=SC2016
  say 'unset ${!GQ_@}'
  [[ -z $CONDA_PATH ]] || say "source $(quoted "$CONDA_PATH" ${CONDA_ENV:+"$CONDA_ENV"}) || exit"
  say "cd $(quoted "$CODE_DIR") || exit"
  # In many containers the agent is root, on storage of whoever calls us: he may have his own scripts run.
  set -- ${LIFETIME:+--lifetime "$LIFETIME"}
  ((${SUDO_UID:-$UID} == 0)) || set -- "$@" --allow-root-for "${SUDO_UID:-$UID}"
  set -- "$@" ${FLAGS[@]+"${FLAGS[@]}"}
  # shellcheck disable=SC2016
  say "exec $(quoted "${agent[@]}") \"\$gpus\"${1+ $(quoted "$@")}"
}

# Directories that are missing, as private as a client makes them; what root makes is for whoever called it.
make_allocations() {
  local path owner mode trusted=" 0 $EUID "
  for path in "$QUEUE_ROOT" "$QUEUE_ROOT/$JOB_ID" "$QUEUE_ROOT/$JOB_ID/allocations"; do
    [[ ! -d $path ]] || continue
    (umask 077 && mkdir -p -- "$path") 2>/dev/null || [[ -d $path ]] ||
      refuse "$path cannot be made; check QUEUE_ROOT, and that you may write there"
    ((EUID || !${SUDO_UID:-0})) || chown -h -- "$SUDO_UID" "$path"
  done
  [[ ! -L $path ]] || refuse "$path is a link; expected a directory"
  [[ ! -O $path ]] || chmod --reference="${path%/*}" -- "$path" # others may submit where others may drop
  # What lies there is run as you, so it is as with the agent: nobody else may put another in its place.
  for path in "$QUEUE_ROOT/$JOB_ID" "$path"; do
    read -r owner mode < <(stat -L -c '%u %a' -- "$path") || refuse "$path cannot be looked at"
    ((!(8#$mode & 8#022) || 8#$mode & 8#1000)) ||
      refuse "$path: mode $mode lets others put their own scripts into the place of yours; chmod go-w $(quoted "$path")"
    # The queue's owner is trusted, as by the agent; by root only who called for it.
    if [[ $path != */allocations ]]; then ((EUID)) && trusted+="$owner " || trusted+="${SUDO_UID:-0} "; fi
    [[ $trusted == *" $owner "* ]] || refuse "$path belongs to uid $owner; expected a directory of yours, or of the queue's owner"
  done
}

# Others may write beside it in a queue that is open to them: no name that they could foresee, and make a link.
write() {
  local new
  new=$(mktemp -- "${1%/*}/.new.XXXXXX") && printf '%s\n' "$2" >"$new" && mv -T -- "$new" "$1"
}

new_nonce() { od -An -N6 -tx1 /dev/urandom | tr -d ' \n'; }

# Hand over what was rendered ($2 the start script, $3 the request) from the new directory $1; the way's status.
hand_over() {
  local directory=$1 status=0 ids line limit_s=$((SUBMIT_WAIT_S > 240 ? SUBMIT_WAIT_S + 60 : 300))
  (umask 077 && mkdir -- "$directory") 2>/dev/null ||
    refuse "$directory cannot be made: may you write there? In a queue that was opened to you later its owner calls submit.sh once more"
  # The answer is what is true if we are ended while the way is at work; without it nothing was handed over.
  write "$directory/way" "$SUBMIT_WAY" && write "$directory/name" "$GQ_NAME" && write "$GQ_START" "$2" &&
    write "$directory/request" "$3" && write "$directory/submitter" "$$ $(uname -n)" &&
    write "$directory/answer" $'111\nsubmit.sh ended before the answer came' || status=1
  ((status == 0)) || refuse "$directory cannot be written"
  ids=$directory/.ids
  # The way may outlive us: whoever comes next waits for it.
  (write "$directory/submitter" "$$ $(uname -n) $BASHPID" || exit
    exec timeout --foreground -k 5 "$limit_s" "$WAY_FILE" submit "$directory/request" </dev/null) >"$ids" 2>"$directory/words" || status=$?
  case $status in
    124)
      say "the way did not answer within $limit_s s" >>"$directory/words"
      status=111
      ;;
    126 | 127) status=1 ;; # it was not begun
    0 | 1 | 75 | 100 | 111) ;;
    *)
      say "the way ended with status $status" >>"$directory/words"
      status=111
      ;;
  esac
  if is_ids "$ids"; then
    write "$directory/id" "$(<"$ids")"
  elif ((status == 0)); then
    say "the way printed no id" >>"$directory/words"
    status=111
  fi
  write "$directory/answer" "$status"$'\n'"$(<"$directory/words")"
  rm -f -- "$directory/words" "$directory/submitter" "$ids"
  return "$status"
}

# Whether a file holds ids, one a line.
is_ids() {
  local line count=0
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^[^[:space:][:cntrl:]-][^[:space:][:cntrl:]]{0,254}$ ]] || return 1
    count=$((count + 1))
  done <"$1"
  ((count))
}

# The answer without its status; a warning stands out.
show_answer() {
  local red='' plain=''
  [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]] && red=$'\e[31m' plain=$'\e[0m'
  plain <"$1/answer" | sed -E "1d;s/^\[WARN\].*/$red&$plain/"
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

# Own submissions of a JOB_ID, by age.
submissions() {
  local directory
  for directory in "$QUEUE_ROOT/$1"/allocations/[0-9]*-*/; do
    directory=${directory%/}
    [[ ${directory##*/} =~ ^[0-9]{8}T[0-9]{9}-[0-9a-f]{12}$ && -O $directory && ! -L $directory ]] && say "$directory"
  done
}

# Whether it is not known of a submission if the cluster has it, and nobody is at work on it.
is_uncertain() {
  local pid host
  [[ ! -e $1/id && $(head -c 3 -- "$1/answer" 2>/dev/null) == 111 ]] || return
  { read -r pid host _ <"$1/submitter"; } 2>/dev/null || return 0
  if [[ $host == "$(uname -n)" ]]; then
    ! is_process "$pid" submit.sh
  else
    [[ -n $(find "$1/answer" -mmin +10) ]]
  fi
}

# Whether the process $1 lives, and its command line holds $2.
is_process() { [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline") == *"$2"* ]]; }

# The way may still be at work for a submit.sh that was killed: what it hands over now, nobody has seen yet.
await_way() {
  local host way=''
  { read -r _ host way <"$1/submitter"; } 2>/dev/null
  [[ -n $way && $host == "$(uname -n)" ]] && is_process "$way" "$1/request" || return 0
  tell "$(<"$1/name") is still being handed to $(<"$1/way") for a submit.sh that was killed: waiting for the end of process $way"
  while is_process "$way" "$1/request"; do sleep 0.5; done
  touch -- "$1/answer"
}

# FOUND = the id that the cluster has for the submission in $1, by its nonce, and FOUND_WORD what became of it; empty: it
# has none.  111: no answer.
look_for() {
  local id word nonce answer
  FOUND='' FOUND_WORD=''
  answer=$(ask 180 states --name "$(<"$1/name")") || return 111
  while IFS=$'\x1f' read -r id word _ nonce _; do
    [[ $nonce != "${1##*-}" ]] || FOUND=$id FOUND_WORD=$word
  done < <(tr '\t' $'\x1f' <<<"$answer")
  [[ -z $FOUND ]] || write "$1/id" "$FOUND"
}

UNCERTAIN_S=20 # what a scheduler was told when the answer was given up may still take effect

# Forget what ended, or was refused, a month ago.
forget_old() {
  local path
  while IFS= read -r -d '' path; do
    [[ -O ${path%/*} && ! -L ${path%/*} ]] || continue
    [[ $path == */ended || ! -e ${path%/*}/id && $(head -c 3 -- "$path") != 111 ]] && rm -rf -- "${path%/*}"
  done < <(find "$QUEUE_ROOT/$JOB_ID/allocations" -mindepth 2 -maxdepth 2 \( -name ended -o -name answer \) -mtime +30 -print0 2>/dev/null)
}

# Before anything is submitted: take what was submitted in spite of a time-out, clear what was not.  TAKEN: how many
# nodes are served by what was found.
clear_up() {
  local directory age_s
  TAKEN=0
  while IFS= read -r directory; do
    is_uncertain "$directory" || continue
    find_way "$(<"$directory/way")" || refuse "$directory: no way is called '$(<"$directory/way")', by which this may have been submitted"
    await_way "$directory"
    look_for "$directory" || not_answered "$directory"
    age_s=$(($(date +%s) - $(stat -c %Y -- "$directory/answer")))
    if [[ -z $FOUND ]] && ((age_s < UNCERTAIN_S)); then
      tell "$(<"$directory/name") may have been submitted a moment ago: looking for it again in some seconds"
      sleep $((age_s < 0 ? UNCERTAIN_S : UNCERTAIN_S - age_s))
      look_for "$directory" || not_answered "$directory"
    fi
    if [[ $FOUND_WORD == ended || $FOUND_WORD == lost ]]; then
      say "What may have been submitted was, and has ended: $(<"$directory/way") $FOUND ($(<"$directory/name"))."
    elif [[ -n $FOUND ]]; then
      say "What may have been submitted was: $(<"$directory/way") $FOUND ($(<"$directory/name")); it is taken, not submitted again."
      TAKEN=$((TAKEN + 1))
    else
      write "$directory/answer" "1"$'\n'"$(sed 1d "$directory/answer")"$'\n'"no job of that nonce was found later"
    fi
  done < <(submissions "$JOB_ID")
}

not_answered() {
  tell "$(<"$1/way") does not say whether it has $(<"$1/name") (nonce ${1##*-}), which may have been submitted; nothing more is
submitted until it answers. Call again, or if you know that there is no such job: rm -r $(quoted "$1")"
  exit 111
}

# ---- What can be asked of submit.sh ---------------------------------------------------------------------------

start() {
  local count=1 shape
  export_settings
  choose_way
  # Simulated GPUs are as many as somebody asked for; of real ones we take two unless told more.  Whether the server is
  # shared, where a config.yaml says which they are, only the agent can tell.
  [[ -n $GPUS ]] || { UNASKED=1 && [[ -n $SIMULATE && $SUBMIT_WAY == local ]] && GPUS=all || GPUS=2; }
  [[ -z $KEEP || $SUBMIT_WAY != local ]] ||
    refuse "--keep $KEEP: on this machine nothing ends an agent but itself; expected a cluster. Here: ./submit.sh $(quoted "$JOB_ID") --time never"
  settle_time
  export GQ_NODES=${NODES:-1}
  describe "$QUEUE_ROOT/$JOB_ID/allocations/00000000T000000000-000000000000"
  shape=$(ask 20 shape) || refuse "the way '$SUBMIT_WAY' does not say its shape"
  [[ -n $NODES ]] || { [[ -z $KEEP || $shape == several ]] && NODES=1 || NODES=$KEEP; }
  [[ $shape == several ]] || count=$NODES GQ_NODES=1
  [[ -z $KEEP ]] || ((count <= KEEP)) || refuse "NODES $NODES: expected at most $KEEP, as --keep says"
  [[ -z $KEEP || -z $DRY_RUN ]] || { SLOT=1.1 && stagger; }
  if [[ -n $DRY_RUN ]]; then
    dry_run "$count"
  elif [[ -n $KEEP ]]; then
    keep "$count"
  else
    submit "$count"
  fi
}

not_rendered() {
  (($1 == 100)) || tell "the way '$SUBMIT_WAY' ended with status $1 before it had said what is to be submitted"
  exit 100
}

dry_run() {
  local script request
  script=$(start_script) || not_rendered $?
  request=$(ask 20 render) || not_rendered $?
  say "# ---- $GQ_START"
  say "$script"
  say "# ---- $GQ_LOG_DIR/request"
  say "$request"
  say '# ---- what is run'
  (($1 == 1)) || say "# $1 times, each with a nonce of its own in the place of $GQ_NONCE:"
  say "$(quoted "$WAY_FILE" submit "$GQ_LOG_DIR/request")"
}

submit() {
  local count=$1 status=0 done=0 way=$WAY_FILE
  forget_old
  clear_up
  WAY_FILE=$way count=$((GQ_NODES == NODES && TAKEN ? 0 : count - TAKEN))
  while ((done < count)); do
    submit_one "$(new_nonce)" || status=$?
    ((status == 0)) || break
    done=$((done + 1))
  done
  if ((status)); then
    [[ $SUBMIT_WAY == local ]] || not_submitted "$status" "$done" "$count" >&2
    exit "$status"
  fi
  say "To use it: export $(exports); source $(quoted "$CLIENT"); gpu_help"
}

# One submission, with the nonce $1, whose files are in DIRECTORY; the way's status.
submit_one() {
  local script request status=0
  DIRECTORY=$QUEUE_ROOT/$JOB_ID/allocations/$(date -u +%Y%m%dT%H%M%S%3N)-$1
  describe "$DIRECTORY"
  script=$(start_script) || not_rendered $?
  request=$(ask 20 render) || not_rendered $?
  make_allocations
  HANDED=$TOKEN
  hand_over "$DIRECTORY" "$script" "$request" || status=$?
  if ((status == 111)) && is_uncertain "$DIRECTORY" && look_for "$DIRECTORY" && [[ -n $FOUND ]]; then status=0; fi
  if ((status)); then
    show_answer "$DIRECTORY" >&2
  else
    show_answer "$DIRECTORY"
    [[ $SUBMIT_WAY == local ]] ||
      say "Submitted: $SUBMIT_WAY $(paste -sd ' ' -- "$DIRECTORY/id"), $GQ_NAME, $(extent). Its files: $DIRECTORY"
  fi
  return "$status"
}

# ---- A queue that is kept served (docs/clusters.md, "Served without end") ---------------------------------------

# keep COUNT: what was asked for into the file `keep`, which agents read; and the first COUNT allocations.
keep() {
  local count=$1 number room=$KEEP status=0 held=' ' open next=() done=0 way=$WAY_FILE answer id word raw nonce
  forget_old
  clear_up
  WAY_FILE=$way
  make_allocations
  # Before the cluster is asked: what others submit meanwhile has a token then that we cannot make.
  for ((number = 1; number <= KEEP; number++)); do next[number]=$(next_generation "$number"); done
  open=$(open_slots)
  answer=$(ask 180 states --name "$GQ_NAME") ||
    { tell "$SUBMIT_WAY does not say what it has of $GQ_NAME; nothing is submitted until it answers" && exit 111; }
  while IFS=$'\x1f' read -r id word raw nonce _; do
    [[ -n $id && $word != ended && $word != lost ]] || continue
    number=$(slot_of "$nonce")
    [[ -n $number && $held == *" $number "* ]] || room=$((room - 1))
    held+="${number:-?} "
  done < <(tr '\t' $'\x1f' <<<"$answer")
  for number in $open; do [[ $held == *" $number "* ]] || { room=$((room - 1)) && held+="$number "; }; done
  write_keep
  for ((number = 1; number <= KEEP && count > 0; number++)); do
    count=$((count - 1))
    [[ $held != *" $number "* ]] || { say "Slot $number has its allocation already." && continue; }
    ((room > 0)) || { say "$KEEP of $GQ_NAME are there already; no more are submitted." && break; }
    hour_has_room || break
    nonce=$(new_nonce) SLOT=$number.${next[number]}
    make_token "$nonce" || { tell "slot-$SLOT is being submitted by somebody else" && continue; }
    stagger
    submit_one "$nonce" || status=$?
    note_token "$status"
    ((status == 0)) || break
    done=$((done + 1)) room=$((room - 1))
  done
  if ((status)); then
    not_submitted "$status" "$done" "$((done + count + 1))" >&2
    [[ $done != 0 || $held == *[0-9]* ]] || rm -f -- "$(allocations)/keep"
    exit "$status"
  fi
  if [[ $done == 0 && $held != *[0-9]* ]]; then
    rm -f -- "$(allocations)/keep"
    tell "$JOB_ID is not kept served: none of its allocations was submitted by --keep, and their agents submit no others. Call again when there is room"
    exit 75
  fi
  say "$JOB_ID is kept served by at most $KEEP allocations at a time, as long as there is work: their agents submit the next ones."
  say "To end that: $TYPED --no-keep $(quoted "$JOB_ID"), or gpu_shutdown"
  say "To use it: export $(exports); source $(quoted "$CLIENT"); gpu_help"
}

allocations() { printf %s "$QUEUE_ROOT/$JOB_ID/allocations"; }

# Whether a variable is a setting for agents, and none of an agent or a task around us; addresses of people are secrets.
is_setting() {
  case $1 in
    GPU_QUEUE_ALLOCATION* | GPU_QUEUE_SLOT | GPU_QUEUE_START | GPU_QUEUE_TASK | GPU_QUEUE_TRY* | GPU_QUEUE_CLAIM) return 1 ;;
    GPU_QUEUE_SCRIPT | GPU_QUEUE_NODE | GPU_QUEUE_WAYS | GPU_QUEUE_PATIENCE | GPU_QUEUE_OUTER_* | GPU_QUEUE_NOTIFY_*) return 1 ;;
    GPU_QUEUE_* | GPU_UTIL_* | MEMORY_USAGE_TARGET) ;;
    *) return 1 ;;
  esac
}

# What a successor is submitted by, a line each: what was asked for, and the settings that are not beside the scripts.
write_keep() {
  local key value flag text
  text="slots $KEEP"$'\n'"way $SUBMIT_WAY"$'\n'"gpus $GPUS"$'\n'"nodes $GQ_NODES"$'\n'"time $TIME"
  text+=$'\n'"by $(id -un 2>/dev/null)@$(uname -n), $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  can_wait && text+=$'\n''can_wait 1'
  for flag in ${FLAGS[@]+"${FLAGS[@]}"}; do
    [[ $flag != *$'\n'* ]] || refuse "--keep: the flag $(quoted "$flag") holds a line break; expected none"
    text+=$'\n'"flag $flag"
  done
  while IFS= read -r key; do
    value=${ENVIRONMENT[$key]-}
    [[ -n $value || -n ${ENVIRONMENT[$key]+x} ]] || value=${!key-}
    value=${value:-${OWN[$key]:-}}
    [[ -n $value && $value != *$'\n'* ]] || continue
    case $key in QUEUE_ROOT | SUBMIT_WAY | SUBMIT_WAIT_S) continue ;; esac
    [[ -n ${ENVIRONMENT[$key]+x} || $key =~ ^WAY_[A-Z0-9_]+$ ]] || is_setting "$key" || continue
    text+=$'\n'"set $key=$value"
  done < <(printf '%s\n' "${!ENVIRONMENT[@]}" "${!OWN[@]}" | cat <(compgen -e) - | grep . | LC_ALL=C sort -u)
  write "$(allocations)/keep" "$text" || refuse "$(allocations)/keep cannot be written"
  rm -f -- "$(allocations)/keep-paused"
}

# The other way round: what `keep` holds counts as if it had been typed, and had stood in the environment.
recall() {
  local file line key
  JOB_ID=${JOB_ID:-none} file=${ENVIRONMENT[QUEUE_ROOT]:-}/$JOB_ID/allocations/keep
  [[ -f $file && ! -L $file ]] || { tell "$JOB_ID is kept no longer: there is no $file" && exit 1; }
  [[ -O $file || $(stat -c %u -- "$file") == "$(stat -c %u -- "${file%/*/*}")" ]] ||
    refuse "$file belongs to somebody else; expected yours, or the queue's owner's"
  while IFS= read -r line; do
    case $line in
      'slots '*) KEEP=${line#* } ;;
      'way '*) WAY=${line#* } ;;
      'gpus '*) GPUS=${line#* } ;;
      'nodes '*) NODES=${line#* } ;;
      'time '*) TIME=${line#* } ;;
      'flag '*) FLAGS+=("${line#flag }") ;;
      'set '*=*)
        key=${line#set } key=${key%%=*}
        if [[ -n ${ENVIRONMENT[$key]+x} ]]; then
          ENVIRONMENT[$key]=${line#*=}
        elif [[ $key =~ ^WAY_[A-Z0-9_]+$ ]] || is_setting "$key"; then
          export "$key=${line#*=}"
        fi
        ;;
    esac
  done <"$file"
}

# An agent's wish: submit the token SLOT that it has made.
successor() {
  local token nonce status=0
  token=$(allocations)/slot-$SLOT
  nonce=$(sed -n 's/^nonce //p' "$token" 2>/dev/null)
  [[ $SLOT =~ ^[1-9][0-9]*\.[1-9][0-9]*$ && $nonce =~ ^[0-9a-f]{12}$ ]] || refuse "$token: expected a line with a nonce"
  ! grep -qE '^(submitted|refused|unknown)' "$token" || refuse "$token was submitted before"
  TOKEN=$token
  choose_way
  settle_time
  stagger
  export GQ_NODES=$NODES
  submit_one "$nonce" || status=$?
  note_token "$status"
  exit "$status"
}

# An agent's question: all that the cluster has of this queue's name.
states_of_name() {
  choose_way
  export GQ_NODES=1
  describe "$(allocations)/00000000T000000000-000000000000"
  ask 180 states --name "$GQ_NAME"
}

# Slot K ends K minutes sooner than was asked for, where that is little: so not all end at once.
stagger() {
  local number=${SLOT%.*}
  seconds_of "$TIME"
  [[ -z $SECONDS_OF ]] || ((SECONDS_OF < 6000 * number)) || SECONDS_OF=$((SECONDS_OF - 60 * number))
  settle_lifetime
}

# Whether the way can have a job begin when another has ended: by what it renders.
can_wait() {
  local after
  after=$(GQ_AFTER=1 ask 20 render 2>/dev/null) && [[ $after != "$(GQ_AFTER='' ask 20 render 2>/dev/null)" ]]
}

# The number of the slot whose token has the nonce $1.
slot_of() {
  local file
  [[ $1 =~ ^[0-9a-f]{12}$ ]] || return 0
  file=$(grep -lsx -D skip -- "nonce $1" "$(allocations)"/slot-*.* | head -n 1) file=${file##*/slot-}
  printf %s "${file%%.*}"
}

next_generation() {
  local file last=0
  for file in "$(allocations)/slot-$1".*; do
    file=${file##*/slot-"$1".}
    [[ ! $file =~ ^[1-9][0-9]*$ ]] || ((file <= last)) || last=$file
  done
  printf %s $((last + 1))
}

# The numbers of slots whose token somebody is at work on: no answer of the cluster shows their jobs yet.
open_slots() {
  local token nonce directory host pid
  for token in "$(allocations)"/slot-*.*; do
    [[ $token != *.began && -f $token && ! -e $token.began && -n $(find "$token" -mmin -10) ]] || continue
    ! grep -qE '^(submitted|refused|unknown)' "$token" || continue
    read -r host pid < <(sed -n 's/^by .*@//p' "$token") # of a token that an agent made neither
    [[ ${host:-} != "$(uname -n)" || -z ${pid:-} ]] || is_process "$pid" submit.sh || continue
    nonce=$(sed -n 's/^nonce //p' "$token")
    directory=$(submissions "$JOB_ID" | grep -- "-$nonce\$")
    # Ours, and its submit.sh was killed: clear_up has found out.
    [[ -n $nonce && -n $directory && (-e $directory/id || $(head -c 3 -- "$directory/answer") != 111) ]] && continue
    token=${token##*/slot-}
    [[ ! ${token%%.*} =~ ^[1-9][0-9]*$ ]] || say "${token%%.*}"
  done
}

# The right to submit SLOT: of all who would make the file only one does.
make_token() {
  local token
  token=$(allocations)/slot-$SLOT
  (umask 077 && set -C && printf 'nonce %s\nby %s@%s %s\n' "$1" "$(id -un 2>/dev/null)" "$(uname -n)" "$$" >"$token") 2>/dev/null && TOKEN=$token
}

# What came of TOKEN, by the way's status.
note_token() {
  local word="refused $1"
  case $1 in 0) word="submitted $(paste -sd ' ' -- "$DIRECTORY/id")" ;; 111) word=unknown ;; esac
  [[ ! -f $TOKEN ]] || say "$word" >>"$TOKEN"
  TOKEN=''
}

# Who refuses before the way was called has submitted nothing.
leave() {
  [[ -z $TOKEN || -n $HANDED ]] || note_token 100
  rm -rf -- "$SCRATCH"
}

# Whether another submission is allowed within this hour, by the clock of the storage.
hour_has_room() {
  local most=${GPU_QUEUE_RENEW_PER_HOUR:-${BESIDE[GPU_QUEUE_RENEW_PER_HOUR]:-${OWN[GPU_QUEUE_RENEW_PER_HOUR]:-0}}} file now_s count=0
  [[ $most =~ ^[1-9][0-9]*$ ]] || most=$((KEEP + 2))
  file=$(mktemp -p "$(allocations)" .now.XXXXXX) && now_s=$(stat -c %Y -- "$file") && rm -f -- "$file" || return
  for file in "$(allocations)"/slot-*.*; do
    # It may have been submitted some minutes after it was made.
    [[ $file == *.began || ! -f $file ]] || (($(stat -c %Y -- "$file") <= now_s - 4200)) || count=$((count + 1))
  done
  ((count < most)) && return
  say "Of $GQ_NAME $count were submitted within an hour, and $most may be: no more are now. (GPU_QUEUE_RENEW_PER_HOUR)"
  return 1
}

no_keep() {
  local directory
  directory=$(allocations)
  if [[ -e $directory/keep || -e $directory/keep-paused ]]; then
    rm -f -- "$directory/keep" "$directory/keep-paused" || exit
    say "$JOB_ID is kept served no longer: what runs goes on to its end, and what is queued ends when it begins."
  else
    say "$JOB_ID was not kept served."
  fi
}

# How a queue is kept, in a line, for --list.
kept_line() {
  local directory=$QUEUE_ROOT/$1/allocations slots
  if [[ -f $directory/keep ]]; then
    slots=$(sed -n 's/^slots \([0-9]\{1,4\}\)$/\1/p' "$directory/keep")
    say "$1 is kept served by at most ${slots:-?} allocations at a time; $TYPED --no-keep $(quoted "$1") ends that"
  elif [[ -f $directory/keep-paused ]]; then
    say "$1 is kept served no longer: $(head -c 500 -- "$directory/keep-paused" | head -n 1 | tr -d '\000-\037\177'). $TYPED --keep begins anew"
  fi
}

# ---- Of many submissions ------------------------------------------------------------------------------------------

# How much was asked for.
extent() {
  printf '%s GPUs' "$GPUS"
  ((GQ_NODES == 1)) || printf ' on each of %s nodes' "$GQ_NODES"
  [[ -z $SECONDS_OF ]] || printf ', for %s' "$TIME"
}

not_submitted() {
  case $1 in
    75) say "$GQ_NAME was not submitted: $SUBMIT_WAY cannot take it now. Submit again later." ;;
    111) say "$GQ_NAME may have been submitted: the next submit.sh asks $SUBMIT_WAY for it first. See also: $TYPED --list" ;;
    *) say "$GQ_NAME was not submitted. To check: the settings of $SUBMIT_WAY (docs/settings.md), and what was handed over: $DIRECTORY/request" ;;
  esac
  (($2 == 0)) || say "$2 of $3 were submitted before."
}

# The jobs that the ways in use have of ours, into JOBS: JOB_ID, way, id, word, the scheduler's own word, and whose they are
# (`ours`; `theirs`: of the same name, and not submitted for a queue of this QUEUE_ROOT), with \x1f between.
# 111: one of the ways did not answer, as was told.
JOBS=()
gather() {
  local directory way job status=0 prefix name id word raw nonce known whose
  declare -A used=() of=() directories=() lasting=()
  [[ -z $SUBMIT_WAY ]] || used[$SUBMIT_WAY]=''
  while IFS= read -r job; do
    while IFS= read -r directory; do
      [[ -r $directory/way ]] || continue
      way=$(<"$directory/way")
      directories[${directory##*-}]=$directory of[$directory]=$job used[$way]+=''
      [[ -r $directory/id ]] || continue
      while IFS= read -r id; do
        if [[ ! -e $directory/ended ]]; then
          used[$way]+="$id " directories[$way:$id]=$directory lasting[$directory]+="$id "
        elif [[ -n $(find "$directory/ended" -mmin -1440) ]]; then
          add_job "$job" "$way" "$id" ended "$(<"$directory/ended")" ours
        fi
      done <"$directory/id"
    done < <(submissions "$job")
  done < <(if [[ -n $JOB_ID ]]; then say "$JOB_ID"; else all_jobs; fi)
  ((${#used[@]})) || { choose_way && used[$SUBMIT_WAY]=''; }
  for way in "${!used[@]}"; do
    find_way "$way" || { tell "no way is called '$way'" && status=111 && continue; }
    known=' ' prefix=$(job_name "$way" '')
    while IFS=$'\x1f' read -r id word raw nonce name; do
      [[ $id != '!' ]] || { tell "$way does not answer: what it has is not known" && status=111 && continue; }
      [[ $known != *" $id "* ]] || continue
      known+="$id "
      directory=${directories[$way:$id]:-${directories[${nonce:-none}]:-}}
      job=${of[${directory:-none}]:-${name#"$prefix"}} whose=ours
      # A scheduler forgets its jobs, some in minutes; an agent of another machine is not forgotten, it is elsewhere.
      [[ $word != unknown || $way == local || -z $directory || -z $(find "$directory/answer" -mmin +1440) ]] ||
        word=ended raw=${raw:-forgotten}
      if [[ $word == ended && -n $directory ]]; then # when all its jobs have, it is not asked for again
        lasting[$directory]=" ${lasting[$directory]:-}" lasting[$directory]=${lasting[$directory]/ "$id "/ }
        [[ -n ${lasting[$directory]// /} ]] || write "$directory/ended" "$raw"
      fi
      # Without a nonce too: somebody's own sbatch may have that name.
      [[ -n $directory ]] || whose=theirs
      add_job "$job" "$way" "$id" "$word" "$raw" "$whose"
    done < <(
      # shellcheck disable=SC2086 # ids are words
      { if [[ -n $JOB_ID ]]; then ask 180 states --name "$prefix$JOB_ID"; else ask 180 states --prefix "$prefix"; fi || say '!'
        [[ -z ${used[$way]} ]] || ask 180 states ${used[$way]} || say '!'; } | tr '\t' $'\x1f'
    )
  done
  return "$status"
}

add_job() {
  local IFS=$'\x1f'
  JOBS+=("$*")
}

# The names of all queues in which somebody submitted something.
all_jobs() {
  local path
  for path in "$QUEUE_ROOT"/*/allocations/; do
    path=${path%/allocations/}
    [[ ! -d $path ]] || say "${path##*/}"
  done
}

list() {
  local status=0 row directory job way id word raw whose widths=(6 3 2) rows=("JOB_ID"$'\x1f'"WAY"$'\x1f'"ID"$'\x1f'"STATE")
  gather || status=$?
  for row in ${JOBS[@]+"${JOBS[@]}"}; do
    IFS=$'\x1f' read -r job way id word raw whose <<<"$row"
    ((${#job} <= widths[0])) || widths[0]=${#job}
    ((${#way} <= widths[1])) || widths[1]=${#way}
    ((${#id} <= widths[2])) || widths[2]=${#id}
    rows+=("$row")
  done
  for row in "${rows[@]}"; do
    ((${#rows[@]} > 1)) || break
    IFS=$'\x1f' read -r job way id word raw whose <<<"$row"
    [[ $whose != theirs ]] || raw+=' (not submitted from here)'
    printf '%-*s  %-*s  %-*s  %-7s  %s\n' "${widths[0]}" "$job" "${widths[1]}" "$way" "${widths[2]}" "$id" "$word" "$raw"
  done | plain | sed 's/ *$//'
  while IFS= read -r directory; do
    [[ ! -e $directory/id ]] && is_uncertain "$directory" &&
      say "may have been submitted: $(<"$directory/way") $(<"$directory/name"), nonce ${directory##*-}; the next submit.sh asks for it"
  done < <(if [[ -n $JOB_ID ]]; then submissions "$JOB_ID"; else all_jobs | while IFS= read -r job; do submissions "$job"; done; fi)
  while IFS= read -r job; do kept_line "$job"; done < <(if [[ -n $JOB_ID ]]; then say "$JOB_ID"; else all_jobs; fi)
  return "$status"
}

delete() {
  local status=0 row job way id word raw whose
  declare -A wanted=()
  rm -f -- "$(allocations)/keep" "$(allocations)/keep-paused" # first, so that nothing succeeds what we end
  gather || status=$?
  for row in ${JOBS[@]+"${JOBS[@]}"}; do
    IFS=$'\x1f' read -r job way id word raw whose <<<"$row"
    case $word:$whose in
      ended:*) ;;
      *:ours) wanted[$way]+="$id " ;;
      *) say "left alone: $way $id, which has the name of $JOB_ID and was not submitted for $QUEUE_ROOT/$JOB_ID" ;;
    esac
  done
  for way in "${!wanted[@]}"; do
    find_way "$way" || continue
    # shellcheck disable=SC2086 # ids are words
    if ask 180 cancel ${wanted[$way]}; then
      say "$way was asked to end ${wanted[$way]% }; running tasks go back into the queue"
    else
      case $? in 1 | 100) ((status)) || status=1 ;; *) status=111 ;; esac
      tell "$way did not take the wish to end ${wanted[$way]% }"
    fi
  done
  ((${#wanted[@]} || status)) || say "nothing of $JOB_ID is submitted or runs that submit.sh knows of; gpu_list shows the agents"
  return "$status"
}

enter() {
  local status=0 row job way id word raw whose found=()
  gather || status=$?
  for row in ${JOBS[@]+"${JOBS[@]}"}; do
    IFS=$'\x1f' read -r job way id word raw whose <<<"$row"
    [[ $word == running && ( -z $ID || $id == "$ID" ) ]] && found+=("$way $id")
  done
  case ${#found[@]} in
    0)
      ((status == 0)) || exit "$status"
      refuse "nothing of $JOB_ID runs${ID:+ by the id $ID} that submit.sh knows of. See ./submit.sh --list $(quoted "$JOB_ID")"
      ;;
    1) ;;
    *) refuse "several of $JOB_ID run; expected: --exec $(quoted "$JOB_ID") ID, one of: ${found[*]#* }" ;;
  esac
  find_way "${found[0]%% *}" && "$WAY_FILE" exec "${found[0]#* }"
}

parse "$@"
case $ACT in successor | states) recall ;; esac
SCRATCH=$(mktemp -d) && HANDED='' && trap leave EXIT || exit 1
settle
check
export_settings
case $ACT in
  start) start ;;
  list) list ;;
  delete) delete ;;
  exec) enter ;;
  no-keep) no_keep ;;
  successor) successor ;;
  states) states_of_name ;;
esac
