# shellcheck shell=bash disable=SC2015
# client.sh: submit, watch and steer GPU jobs through a shared directory.  Source it from bash (4.2 or newer) or zsh.
#
#   export JOB_ID=train-exp1            # which instance of the queue; also: gpu_use train-exp1
#   source /path/to/client.sh
#   gpu_submit train.sh                 # and gpu_status, gpu_logs, gpu_stop …
#
# Instances
#   gpu_use [ID]                        show or switch the instance          gpu_list    all instances
# Submitting; the tasks' full names go to stdout, one a line, unless it is a terminal; words for people to stderr
#   gpu_submit FILE… [PRIORITY]         queue scripts; PRIORITY 000-999, smaller runs first, 500 if nothing is said
#   gpu_submit FILE [--] ARGUMENT…      queue one with arguments; behind -- whatever they look like
#   gpu_run 'COMMAND' [PRIORITY]        queue one command line
#     --gpus N|N-M   --memory 20G   --queue Q   --time 4h   --retries N     what it needs (also as #GPUQ lines in it)
#     --nodes N      start it on N nodes at once, with --gpus on each       (docs/gangs.md)
#     --signal USR1@120             warn it so long before its end          (all: all its processes that catch it)
#     --notify LABEL[:failed]   who is told of its end (also as a #GPUQ line; docs/notify.md)
#     --after TASK   --name NAME    --priority PPP                          --after may be repeated
#     --array 0-9%2  a task for each index, two at once        --dry-run    say what it asks for and why, queue nothing
#     --snapshot     run it in a copy of the working tree as it is now (docs/snapshots.md); --no-snapshot: not, whatever it says
#   gpu_load FILE… [--dry-run]          queue an experiment's runs (.yaml), or the blocks of command files; again: what is new or changed
#     --again  also what has ended   --multi, --single  GPUs of a block   --shared-queues  of all files   --work-dir DIR
# Watching
#   gpu_status [--all] [--watch]        nodes and their GPUs, what waits and why, what failed; --plain, --json: for programs
#   gpu_status --queues                 all serial queues: BUSY or IDLE, what waits, runs, is done and has failed in each
#   gpu_logs [TASK] [--rank N|all]      the newest logs; with TASK the logs of all its tries; --rank: of a node of a task over several
#   gpu_tail [TASK] [--rank N]          follow a log until its task has ended: 0 done, 1 failed
#   gpu_wait [TASK…] [--timeout 2h]     until they have ended: 0 all done, 1 one failed, 124 too late
#   gpu_explain TASK                    why it waits, where it runs, how it ended
#   gpu_report [--days N] [--by-gpu]    GPU-hours and energy of tasks, keep-alive and idling, by day or by GPU
# Steering
#   gpu_cancel TASK…  gpu_priority TASK… PPP       waiting tasks
#   gpu_stop TASK…|all                  stop what runs, cancel what waits
#   gpu_retry TASK…|all                 queue failed tasks again
#     --queue Q: all of that serial queue; --yes: do not ask.  These, and gpu_wait, take patterns of names as well:
#     gpu_cancel 'seed*'.  On a terminal they say what they will do to several tasks, and ask.
#   gpu_pause [WHY]   gpu_drain [WHY]   start nothing new; drain: and agents leave when their tasks have ended
#   gpu_resume                          undo both
#   gpu_shutdown [--wait]               end the agents; --wait: after the running tasks have ended
#   gpu_keepalive [status]              what keeps idle GPUs busy, on each node
#   gpu_keepalive off [WHY]   gpu_keepalive on     let idle GPUs be idle; undo it
#   gpu_forget NODE [--force]           that node is dead: its tasks go on elsewhere now, not after 15 minutes
#   gpu_clean --older-than 7d [--dry-run]          forget settled tasks, with their records and logs
#   gpu_help                            this text
#
# TASK is a full name, an id, its six-digit nonce, the script's name with or without its ending, or else a part of it.
# Where it fits several tasks they are listed and nothing is done; gpu_tail takes the newest, gpu_logs the newest that
# has a log, gpu_explain the newest of equal names.
# What stands behind -- is a name, also where it begins like an option; behind gpu_submit FILE -- it is an argument of the script.
# Every failure is one line on stderr; the status is 2 for wrong usage, else 1.
#
# Settings: JOB_ID; QUEUE_ROOT (default ~/gpu_queue); NO_COLOR; GPU_QUEUE_PATIENCE, the seconds after which a node
# without a sign of life counts as gone (10 on local filesystems, 40 on network ones).  JOB_ID and QUEUE_ROOT may also
# stand in a gpu-queue.conf beside this file or in ~/.config/gpu-queue, QUEUE_ROOT at the top of submit.sh beside this
# file as well; the environment beats them all (docs/settings.md).
#
# It needs nothing but coreutils, find, xargs and grep, gpu_report also awk; with a Python 3.8 or newer gpu_submit reads scripts in
# full (gpu_queue/scripts beside this file), without it only #GPUQ lines, and the node reads the rest; gpu_load takes 3.10.  Each command runs in a subshell that first puts all
# shell options in order (__gpu_guest), so whatever your shell has set does not matter and stays as it is: options,
# traps, directory, IFS, variables.  What lies on the disk, and which rename means what: docs/spool.md.

# SC2015: in `a && b || c` here c is meant for a failure of a and of b.

# Aliases, also zsh's global ones, would be expanded while the functions below are parsed.
if [ -n "${ZSH_VERSION-}" ]; then
  if [[ -o aliases ]]; then __gpu_aliases=on; setopt no_aliases; fi
elif shopt -q expand_aliases; then
  __gpu_aliases=on; shopt -u expand_aliases
fi

gpu_help()     ( __gpu_guest help "$@" )
gpu_list()     ( __gpu_guest list "$@" )
gpu_submit()   ( __gpu_guest submit "$@" )
gpu_run()      ( __gpu_guest run "$@" )
gpu_load()     ( __gpu_guest load "$@" )
gpu_status()   ( __gpu_guest status "$@" )
gpu_logs()     ( __gpu_guest logs "$@" )
gpu_tail()     ( __gpu_guest tail "$@" )
gpu_wait()     ( __gpu_guest wait "$@" )
gpu_explain()  ( __gpu_guest explain "$@" )
gpu_cancel()   ( __gpu_guest cancel "$@" )
gpu_priority() ( __gpu_guest priority "$@" )
gpu_stop()     ( __gpu_guest stop "$@" )
gpu_retry()    ( __gpu_guest retry "$@" )
gpu_pause()    ( __gpu_guest pause "$@" )
gpu_drain()    ( __gpu_guest drain "$@" )
gpu_resume()   ( __gpu_guest resume "$@" )
gpu_shutdown() ( __gpu_guest shutdown "$@" )
gpu_forget()   ( __gpu_guest forget "$@" )
gpu_clean()    ( __gpu_guest clean "$@" )
gpu_keepalive() ( __gpu_guest keepalive "$@" )
gpu_report()   ( __gpu_guest report "$@" )

gpu_use() { # the only command that changes the shell it is called from: it sets JOB_ID
  ( __gpu_guest use "$@" ) || return
  if [ $# -gt 0 ]; then export JOB_ID="$1"; fi
}

# --- the subshell's manners ----------------------------------------------------------------------------------------
# Functions below return a value in REPLY and a list in reply, as bash's and zsh's own do: no fork.  Both live in the
# subshell only.  Words for people are a format for printf and its words: __gpu_say, __gpu_put, __gpu_fail, __gpu_usage.

__gpu_guest() { # VERB ARGUMENT…: the known state of a shell, then the verb
  if [ -n "${ZSH_VERSION-}" ]; then
    emulate -R ksh # the dialect that is nearest to bash: arrays from 0, words split, no nomatch
    setopt no_aliases no_bad_pattern no_local_options no_local_traps no_posix_builtins no_posix_strings no_xtrace typeset_silent null_glob bash_rematch
    zmodload zsh/datetime zsh/mapfile zsh/system
    trap - DEBUG ZERR
  else
    set +aefkuvxCET +o pipefail +o posix
    shopt -u expand_aliases failglob nocaseglob nocasematch dotglob globstar xpg_echo
    shopt -u patsub_replacement 2>/dev/null # bash 5.2: & in a replacement
    shopt -s nullglob
    trap - DEBUG ERR RETURN
  fi
  # A shell forgets an interrupt when the program that it waits for has just ended by itself.
  trap __gpu_interrupted INT
  unset GLOBIGNORE CDPATH POSIXLY_CORRECT
  IFS=$' \t\n'
  case ${LC_ALL:-${LC_MESSAGES:-${LANG-}}} in [zZ][hH]*) __gpu_zh=yes ;; *) __gpu_zh='' ;; esac
  LC_ALL=C; export LC_ALL # names are bytes
  __gpu_tails=$'\200\201\202\203\204\205\206\207\210\211\212\213\214\215\216\217\220\221\222\223\224\225\226\227\230\231\232\233\234\235\236\237\240\241\242\243\244\245\246\247\250\251\252\253\254\255\256\257\260\261\262\263\264\265\266\267\270\271\272\273\274\275\276\277'
  __gpu_leads=$'\343\344\345\346\347\350\351\352\353\354\355\357\360\361'
  umask 077
  __gpu_verb=$1; __gpu_last_ms=0
  shift
  case $__gpu_verb in help | settings) ;; *) __gpu_settle || return ;; esac
  "__gpu_$__gpu_verb" "$@"
}

__gpu_interrupted() { # end as the interrupt ends a program: a loop around this ends only then, and no subshell dies so by itself
  trap - INT
  # shellcheck disable=SC2016 # it is that shell's own number
  exec sh -c 'kill -s INT "$$"; exit 130'
}

__gpu_tr() { # FORMAT: REPLY = the same for printf in this shell's language
  local format
  REPLY=$1
  [ -z "$__gpu_zh" ] || __gpu_chinese "$1"
  case $REPLY in
    *./submit.sh*)
      format=$REPLY
      if __gpu_is_installed; then REPLY=${format//.\/submit.sh/gpu-queue submit.sh}; else REPLY=$format; fi ;;
  esac
}

__gpu_say() { __gpu_tell '' "$@"; } # FORMAT WORD…: a line for people, in their language

__gpu_tell() { # BEFORE FORMAT WORD…
  local before=$1 line REPLY
  __gpu_tr "$2"
  shift 2
  # shellcheck disable=SC2059 # the format is ours
  printf -v line "%s$REPLY" "$before" "$@"
  line=${line:0:16384}
  case $line in *[![:print:]]*) __gpu_tame "${line//[[:cntrl:]]/ }"; line=$REPLY ;; esac
  printf '%s\n' "$line" >&2
}

__gpu_put() { # FORMAT WORD…: as printf, for words that others may have written; only a log is shown without it
  local format=$1 word clean=() REPLY
  shift
  for word in "$@"; do
    case $word in *[![:print:]]*) word=${word:0:4096}; __gpu_tame "${word//[[:cntrl:]]/?}"; word=$REPLY ;; esac
    clean+=("$word")
  done
  __gpu_tr "$format"
  # shellcheck disable=SC2059 # the format is ours
  printf "$REPLY" "${clean[@]}"
}

__gpu_tame() { # TEXT: REPLY = it without what a terminal must not get, but for tab and newline
  local odd
  REPLY=$1
  case $REPLY in *[$'\001'-$'\010'$'\013'-$'\037'$'\177\302\342']*) ;; *) return 0 ;; esac # in one pass
  REPLY=${REPLY//[$'\001'-$'\010'$'\013'-$'\037'$'\177']/?}
  # In UTF-8: U+0080 to U+009F, and what turns the direction of writing.  One by one: zsh finds not all bytes in [].
  case $REPLY in *$'\302'*)
    for odd in $'\200' $'\201' $'\202' $'\203' $'\204' $'\205' $'\206' $'\207' $'\210' $'\211' $'\212' $'\213' $'\214' $'\215' $'\216' $'\217' \
      $'\220' $'\221' $'\222' $'\223' $'\224' $'\225' $'\226' $'\227' $'\230' $'\231' $'\232' $'\233' $'\234' $'\235' $'\236' $'\237'; do
      REPLY=${REPLY//$'\302'"$odd"/?}
    done ;;
  esac
  case $REPLY in *$'\342\200'* | *$'\342\201'*)
    for odd in $'\200\216' $'\200\217' $'\200\252' $'\200\253' $'\200\254' $'\200\255' $'\200\256' \
      $'\201\246' $'\201\247' $'\201\250' $'\201\251'; do
      REPLY=${REPLY//$'\342'"$odd"/?}
    done ;;
  esac
}

__gpu_fail() { __gpu_tell "gpu_$__gpu_verb: " "$@"; return 1; }

__gpu_usage() { __gpu_tell "gpu_$__gpu_verb: " "$@"; return 2; }

__gpu_read() { # FILE [LIMIT]: byte for byte its first LIMIT bytes, 1 MiB; 1: cannot be read, 2: there is a NUL in it
  local limit=${2:-1048576} piece
  REPLY=
  [ -f "$1" ] && [ -r "$1" ] || return 1 # nobody waits for who might write into a pipe
  if [ -n "${ZSH_VERSION-}" ]; then
    { while [ ${#REPLY} -lt "$limit" ] && sysread -s $((limit - ${#REPLY})) piece; do REPLY+=$piece; done <"$1"; } 2>/dev/null
    case $REPLY in *$'\0'*) return 2 ;; esac
  elif { IFS= read -r -d '' -n "$limit" REPLY <"$1"; } 2>/dev/null; then
    [ ${#REPLY} -eq "$limit" ] || return 2 # it ended neither with the file nor at the limit
  fi
}

__gpu_record() { # FILE of JSON: whole; fails where it is larger than a record may be: a shell would search it for minutes
  __gpu_read "$1" 65537 && [ ${#REPLY} -le 65536 ]
}

__gpu_write() { # FILE TEXT: whole, or not at all
  if [ -n "${ZSH_VERSION-}" ]; then
    { syswrite -- "$2" >"$1"; } 2>/dev/null && return 0 # zsh's printf does not notice a full disk
  else
    { printf '%s' "$2" >"$1"; } 2>/dev/null && return 0
  fi
  command rm -f -- "$1" 2>/dev/null
  return 1
}

__gpu_cd() { # zsh would run the user's chpwd hooks
  # shellcheck disable=SC2164 # the caller looks at the status
  if [ -n "${ZSH_VERSION-}" ]; then builtin cd -q -- "$1"; else builtin cd -- "$1"; fi >/dev/null 2>&1
}

__gpu_ms() { # milliseconds since 1970
  local moment=${EPOCHREALTIME-} part
  case $moment in
    *[.,]*) part=${moment#*[.,]}; REPLY=$((${moment%[.,]*} * 1000 + 10#${part:0:3})) ;;
    *) REPLY=$(command date +%s%3N) ;; # bash before 5
  esac
}

__gpu_stamp() { # a stamp above every one that this process gave before
  local ms day
  # An old bash asks the clock by a fork: once for many stamps.
  if [ -n "${EPOCHREALTIME-}" ] || [ "$__gpu_last_ms" -eq 0 ]; then __gpu_ms; else REPLY=0; fi
  ms=$REPLY
  if [ "$ms" -le "$__gpu_last_ms" ]; then ms=$((__gpu_last_ms + 1)); fi
  __gpu_last_ms=$ms
  if [ -n "${ZSH_VERSION-}" ]; then
    TZ=UTC0 strftime -s day '%Y%m%dT%H%M%S' "$((ms / 1000))"
  else
    TZ=UTC0 printf -v day '%(%Y%m%dT%H%M%S)T' "$((ms / 1000))"
  fi
  ms=$((ms % 1000 + 1000))
  REPLY=$day${ms#1}
}

__gpu_nonce() { # COUNT: so many random hex digits, at most 12
  IFS= read -r REPLY </proc/sys/kernel/random/uuid || REPLY=$(command od -An -N6 -tx1 /dev/urandom)
  REPLY=${REPLY//[!0-9a-f]/}
  REPLY=${REPLY:0:$1}
}

__gpu_me() { # user@host, for records and commands
  REPLY=${USER:-${LOGNAME:-${USERNAME-}}} # the last is zsh's own
  [ -n "$REPLY" ] || REPLY=$(command id -un 2>/dev/null)
  REPLY=$REPLY@${HOSTNAME:-${HOST:-unknown}}
}

__gpu_json() { # TEXT: as a JSON string
  local text=$1 out='' char back=$'\\' quote='"'
  text=${text//"$back"/"$back$back"}
  text=${text//"$quote"/"$back$quote"}
  case $text in
    *[[:cntrl:]]*)
      while [ -n "$text" ]; do
        char=${text:0:1}; text=${text:1}
        case $char in [[:cntrl:]]) printf -v char '\\u%04x' "'$char" ;; esac
        out+=$char
      done
      text=$out ;;
  esac
  REPLY=\"$text\"
}

__gpu_quote() { # TEXT: as one word of a shell; printf %q would spell each byte of a Chinese name
  local char back=$'\\' quote="'"
  REPLY=$1
  case ${REPLY//[\/._+@%:,=-]/} in
    '' | *[[:cntrl:]]*) printf -v REPLY %q "$1" ;;
    *[[:punct:][:space:]]*)
      for char in "$back" ' ' '"' "$quote" '$' '`' '&' '|' ';' '<' '>' '(' ')' '[' ']' '{' '}' '*' '?' '!' '#' '~' '^'; do
        REPLY=${REPLY//"$char"/"$back$char"}
      done ;;
  esac
}

__gpu_escapes() { # VALUE as some other program escaped it: as __gpu_json escapes it
  local text=$1 back=$'\\' pair
  case $text in *[[:cntrl:]]* | *"$back"[bfnrt]*) ;; *) REPLY=$text; return 0 ;; esac
  text=${text//"$back$back"/$'\001'}
  for pair in b0008 f000c n000a r000d t0009; do
    text=${text//"$back${pair:0:1}"/"${back}u${pair:1}"}
  done
  text=${text//$'\177'/"${back}u007f"}
  REPLY=${text//$'\001'/"$back$back"}
}

__gpu_field() { # TEXT KEY: the still escaped value of the first such key; of a value its first 16 KiB
  local piece=${1%%"\"$2\":"*} rest back=$'\\' # bash's # would take longer; of 64 KiB this is quick
  REPLY=
  [ "$piece" != "$1" ] || return 1
  rest=${1:${#piece}+${#2}+3:16384}
  rest=${rest#"${rest%%[! ]*}"}
  case $rest in
    '"'*) rest=${rest#?} ;;
    *) REPLY=${rest%%[,\}]*}; return 0 ;;
  esac
  rest=${rest//"$back$back"/$'\001\001'}; rest=${rest//"$back\""/$'\002\002'} # what is escaped ends nothing
  REPLY=${rest%%\"*}
  REPLY=${REPLY//$'\002\002'/"$back\""}; REPLY=${REPLY//$'\001\001'/"$back$back"}
}

__gpu_plural() { # COUNT NOUN
  __gpu_tr "%s $2"
  if [ "$REPLY" != "%s $2" ]; then REPLY=$1${REPLY#%s}; elif [ "$1" = 1 ]; then REPLY="1 $2"; else REPLY="$1 ${2}s"; fi
}

__gpu_age() { # SECONDS in two units at most: 7s, 4m05s, 3h20m, 2d04h
  local large small
  if [ "$1" -lt 60 ]; then REPLY=${1}s; return 0
  elif [ "$1" -lt 3600 ]; then large=$(($1 / 60))m small=$(($1 % 60))s
  elif [ "$1" -lt 86400 ]; then large=$(($1 / 3600))h small=$(($1 % 3600 / 60))m
  else large=$(($1 / 86400))d small=$(($1 % 86400 / 3600))h
  fi
  case $small in ?[smh]) small=0$small ;; esac
  REPLY=$large$small
}

__gpu_number() { case $1 in '' | *[!0-9]* | 0?* | ????????????????*) return 1 ;; esac; } # TEXT: whether one may count with it

__gpu_size() { # BYTES as 80G, 512M, 79.6G; "?" where it is no number
  local unit tenths one
  __gpu_number "$1" || { REPLY='?'; return 0; }
  if [ "$1" -ge 1099511627776 ]; then unit=T one=1099511627776
  elif [ "$1" -ge 1073741824 ]; then unit=G one=1073741824
  elif [ "$1" -ge 1048576 ]; then unit=M one=1048576
  elif [ "$1" -ge 1024 ]; then unit=K one=1024
  else REPLY=${1}B; return 0
  fi
  tenths=$((($1 * 10 + one / 2) / one)); one=${tenths%?}
  REPLY=$one.${tenths#"$one"}; REPLY=${REPLY%.0}$unit
}

__gpu_duration() { # TEXT: seconds of 90, 30m, 1d12h, 1.5h
  local rest=$1 number unit whole part total=0
  __gpu_check time "$rest" || return 1
  case $rest in *[dhmsDHMS]) ;; *) rest+=s ;; esac
  while [ -n "$rest" ]; do
    number=${rest%%[a-zA-Z]*}; rest=${rest#"$number"}; unit=${rest:0:1}; rest=${rest:1}
    whole=${number%%.*}; part=${number#"$whole"}; part=${part#.}000
    case $unit in [dD]) unit=86400 ;; [hH]) unit=3600 ;; [mM]) unit=60 ;; *) unit=1 ;; esac
    total=$((total + (10#$whole * 1000 + 10#${part:0:3}) * unit))
  done
  REPLY=$((total / 1000))
}

# --- settings that stand in files (docs/settings.md; gpu_queue/conf.py reads them the same way) ---------------------

__gpu_settle() { # JOB_ID and QUEUE_ROOT from files, as far as the environment does not say them; in this subshell alone
  local file files=()
  typeset -A values places
  [ -z "${QUEUE_ROOT-}" ] || [ -z "${JOB_ID-}" ] || return 0
  __gpu_conf_files; files=("${reply[@]}")
  for file in "${files[@]}"; do
    __gpu_conf "$file" ' QUEUE_ROOT JOB_ID ' || return
    [ -n "${QUEUE_ROOT-}" ] || QUEUE_ROOT=${values[QUEUE_ROOT]-}
    [ -n "${JOB_ID-}" ] || JOB_ID=${values[JOB_ID]-}
  done
}

__gpu_is_installed() { # whether this is the client of an installed package
  __gpu_file
  case $REPLY in */gpu_queue/shell/client.sh) [ ! -d "${REPLY%/*}/gpu_queue" ] ;; *) false ;; esac
}

__gpu_beside() { # REPLY = the directory of the scripts, which holds gpu_queue as well; of an installed package the latter
  if __gpu_is_installed; then REPLY=${REPLY%/*/*/*}; else REPLY=${REPLY%/*}; fi
}

__gpu_pythons() { # DIRECTORY: reply = what may be a Python for the gpu_queue in it, the nearest first
  local name=${1%/*}
  name=${name##*/}
  case $1 in
    */lib*/python3*/*-packages) reply=("${1%/*/*/*}/bin/$name" "$name") ;; # only its own reads all of what lies there
    *) reply=("$1/.venv/bin/python3") ;;
  esac
  [ -z "${CONDA_PREFIX-}" ] || reply+=("$CONDA_PREFIX/bin/python3")
  reply+=(python3 python)
}

__gpu_conf_files() { # [DIRECTORY of the scripts]: reply = the files that may hold settings, the strongest first
  local own=${HOME-}/.config
  case ${XDG_CONFIG_HOME-} in /*) own=$XDG_CONFIG_HOME ;; esac
  __gpu_beside; REPLY=${1:-$REPLY}
  reply=("$REPLY/gpu-queue.conf" "$REPLY/submit.sh" "$own/gpu-queue/gpu-queue.conf")
}

__gpu_conf() { # FILE WANTED: what it says of these keys into the caller's values, and where into places; no WANTED: of all
  values=() places=()
  [ -e "$1" ] || return 0
  case $1 in
    */submit.sh) # a program beside us, and only what is written out in it: what a shell would have to work out is not said
      __gpu_read "$1" 8192 || return 0
      REPLY=${REPLY%%'() {'*} # its settings come before its functions
      case $REPLY in *perpetual_motion.py*QUEUE_ROOT=*) __gpu_assignments "$1" ' QUEUE_ROOT ' yes || : ;; esac ;;
    *)
      __gpu_trusts "$1" || return
      __gpu_read "$1" 65537 && [ ${#REPLY} -le 65536 ] || {
        __gpu_fail '%s: expected a text file of KEY=value lines that you may read, at most 64 KiB' "$1"; return
      }
      __gpu_assignments "$1" "${2-}" '' ;;
  esac
}

__gpu_trusts() { # FILE: whether nobody but its user, root, or whoever owns this client may have written it
  local facts owner mode
  __gpu_file
  facts=$(command stat -L -c '%u %a' -- "$1" "$REPLY" 2>/dev/null) # one process, and only where there is such a file
  owner=${facts%% *} mode=${facts#* }; mode=${mode%%$'\n'*} facts=${facts#*$'\n'}
  case " 0 $EUID ${facts%% *} " in
    *" $owner "*) ;;
    *) __gpu_fail '%s: it belongs to uid %s; expected a file of yours, of root, or of whoever owns client.sh' "$1" "$owner"; return ;;
  esac
  [ $((8#$mode & 8#22)) -eq 0 ] || {
    __gpu_quote "$1"
    __gpu_fail '%s: mode %s lets others write it, and it says where scripts go; chmod go-w %s' "$1" "$mode" "$REPLY"
  }
}

__gpu_assignments() { # FILE WANTED [is a script]: its lines KEY=value in REPLY, as __gpu_conf has them
  local text line key number=0 IFS=$'\n'
  text=${REPLY#$'\357\273\277'}
  text=" ${text//$'\t'/ }"
  text=${text//$'\n'/$'\n '} # a blank before each line: empty ones would not be counted
  set -f
  for line in $text; do
    number=$((number + 1))
    case $line in *=*) ;; *) continue ;; esac
    line=${line%$'\r'}; line=${line#"${line%%[! ]*}"}
    case $line in 'export '*) line=${line#export}; line=${line#"${line%%[! ]*}"} ;; esac
    key=${line%%=*}
    case $key in '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
    case ${2:- $key } in *" $key "*) ;; *) continue ;; esac
    if __gpu_value "$key" "${line#*=}"; then
      values[$key]=$REPLY; places[$key]=$1:$number
    elif [ -n "${3-}" ]; then values[$key]=''
    else
      set +f
      __gpu_fail '%s:%s: %s: %s' "$1" "$number" "$key" "$REPLY"; return
    fi
  done
  set +f
}

# shellcheck disable=SC2016,SC2088 # what stands in a file, before anybody has worked it out
__gpu_value() { # KEY TEXT behind its =: REPLY = the value; fails where it is none, REPLY = why
  local text=$2 mark rest
  text=${text#"${text%%[! ]*}"}
  case $text in
    \"* | \'*)
      mark=${text:0:1} text=${text:1}
      rest=${text#*"$mark"}
      case $text in *"$mark"*) ;; *) REPLY='its quote is not closed'; return 1 ;; esac
      text=${text%%"$mark"*}
      case ${rest#"${rest%%[! ]*}"} in '' | '#'*) ;; *) REPLY='more text stands behind its closing quote'; return 1 ;; esac ;;
    '#'*) text='' ;;
    *) text=${text%%' #'*}; text=${text%"${text##*[! ]}"} ;;
  esac
  case $text in '${'"$1"':-'*'}') text=${text#*:-}; text=${text%?} ;; esac
  case $text in
    '~' | '~/'*) text=${HOME-}${text#?} ;;
    '$HOME' | '$HOME/'*) text=${HOME-}${text:5} ;;
    '${HOME}' | '${HOME}/'*) text=${HOME-}${text:7} ;;
  esac
  rest=$text
  case $1 in
    SLURM_WAY_* | SCO_* | RAY_* | K8S_* | WAY_*) for mark in '${GPUS}' '$GPUS'; do rest=${rest//"$mark"/ }; done ;; # a way fills it in
  esac
  case $rest in
    *'$'* | *'`'*) REPLY='it is not run: only ~/ and $HOME/ at the start are understood'; return 1 ;;
    *[[:cntrl:]]*) REPLY='control characters stand in it'; return 1 ;;
  esac
  case $1$text in
    QUEUE_ROOT | QUEUE_ROOT/*) ;;
    QUEUE_ROOT*) REPLY='expected a path that begins with /, ~/ or $HOME/'; return 1 ;;
  esac
  REPLY=$text
}

__gpu_root() { __gpu_home; printf '%s\n' "$REPLY"; } # for submit.sh: what is found here

__gpu_settings() { # DIRECTORY of the scripts: for submit.sh; what each file says, as file, key, place, value, NUL behind each
  local file key keys files=()
  typeset -A values places
  __gpu_conf_files "$1"; files=("${reply[@]}")
  for file in "${files[@]}"; do
    __gpu_conf "$file" '' || return
    if [ -n "${ZSH_VERSION-}" ]; then return 1; fi # submit.sh is bash's
    eval 'keys=("${!values[@]}")'
    for key in "${keys[@]}"; do printf '%s\0' "$file" "$key" "${places[$key]-}" "${values[$key]}"; done
  done
  printf '%s\0' end end end end
}

__gpu_elsewhere() { # reply = other directories of instances in which an agent of JOB_ID was seen
  local file root roots=() found=()
  typeset -A values places
  __gpu_conf_files
  for file in "${reply[@]}"; do
    __gpu_conf "$file" ' QUEUE_ROOT ' 2>/dev/null || continue
    [ -z "${values[QUEUE_ROOT]-}" ] || roots+=("${values[QUEUE_ROOT]}")
  done
  [ -z "${HOME-}" ] || roots+=("$HOME/gpu_queue")
  # What the agents of this machine have noted beside their locks: process, spool, path (gpu_queue/execution/local.py).
  for file in "/tmp/gpu-queue-$EUID"/agents/*/lock; do
    __gpu_read "$file" 8192 && [ -O "$file" ] || continue
    root=${REPLY#*$'\n'*$'\n'}; root=${root%%$'\n'*}
    __gpu_number "${REPLY%%$'\n'*}" && kill -0 "${REPLY%%$'\n'*}" 2>/dev/null || continue
    [ "${root##*/}" != "$JOB_ID" ] || roots+=("${root%/*}")
  done
  __gpu_home
  set -- "$REPLY"
  for root in "${roots[@]}"; do
    for file in "$@"; do [ "$root/$JOB_ID" -ef "$file/$JOB_ID" ] || [ "$root" = "$file" ] || continue; continue 2; done
    set -- "$@" "$root"
    ( __gpu_cd "$root/$JOB_ID" && __gpu_living && [ ${#reply[@]} -gt 0 ] ) && found+=("$root")
  done
  reply=("${found[@]}")
}

__gpu_say_elsewhere() { # where an agent of JOB_ID serves, if not where we look
  local root
  __gpu_elsewhere
  for root in "${reply[@]}"; do
    __gpu_quote "$root"
    __gpu_say '  an agent of %s serves it in %s; to use that one: export QUEUE_ROOT=%s' "$JOB_ID" "$root" "$REPLY"
  done
}

# --- the spool -----------------------------------------------------------------------------------------------------

__gpu_home() { # the directory of all instances
  REPLY=${QUEUE_ROOT:-${HOME-}/gpu_queue}
  # shellcheck disable=SC2088 # a quoted ~ reaches us as it is; submit.sh, the agent and Python take it so, too
  case $REPLY in
    /*) ;;
    '~' | '~/'*) REPLY=${HOME-}${REPLY#?} ;;
    *) REPLY=$PWD/$REPLY ;;
  esac
}

__gpu_check_id() {
  case $1 in
    '') __gpu_usage 'JOB_ID is not set; say which instance: export JOB_ID=NAME or gpu_use NAME (gpu_list shows them)' ;;
    . | .. | */* | -*) __gpu_usage "JOB_ID '%s' cannot be a directory's name; use one without / and without - in front" "$1" ;;
  esac
}

__gpu_enter() { # [make]: into the spool of JOB_ID; only `make` makes one
  local root spool number='' patience=25
  __gpu_check_id "${JOB_ID-}" || return
  __gpu_home; root=$REPLY spool=$REPLY/$JOB_ID
  if [ ! -d "$spool" ]; then
    if [ "${1-}" != make ]; then
      __gpu_fail 'there is no instance %s in %s; gpu_submit or ./submit.sh %s makes it, gpu_list shows the others' "$JOB_ID" "$root" "$JOB_ID"
      __gpu_say_elsewhere
      return 1
    fi
    command mkdir -p -- "$spool" 2>/dev/null
  fi
  __gpu_cd "$spool" || { __gpu_fail 'cannot enter %s; it must be a directory that you may read and write' "$spool"; return; }
  # Directories without PROTOCOL: somebody else is making it; after 5 s that somebody is taken to be dead.
  until { __gpu_read PROTOCOL 20 && number=${REPLY%%$'\n'*} && [ -n "$number" ]; } || [ -e PROTOCOL ] || [ ! -d pending ] || [ "$patience" -eq 0 ]; do
    command sleep 0.2
    patience=$((patience - 1))
  done
  if [ ! -e PROTOCOL ] && [ -z "$number" ]; then
    if [ "${1-}" != make ] && [ -d allocations ] && [ ! -d pending ]; then # by submit.sh
      __gpu_fail '%s: an agent was asked for and has not begun yet (./submit.sh --list %s); gpu_submit may be used already' "$spool" "$JOB_ID"; return
    fi
    [ "${1-}" = make ] || { __gpu_fail '%s has no PROTOCOL file, so it is no spool; gpu_submit makes it one' "$spool"; return; }
    __gpu_make && number=1 || { __gpu_fail 'cannot make the spool %s; check that you may write there and that it is not full' "$spool"; return; }
  fi
  [ "$number" = 1 ] || __gpu_fail "%s speaks protocol '%s', this client speaks 1; use the client.sh that came with its agents" "$spool" "$number"
}

__gpu_make() { # the spool in the current directory: PROTOCOL last, it says that the rest is there
  __gpu_nonce 12
  command mkdir -p pending running 'done' failed records logs control nodes/gone ledger queues gangs events allocations &&
    __gpu_write ".PROTOCOL.$REPLY" $'1\n' && command mv -T -f -- ".PROTOCOL.$REPLY" PROTOCOL
} 2>/dev/null

__gpu_listed() { # DIRECTORY NAME: asked by listing; on NFS a look at the name itself may be wrong for a minute
  local entry
  for entry in "$1"/"$2"*; do # a pattern: the shell reads the directory, and ten thousand names are not looked at one by one
    if [ "$entry" = "$1/$2" ]; then return 0; fi
  done
  return 1
}

__gpu_move() { # SOURCE TARGET: one rename.  An error says nothing: its reply may have been lost, so the truth is listed.
  command mv -T -f -- "$1" "$2" 2>/dev/null && return 0
  __gpu_listed "${2%/*}" "${2##*/}" && ! __gpu_listed "${1%/*}" "${1##*/}"
}

__gpu_move_all() { # DIRECTORY FILE…: each by one rename; reply = those that did not arrive
  local target=$1 file
  shift
  reply=()
  [ $# -eq 0 ] || command mv -f -t "$target" -- "$@" 2>/dev/null && return 0
  for file in "$@"; do
    __gpu_listed "$target" "${file##*/}" || reply+=("$file")
  done
  [ ${#reply[@]} -eq 0 ]
}

__gpu_move_new() { # SOURCE TARGET: the same, but never over a file that is there
  command mv -T -n -- "$1" "$2" 2>/dev/null
  __gpu_listed "${2%/*}" "${2##*/}" && ! __gpu_listed "${1%/*}" "${1##*/}"
}

__gpu_clock() { # DIRECTORY [fine]: the server's time in seconds, by a file just written there; else our own
  local file
  __gpu_nonce 12; file=$1/.now.$REPLY
  if __gpu_write "$file" ''; then
    REPLY=$(command find "$file" -maxdepth 0 -printf %T@ -delete 2>/dev/null)
    if [ -n "${2-}" ]; then REPLY=${REPLY:0:20}; else REPLY=${REPLY%%.*}; fi # ten digits, a point, and nine of find's ten
  else
    REPLY=
  fi
  [ -n "$REPLY" ] || { __gpu_ms; REPLY=$((REPLY / 1000))${2:+.${REPLY#"${REPLY%???}"}}; }
}

__gpu_lines() { # PROGRAM ARGUMENT…: reply = the lines that it says, sorted, by the caller's order if it has one
  local IFS=$'\n'
  set -f
  # shellcheck disable=SC2207,SC2086 # lines are words here
  reply=($(command "$@" 2>/dev/null | command sort ${order-}))
  set +f
}

# --- names (docs/spool.md, "Names") --------------------------------------------------------------------------------

__gpu_plain() { # TEXT: with each run of strange bytes as one _
  local text=${1//[!A-Za-z0-9._+-]/$'\001'}
  while case $text in *$'\001\001'*) true ;; *) false ;; esac; do
    text=${text//$'\001\001'/$'\001'}
  done
  REPLY=${text//$'\001'/_}
}

__gpu_safe_name() { # TEXT: as an id may carry it
  __gpu_plain "$1"
  REPLY=${REPLY:0:119}
  [ -n "$REPLY" ] || REPLY=task
  case $REPLY in
    *.try[0-9]*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) __gpu_is_claim "$REPLY" && REPLY+=_ ;;
  esac
  return 0
}

__gpu_is_claim() { # NAME: whether it ends like a claim
  local number=${1%.??????}
  case $1 in *.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) ;; *) return 1 ;; esac
  case $number in *.try*) number=${number##*.try} ;; *) return 1 ;; esac
  case $number in '' | *[!0-9]* | ??????????*) return 1 ;; esac
}

__gpu_strip() { # a claim's name, ended or not: brought back to PPP-<id>
  REPLY=${1##*/}; REPLY=${REPLY%%=*}
  if __gpu_is_claim "$REPLY"; then REPLY=${REPLY%.try*}; fi
}

__gpu_is_full() { # NAME: whether it is PPP-<id>
  case $1 in
    *[!A-Za-z0-9._+-]*) return 1 ;;
    [0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-?*) ;;
    *) return 1 ;;
  esac
  case $1 in *.try*) ! __gpu_is_claim "$1" ;; esac
}

__gpu_split() { # PATH of a task: priority, id, nonce, title, into the caller's variables of these names
  local rest
  __gpu_strip "$1"
  priority=${REPLY%%-*} id=${REPLY#*-}
  rest=${id#*-}; nonce=${rest%%-*} title=${rest#*-}
}

__gpu_title() { # NAME of a task, a claim or a file dropped by hand: REPLY = what it is called, fit for a terminal
  local id safe text back=$'\\' quote='"'
  __gpu_strip "$1"
  if __gpu_is_full "$REPLY"; then
    id=${REPLY#????}; text=${id#*-}; safe=${text#*-} text=''
    # Only the record has what a _ may stand for; it is believed as far as the id was made of it.
    case $safe in *_*)
      if __gpu_read "records/$id.json" 4096 && __gpu_field "$REPLY" name; then
        __gpu_escapes "$REPLY"
        text=${REPLY//"$back$back"/$'\001'}; text=${text//"$back$quote"/"$quote"}
        text=${text//"${back}u00"??/?}; text=${text//$'\001'/"$back"}
        __gpu_safe_name "$text"
        [ "$REPLY" = "$safe" ] || text=''
      fi ;;
    esac
    REPLY=${text:-$safe}
  else
    REPLY=${1##*/}; REPLY=${REPLY#[0-9][0-9][0-9][-_]}
  fi
  case $REPLY in *[![:print:]]*) __gpu_tame "${REPLY//[[:cntrl:]]/?}" ;; esac
}

__gpu_called() { # PATH of a task: as __gpu_split, with the title for people
  __gpu_split "$1"
  __gpu_title "$1"; title=$REPLY
}

__gpu_full() { # STATE [GLOB of the title]: reply = the paths of that state's tasks in run order; false if all names must be
  # looked at to tell.
  # By the shell's own globbing alone: looking at ten thousand names one by one takes it a fifth of a second.
  local file
  reply=("$1"/*[!A-Za-z0-9._+-]* "$1"/*.try*)
  for file in "${reply[@]:0:1000}"; do
    case ${file##*/} in
      [0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T*) __gpu_strip "$file"; __gpu_is_full "$REPLY" || return ;;
    esac
  done
  [ ${#reply[@]} -le 1000 ] || return
  # shellcheck disable=SC2206 # a glob is meant; it is built from safe bytes only
  reply=("$1"/[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-${2:-?*})
}

__gpu_titled() { # STATE GLOB of safe bytes: reply = the paths of its tasks whose ids carry such a title, in run order; false if
  local glob=$2 # some may have a claim's name
  [ "$glob" != '*' ] || glob='?*' # no title is empty
  if [ "$1" != running ] && __gpu_full "$1" "$glob"; then return 0; fi
  __gpu_tasks "$1" "????????T?????????-??????-$glob"
  return 1
}

__gpu_tasks() { # STATE [PATTERN of the id]: reply = the paths of that state's tasks in run order
  local file name pattern="$1/[0-9][0-9][0-9]-${2:-[0-9]*}" moved=''
  if [ "$1" = pending ] && [ -z "${2-}" ] && __gpu_full pending; then return; fi
  if [ "$1" = running ]; then pattern='running/*/[0-9][0-9][0-9]-[0-9]*'; fi
  # A claim's name that somebody moved back to pending/ is that of its task.
  if [ "$1" = pending ] && [ "${2-}" = "${2//'*'/}" ] && [ -n "${2-}" ]; then moved="$pattern.try*"; fi
  reply=()
  # shellcheck disable=SC2231 # the pattern is meant to be one; it is built from safe bytes only
  for file in $pattern $moved; do
    name=${file##*/}
    case $1 in running | pending)
      __gpu_strip "$name"; name=$REPLY
      # shellcheck disable=SC2254 # as above
      case ${name#????} in ${2:-*}) ;; *) continue ;; esac ;;
    esac
    if __gpu_is_full "$name"; then reply+=("$file"); fi
  done
}

__gpu_drops() { # [HOW MANY TASKS it holds]: reply = hand drops in pending/; REPLY = how many files are skipped, ignored
  local file name skipped=0 ignored=0 everything=(pending/* pending/.[!.]*)
  if [ $# -eq 0 ] && __gpu_full pending; then set -- ${#reply[@]}; fi
  if [ "${1-}" = ${#everything[@]} ]; then reply=() REPLY='0 0'; return; fi
  reply=()
  for file in "${everything[@]}"; do
    name=${file##*/}
    __gpu_strip "$name"
    if __gpu_is_full "$REPLY"; then continue; fi
    case $name in
      .* | *'~' | *.tmp | *.swp) skipped=$((skipped + 1)) ;;
      *) if __gpu_is_script "$file"; then reply+=("$file"); else ignored=$((ignored + 1)); fi ;;
    esac
  done
  REPLY="$skipped $ignored"
}

__gpu_is_script() { [ -f "$1" ] && [ ! -L "$1" ]; } # PATH: directories, links, pipes and sockets stay where they are

__gpu_latest() { # PATH…: reply = the paths, of each task the last one: it may have moved on while it was looked for
  local all=("$@") plain=() i
  typeset -A final
  for ((i = 0; i < $#; i++)); do
    __gpu_strip "${all[i]}"
    if __gpu_is_full "$REPLY"; then REPLY=${REPLY#????}; fi
    plain+=("/$REPLY"); final[/$REPLY]=$i
  done
  reply=()
  for ((i = 0; i < $#; i++)); do
    if [ "${final[${plain[i]}]}" = "$i" ]; then reply+=("${all[i]}"); fi
  done
}

__gpu_find() { # TEXT STATE…: reply = paths of the tasks that TEXT names, is_part whether by a part of their names
  local text=$1 state file plain wanted priority id nonce title found=() exact=() bare=()
  shift
  __gpu_strip "$text"
  if __gpu_is_full "$REPLY"; then REPLY=${REPLY#????}; fi
  if __gpu_is_full "000-$REPLY"; then
    plain=$REPLY
    for state in "$@"; do __gpu_tasks "$state" "$plain"; found+=("${reply[@]}"); done
    __gpu_latest "${found[@]}"
    return
  fi
  case $text in
    [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f])
      for state in "$@"; do __gpu_tasks "$state" "*T*-$text-*"; found+=("${reply[@]}"); done ;;
  esac
  if [ ${#found[@]} -eq 0 ]; then
    __gpu_plain "$text"; plain=$REPLY
    __gpu_json "$text"; wanted=${REPLY#\"}; wanted=${wanted%\"}
    for state in "$@"; do
      __gpu_tasks "$state" "*T*-??????-*$plain*"
      for file in "${reply[@]}"; do
        __gpu_split "$file"
        if [ "$plain" != "$text" ]; then # the original name is kept in the record
          __gpu_record "records/$id.json" && __gpu_field "$REPLY" name && __gpu_escapes "$REPLY" && title=$REPLY || continue
        fi
        __gpu_fits "$title" "$wanted"
      done
      [ "$state" = pending ] || continue
      __gpu_drops
      for file in "${reply[@]}"; do __gpu_fits "${file#pending/}" "$text"; done
    done
    # The very name of a script, with or without its ending, is meant before a part of another's.
    [ ${#exact[@]} -gt 0 ] || exact=("${bare[@]}")
    is_part=1
    if [ ${#exact[@]} -gt 0 ] && [ -n "$text" ]; then found=("${exact[@]}") is_part=''; fi
  fi
  __gpu_latest "${found[@]}"
}

__gpu_fits() { # NAME TEXT: puts the caller's file to those that it found
  local name=${1#[0-9][0-9][0-9]_}
  if [ "$name" = "$2" ] || [ "$1" = "$2" ]; then exact+=("$file"); fi
  if [ "${name%.*}" = "$2" ]; then bare+=("$file"); fi
  case $1 in *"$2"*) found+=("$file") ;; esac
}

__gpu_one() { # TEXT STATES…: REPLY = the one task; each STATES is a group, a later one is asked if none is in the first;
  local text=$1 states file is_part='' likely=() priority id nonce title # with the caller's newest, of equal names that
  shift
  set -- "$@" "$@" # a task that moves on while it is looked for is found the second time
  [ -n "$text" ] || { __gpu_usage 'which task? a name, a part of it, or its six digits; gpu_status shows them'; return; }
  for states in "$@"; do
    # shellcheck disable=SC2086 # a group is a list of words
    __gpu_find "$text" $states
    if [ -n "$is_part" ] && [ ${#reply[@]} -gt 0 ]; then
      # Another group may hold the very name: a part of a waiting one's is not what was meant then.
      likely=("${reply[@]}")
      __gpu_find "$text" pending running 'done' failed
      [ -z "$is_part" ] || reply=("${likely[@]}")
    fi
    if [ ${#reply[@]} -eq 1 ]; then REPLY=${reply[0]}; return 0; fi
    if [ ${#reply[@]} -gt 1 ]; then
      if [ -n "${newest-}" ] && [ -z "$is_part" ]; then __gpu_youngest "${reply[@]}"; return; fi
      __gpu_fail "'%s' fits %s tasks, and nothing was done; name one of them:" "$text" "${#reply[@]}"
      for file in "${reply[@]:0:20}"; do
        __gpu_split "$file"; __gpu_title "$file"
        if [ "$REPLY" = "$title" ]; then __gpu_say '  %s' "$file"; else __gpu_say '  %s  %s' "$file" "$REPLY"; fi
      done
      [ ${#reply[@]} -le 20 ] || __gpu_say '  … and %s more' $((${#reply[@]} - 20))
      return 1
    fi
  done
  states="${*:1:$(($# / 2))}"
  __gpu_fail "no task in %s is called '%s'; gpu_status and gpu_logs show what there is" "${states// //}" "$text"
}

__gpu_youngest() { # PATH…: REPLY = that of the task that was submitted last
  local file best='' last=''
  for file in "$@"; do
    __gpu_strip "$file"
    __gpu_is_full "$REPLY" || continue
    if [[ ${REPLY#????} > $last ]]; then last=${REPLY#????} best=$file; fi
  done
  REPLY=${best:-$1}
}

# Several tasks in one command: names, patterns of titles, all of a serial queue.

__gpu_wishes() { # ARGUMENT…: into the caller's names, queue, yes, and is_all, if one of the names is that word
  local name
  is_all=''
  while [ $# -gt 0 ]; do
    case $1 in
      --) shift; names+=("$@"); break ;;
      --yes) yes=yes ;;
      --queue=*) queue=${1#*=}; __gpu_check queue "$queue" || { __gpu_usage '%s' "$REPLY"; return; } ;;
      --queue)
        [ $# -gt 1 ] || { __gpu_usage '%s needs a value' "$1"; return; }
        queue=$2; shift
        __gpu_check queue "$queue" || { __gpu_usage '%s' "$REPLY"; return; } ;;
      --?*) __gpu_usage 'there is no option %s; gpu_help shows them' "$1"; return ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  for name in "${names[@]}"; do [ "$name" != all ] || is_all=yes; done
  [ -z "$is_all" ] || [ -z "$queue" ] ||
    { __gpu_usage 'all and --queue %s do not go together; type either gpu_%s --queue %s or gpu_%s all' "$queue" "$__gpu_verb" "$queue" "$__gpu_verb"; return; }
}

__gpu_meant() { # STATES GROUP…: reply = the paths of what the caller's names and queue mean: a pattern, all and a queue
  local states=$1 name found=() is_part='' # those in STATES, any other name one in the first GROUP that has it
  shift
  # shellcheck disable=SC2086 # states are words
  if [ -n "$queue" ]; then
    __gpu_of_queue $states
    [ ${#reply[@]} -gt 0 ] || { __gpu_fail 'no task in %s is in the queue %s; gpu_status --queues shows their whole names' "${states// //}" "$queue"; return; }
    found+=("${reply[@]}")
  fi
  for name in "${names[@]}"; do
    if [ "$name" = all ]; then name='*'
    elif __gpu_is_pattern "$name"; then
      # A script may be called so.
      # shellcheck disable=SC2086 # as above
      __gpu_find "$name" $states
      if [ -z "$is_part" ] && [ ${#reply[@]} -eq 1 ]; then found+=("${reply[0]}"); continue; fi
    else
      __gpu_one "$name" "$@" || return
      found+=("$REPLY"); continue
    fi
    # shellcheck disable=SC2086 # as above
    __gpu_fitting "$name" $states
    if [ ${#reply[@]} -eq 0 ] && [ "$name" != '*' ]; then
      __gpu_fail "no task in %s fits '%s'; gpu_status and gpu_logs show what there is" "${states// //}" "$name"
      return
    fi
    found+=("${reply[@]}")
  done
  reply=("${found[@]}")
  case "${#names[@]}$queue $states" in '1 pending' | '1 failed') ;; *) __gpu_latest "${found[@]}" ;; esac
}

__gpu_is_pattern() { # TEXT: whether it is meant as one
  local pieces bounds coarse exact by_bytes is_odd
  case $1 in *[*?]*) return 0 ;; *'['*) __gpu_pattern "$1" ;; *) return 1 ;; esac
}

__gpu_pattern() { # TEXT: into the caller's pieces and bounds what it says, as gpu_queue/spool/desk/find.py reads it: * ? [a-z] [!a-z]
  # of characters of UTF-8, where a [ without a ] is one itself; into coarse, exact, by_bytes, is_odd how most titles are sifted
  # sooner.  Fails where it says no more than a name.
  local chars char i j from kind set is_wild='' is_native=yes
  pieces=() bounds=()
  coarse='' exact=''        # globs: of ids, that fits too many; of plain titles
  by_bytes=yes is_odd=''    # whether the latter tells of any title; whether no id can carry the title
  __gpu_chars "$1"; chars=("${reply[@]}")
  for ((i = 0; i < ${#chars[@]}; i++)); do
    char=${chars[i]}
    case $char in
      '*') pieces+=('*'); exact+='*' coarse=${coarse%'*'}'*' is_wild=yes; continue ;;
      '?') pieces+=('?'); exact+='?' coarse=${coarse%'*'}'*' is_wild=yes by_bytes=''; continue ;;
      '[')
        j=$((i + 1)) kind=+
        case ${chars[j]-} in '!' | '^') kind='!' j=$((j + 1)) ;; esac
        from=$j
        for ((j++; j < ${#chars[@]}; j++)); do [ "${chars[j]}" != ']' ] || break; done
        if [ "$j" -lt ${#chars[@]} ]; then
          i=$j set='' char=$kind${#bounds[@]}
          while [ "$from" -lt "$j" ]; do
            __gpu_code "${chars[from]}"; bounds+=("$REPLY"); set+=${chars[from]}
            if [ $((from + 2)) -lt "$j" ] && [ "${chars[from + 1]}" = - ]; then from=$((from + 2)) set+=-${chars[from]}; fi
            __gpu_code "${chars[from]}"; bounds+=("$REPLY"); from=$((from + 1))
          done
          pieces+=("$char:${#bounds[@]}")
          coarse=${coarse%'*'}'*' is_wild=yes by_bytes=''
          case $set in -* | *- | *--* | *[!A-Za-z0-9._+-]*) is_native='' ;; *) exact+="[${kind#+}$set]" ;; esac
          continue
        fi ;;
    esac
    pieces+=("=$char")
    case $char in
      [A-Za-z0-9._+-]) exact+=$char coarse+=$char ;;
      *) coarse=${coarse%'*'}'*' is_odd=yes is_native='' ;;
    esac
  done
  [ -n "$is_native" ] || exact=''
  [ -n "$is_wild" ]
}

__gpu_chars() { # TEXT: reply = its characters; a byte that belongs to none counts as one
  local i=0 j more
  reply=()
  while [ "$i" -lt ${#1} ]; do
    case ${1:$i:1} in
      [$'\302'-$'\337']) more=1 ;;
      [$'\340'-$'\357']) more=2 ;;
      [$'\360'-$'\364']) more=3 ;;
      *) more=0 ;;
    esac
    for ((j = i + 1; j <= i + more; j++)); do
      [ "$j" -lt ${#1} ] || break
      case $__gpu_tails in *"${1:$j:1}"*) ;; *) break ;; esac
    done
    [ "$j" -gt $((i + more)) ] || more=0
    reply+=("${1:$i:$((more + 1))}"); i=$((i + more + 1))
  done
}

__gpu_suits() { # TITLE: whether the caller's pattern fits it
  local at=0 piece=0 mark=0 back='' one is_so
  if [ -n "$exact" ]; then
    case $1 in *[![:print:]]*) is_so=$by_bytes ;; *) is_so=yes ;; esac
    # shellcheck disable=SC2254 # a pattern is meant; it is built from safe bytes only
    [ -z "$is_so" ] || case $1 in $exact) return 0 ;; *) return 1 ;; esac
  fi
  __gpu_chars "$1"
  while :; do
    one=${pieces[piece]-} is_so=''
    if [ "$one" = '*' ]; then piece=$((piece + 1)) back=$piece mark=$at; continue; fi
    if [ "$at" -eq ${#reply[@]} ]; then [ "$piece" -eq ${#pieces[@]} ]; return; fi
    case $one in
      '?') is_so=yes ;;
      =*) [ "${one:1}" != "${reply[at]}" ] || is_so=yes ;;
      [+!]*) ! __gpu_in_set "${reply[at]}" "$one" || is_so=yes ;;
    esac
    if [ -n "$is_so" ]; then at=$((at + 1)) piece=$((piece + 1)); continue; fi
    [ -n "$back" ] || return 1
    mark=$((mark + 1)) at=$mark piece=$back
  done
}

__gpu_in_set() { # CHARACTER PIECE: whether it is one of those
  local i=${2%:*} to=${2#*:} REPLY
  __gpu_code "$1"
  for ((i = ${i:1}; i < to; i += 2)); do
    if [ "${bounds[i]}" -le "$REPLY" ] && [ "$REPLY" -le "${bounds[i + 1]}" ]; then case $2 in +*) return 0 ;; *) return 1 ;; esac; fi
  done
  case $2 in +*) return 1 ;; esac
}

__gpu_code() { # CHARACTER: REPLY = a number, in the order of characters; zsh compares not all bytes in theirs
  local i byte point=0
  for ((i = 0; i < ${#1}; i++)); do
    printf -v byte %d "'${1:$i:1}"
    point=$((point * 256 + (byte & 255)))
  done
  REPLY=$point
}

__gpu_fitting() { # PATTERN STATE…: reply = the paths of the tasks whose titles fit it
  local state file pieces bounds coarse exact by_bytes is_odd id title files start found=() sheets=() doubtful=()
  typeset -A more
  __gpu_pattern "$1" || :
  shift
  for state in "$@"; do
    start='' sheets=() doubtful=() more=()
    if __gpu_titled "$state" "$coarse"; then start=$((${#state} + 1)); fi
    files=("${reply[@]}")
    if [ "$exact$by_bytes" != '*yes' ]; then
      # A _ in an id may stand for anything; one program tells whose records have more to say.
      for file in "${files[@]}"; do case ${file##*/} in *_*) doubtful+=("$file") ;; esac; done
      for file in "${doubtful[@]}"; do __gpu_strip "$file"; sheets+=("records/${REPLY#????}.json"); done
      __gpu_with '"name": *"[^"]*[^A-Za-z0-9._+"-]' "${sheets[@]}"
      for file in "${reply[@]}"; do more[$file]=1; done
    fi
    if [ "$exact" = "$coarse" ] && [ ${#more[@]} -eq 0 ]; then found+=("${files[@]}")
    else
      for file in "${files[@]}"; do
        if [ -n "$start" ]; then id=${file:$((start + 4))}; else __gpu_strip "$file"; id=${REPLY#????}; fi
        title=${id:26}
        if [ -n "${more[records/$id.json]-}" ]; then __gpu_title "$file"; title=$REPLY
        elif [ -n "$is_odd" ]; then continue
        fi
        if __gpu_suits "$title"; then found+=("$file"); fi
      done
    fi
    [ "$state" = pending ] || continue
    __gpu_drops
    for file in "${reply[@]}"; do
      title=${file#pending/}
      if __gpu_suits "${title#[0-9][0-9][0-9][-_]}"; then found+=("$file"); fi
    done
  done
  reply=("${found[@]}")
}

__gpu_of_queue() { # STATE…: reply = the paths of their tasks that are in the caller's queue, as record or script says
  local state file id tasks=() sheets=() found=() i
  typeset -A given says hit
  for state in "$@"; do
    __gpu_tasks "$state"; found=("${reply[@]}")
    [ "$state" != pending ] || { __gpu_drops "${#reply[@]}"; found+=("${reply[@]}"); }
    tasks+=("${found[@]}")
    case "${found[*]}" in
      running/* | *.try* | *=*) # claims' names
        for ((i = 0; i < ${#found[@]}; i++)); do __gpu_strip "${found[i]}"; found[i]=$state/$REPLY; done ;;
    esac
    found=("${found[@]/#*\/????/records/}"); sheets+=("${found[@]/%/.json}")
  done
  # Two programs for thousands of files, and of these only what they find is looked at.
  __gpu_with "\"queue\": *\"${queue//./[.]}\"" "${sheets[@]}"; for file in "${reply[@]}"; do hit[$file]=record; done
  __gpu_with "^# *GPUQ.*--queue.*${queue//./[.]}" "${tasks[@]}"
  found=()
  for file in "${reply[@]}"; do says[$file]=1; __gpu_strip "$file"; file=pending/$REPLY; found+=("${file/#*\/????/records/}.json"); done
  __gpu_with '"queue": *"' "${found[@]}"; for file in "${reply[@]}"; do given[$file]=1; done
  for file in "${found[@]}"; do [ -n "${given[$file]-}" ] || hit[$file]=script; done
  found=() i=-1
  for id in "${sheets[@]}"; do
    i=$((i + 1))
    case ${hit[$id]-} in
      '') continue ;;
      script)
        file=${tasks[i]}
        [ -n "${says[$file]-}" ] && __gpu_read "$file" 65536 || continue
        __gpu_lane "$REPLY"
        [ "$REPLY" = "$queue" ] || continue ;;
    esac
    found+=("${tasks[i]}")
  done
  reply=("${found[@]}")
}

__gpu_with() { # EXPRESSION FILE…: reply = those of the files that have such a line
  local expression=$1 IFS=$'\n'
  shift
  set -f
  # shellcheck disable=SC2207 # lines are words here; a name with a newline in it is none of ours
  reply=($([ $# -eq 0 ] || printf '%s\0' "$@" | command xargs -0 grep -lsa -e "$expression" -- 2>/dev/null))
  set +f
}

__gpu_ask() { # FORMAT PATH…: on a terminal, if it is about several tasks and the caller's yes is not set: say what will be
  local format=$1 file answer='' priority id nonce title # done, and ask; fails where the answer is not yes
  shift
  [ $# -gt 1 ] && [ -z "$yes" ] && [ -t 0 ] && [ -t 2 ] || return 0
  __gpu_say "$format" $#
  for file in "${@:1:10}"; do
    __gpu_called "$file"
    __gpu_is_full "$priority-$id" || nonce='      '
    __gpu_say '  %s  %s' "$nonce" "$title"
  done
  [ $# -le 10 ] || __gpu_say '  … and %s more' $(($# - 10))
  __gpu_tr 'Go ahead? [y/N] '
  printf '%s' "$REPLY" >&2
  IFS= read -r answer || printf '\n' >&2
  case $answer in [yY] | [yY][eE][sS]) ;; *) __gpu_fail 'nothing was done' ;; esac
}

__gpu_is_seen() { [ -t 1 ] && [ -t 2 ]; } # by a person: a program gets full names

__gpu_became() { # FORMAT PATH: what became of a task; for a person by its title and six digits
  local priority id nonce title
  # shellcheck disable=SC2059 # the format is ours
  __gpu_is_seen || { printf "$1" "${2##*/}"; return; }
  __gpu_called "$2"
  __gpu_put "$1" "$title ($nonce)"
}

__gpu_where() { # ID: REPLY = the path of the task; fails where no state has it
  local state
  for state in pending running 'done' failed; do # as a task moves on
    __gpu_tasks "$state" "$1"
    if [ ${#reply[@]} -gt 0 ]; then REPLY=${reply[0]}; return 0; fi
  done
  return 1
}

# --- a node's page: lines of fields, - for none (docs/spool.md, "The node file in lines") ----------------------------

__gpu_sentence() { # ENGLISH CHINESE: REPLY = the one that this shell's locale wants
  REPLY=$1
  [ -z "$__gpu_zh" ] || REPLY=$2
}

__gpu_pages() { # reply = the nodes whose pages are there, the newest first; beats = when, in the server's seconds
  local i pages=() order=-n # by one listing: thousands of dead nodes cost a moment
  __gpu_lines find nodes -maxdepth 1 -type f -name '[!.]*.json' ! -name '*[!A-Za-z0-9._+-]*' -printf '%T@ %f\n'
  pages=("${reply[@]}"); reply=() beats=()
  for ((i = ${#pages[@]} - 1; i >= 0; i--)); do
    REPLY=${pages[i]%%.*}
    __gpu_number "$REPLY" || REPLY=0
    beats+=("$REPLY"); REPLY=${pages[i]#* }; reply+=("${REPLY%.json}")
  done
}

__gpu_each() { # NODE VERB [KIND]: VERB with the fields of each line of its page; those of KIND into the caller's whole instead
  local line verb=$2 left=3000 wild='' IFS=$'\n'
  __gpu_read "nodes/$1.tsv" || return 1
  # Once: a call for each line of each page would take most of a status's time.
  case $REPLY in *[$'\001'-$'\010'$'\013'-$'\037'$'\177\302\342']*) wild=yes ;; esac
  set -f # no fork, and no read for each line; an empty field would be lost, so there is none
  for line in $REPLY; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || break
    if [ -n "$wild" ]; then __gpu_tame "${line:0:4096}"; line=$REPLY
    elif [ ${#line} -gt 4096 ]; then line=${line:0:4096}
    fi
    if [ -n "${3-}" ]; then case $line in "$3"$'\t'*) whole+=("$line"); continue ;; esac; fi
    IFS=$'\t'
    # shellcheck disable=SC2086 # fields are words
    "$verb" $line
  done
  set +f
}

__gpu_line() { # NODE KIND KEY: REPLY = the rest of that line of its page
  local line start=$2$'\t'$3$'\t' left=3000 IFS=$'\n'
  __gpu_read "nodes/$1.tsv" || return 1
  set -f # bash's % would take the square of the page's size
  for line in $REPLY; do
    left=$((left - 1))
    case $line in "$start"*) REPLY=${line:${#start}:4096}; set +f; return 0 ;; esac
    [ "$left" -gt 0 ] || break
  done
  set +f
  return 1
}

__gpu_fields() { # LINE: into the caller's fields
  local IFS=$'\t'
  set -f
  __gpu_tame "$1"
  # shellcheck disable=SC2206 # fields are words
  fields=($REPLY)
  set +f
}

__gpu_state() { # NODE: REPLY = its state, none where it has no page, "protocol 7" where it is no agent of ours;
  local protocol='' rest fields=() # incarnation into the caller's variable
  incarnation=''
  if [ -f "nodes/$1.tsv" ]; then
    __gpu_read "nodes/$1.tsv" 4096
    __gpu_fields "${REPLY%%$'\n'*}"
    if [ "${fields[0]-}" = agent ]; then protocol=${fields[1]-}; else protocol=unknown; fi
    incarnation=${fields[3]-} REPLY=${fields[4]-}
    [ "$incarnation" != - ] || incarnation=''
  elif __gpu_record "nodes/$1.json"; then # an agent of an earlier version, or one that is just writing its first page
    rest=$REPLY
    if __gpu_field "$rest" protocol; then protocol=$REPLY; fi
    if __gpu_field "$rest" incarnation; then incarnation=$REPLY; fi
    __gpu_field "$rest" state || REPLY=unknown
  elif [ -f "nodes/$1.json" ]; then protocol=unknown
  else
    REPLY=none; return 0
  fi
  [ "$protocol" = 1 ] || { protocol=${protocol:-unknown}; protocol=${protocol:0:20}; REPLY="protocol ${protocol//[![:alnum:]]/?}"; return 0; }
  case $REPLY in '' | *[!a-z]*) REPLY=unknown ;; esac
}

__gpu_try_words() { # GPUS SECONDS LIMIT ENDING: REPLY = "GPU 0,1, 3m20s / 4h00m (stopped)"
  local line="GPU $1"
  if __gpu_number "$2"; then __gpu_age "$2"; line+=", $REPLY"; fi
  if __gpu_number "$3"; then __gpu_age "$3"; line+=" / $REPLY"; fi
  [ "${4:--}" = - ] || line+=" ($4)"
  REPLY=$line
}

__gpu_watch_words() { # TRIES BEATING SILENT LEFT ENDED: what becomes of a silent node's tasks
  local line left
  __gpu_number "$1" && __gpu_number "$2" && __gpu_number "$3" && __gpu_number "$4" || { __gpu_format 'not heard of'; return 0; }
  __gpu_age "$4"; left=$REPLY
  __gpu_age "$3"; __gpu_format 'not heard of for %s' "$REPLY"; line=$REPLY
  case $1,${5:--} in
    0,*) ;;
    1,-) __gpu_format 'its task is taken over in %s if it stays silent' "$left"; line+="; $REPLY" ;;
    1,*) __gpu_format 'its task is taken over in %s: its batch job %s has ended' "$left" "$5"; line+="; $REPLY" ;;
    *,-) __gpu_format 'its %s tasks are taken over in %s if it stays silent' "$1" "$left"; line+="; $REPLY" ;;
    *) __gpu_format 'its %s tasks are taken over in %s: its batch job %s has ended' "$1" "$left" "$5"; line+="; $REPLY" ;;
  esac
  case $2 in
    0) ;;
    1) __gpu_format '1 task gives signs of life there and may go on'; line+="; $REPLY" ;;
    *) __gpu_format '%s tasks give signs of life there and may go on' "$2"; line+="; $REPLY" ;;
  esac
  REPLY=$line
}

__gpu_keeps() { # STATE-OF-THE-GPU ROW: REPLY = what the keep-alive does with it, in words; false where nothing is to be said
  local words fields
  __gpu_fields "$2" # index state duty-percent held-bytes open spent-wh off-by reason
  [ "${fields[1]-}" != off ] || { [ "${fields[7]:--}" != - ] && [ "$1" != busy ]; } || return 1
  __gpu_tr "${fields[1]-}"; words=$REPLY
  if __gpu_number "${fields[2]-}"; then
    __gpu_format ', duty %s%%' "${fields[2]}"; words+=$REPLY
    [ "${fields[4]-}" != open ] || { __gpu_tr ' (not regulated: no utilisation reading)'; words+=$REPLY; }
  fi
  if __gpu_number "${fields[3]-}" && [ "${fields[3]}" -gt 0 ]; then __gpu_size "${fields[3]}"; __gpu_format ', holds %s' "$REPLY"; words+=$REPLY; fi
  if __gpu_number "${fields[5]-}" && [ "${fields[5]}" -gt 0 ]; then
    REPLY=$((fields[5] + 1000)); __gpu_format ', %s kWh today' "$((REPLY / 1000 - 1)).${REPLY:${#REPLY}-3:2}"; words+=$REPLY
  fi
  REPLY=$words
}

# --- what a task asks for (docs/scripts.md; docs/spool.md, "The record") ---------------------------------------------
# gpu_queue/scripts reads scripts, for agents and for whoever submits; what it says of one is a sheet: lines of fields by tabs, as
# gpu_queue/scripts/say.py has them.  Without it a sheet tells of options and #GPUQ lines alone, and the node reads the rest.

__gpu_check() { # OPTION VALUE: fails, with the reason in REPLY, where nobody could obey it
  local form example
  case $1 in
    gpus) form='^[0-9]{1,4}(-[0-9]{1,4})?$' example='2 or 1-4' ;;
    memory) form='^[0-9]+(\.[0-9]+)? *[kmgtKMGT]?([iI]?[bB])?$' example='20G or 512M' ;;
    time) form='^([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?[dhmsDHMS])+)$' example='90s, 30m, 4h or 1d12h' ;;
    queue) form='^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}$' example='car: letters, digits, . _ + -' ;;
    retries | nodes) form='^[0-9]{1,4}$' example=2 ;;
    signal) form='^((all|B):)?(((SIG|sig)?(HUP|INT|QUIT|USR1|USR2|ALRM|TERM|CONT|URG|XCPU|WINCH|PWR|hup|int|quit|usr1|usr2|alrm|term|cont|urg|xcpu|winch|pwr))|1|2|3|10|12|14|15|18|23|24|28|30)(@[0-9]{1,5})?$' example='USR1@120: a signal, and how many seconds before the end' ;;
    notify) form='^[A-Za-z][A-Za-z0-9_-]{0,31}(:(ended|done|failed|group|group-failed))?(,[A-Za-z][A-Za-z0-9_-]{0,31}(:(ended|done|failed|group|group-failed))?){0,7}$' example='ops, or ops:failed,me:group: labels with ended, done, failed, group or group-failed' ;;
    array) form='^[0-9]{1,7}(-[0-9]{1,7}(:[0-9]{1,7})?)?(,[0-9]{1,7}(-[0-9]{1,7}(:[0-9]{1,7})?)?)*(%[0-9]{1,7})?$' example='0-9, 1,3,5 or 0-15%4' ;;
  esac
  __gpu_format "--%s '%s' cannot be understood; for example %s" "$1" "$2" "$example"
  [[ $2 =~ $form ]] || return 1
  case $1 in nodes) [ "$((10#$2))" -ge 1 ] && [ "$((10#$2))" -le 1024 ]; return ;; esac
  [ "$1" != gpus ] || { [ "$((10#${2%-*}))" -le "$((10#${2#*-}))" ] && [ "$((10#${2#*-}))" -le 1024 ]; }
}

__gpu_lane() { # TEXT: REPLY = the serial queue that its #GPUQ lines name
  local count='' duration='' lane='' many='' size='' tries='' warning='' copied=''
  __gpu_head "$1" || lane='' # it will be refused
  REPLY=$lane
}

__gpu_head() { # TEXT: into the caller's count, many, size, lane, duration, tries, warning what its #GPUQ lines say; fails: REPLY = why
  local line IFS=$'\n'
  set -f # the lines are split by IFS: no fork and no temporary file
  for line in ${1:0:65536}; do
    line=${line%$'\r'}
    case $line in
      '#GPUQ' | '#GPUQ'[[:space:]]* | '# GPUQ --'*) __gpu_gpuq "$line" || { set +f; return 1; } ;;
      '#'*) ;;
      *[![:space:]]*) break ;;
    esac
  done
  set +f
}

__gpu_gpuq() { # LINE of directives: into the caller's count, many, size, lane, duration, tries, warning
  local IFS=$' \t' name value line=${1#'#'} # formatters of Python put a blank behind the sign
  line=${line# } line=${line#GPUQ}
  # shellcheck disable=SC2086 # directives are words
  set -- ${line%%'#'*}
  while [ $# -gt 0 ]; do
    name=${1%%=*}
    case $1 in --snapshot) copied=yes; shift; continue ;; esac
    case $name in
      --gpus | --nodes | --memory | --queue | --time | --retries | --signal | --notify) ;;
      *) __gpu_format '#GPUQ knows no %s; expected --gpus, --nodes, --memory, --queue, --time, --retries, --signal, --notify or --snapshot' "$name"; return 1 ;;
    esac
    case $1 in
      *=*) value=${1#*=}; shift ;;
      *)
        [ $# -gt 1 ] || { __gpu_format '#GPUQ %s has no value' "$name"; return 1; }
        value=$2; shift 2 ;;
    esac
    case $value in \"*\" | \'*\') value=${value#?}; value=${value%?} ;; esac
    __gpu_check "${name#--}" "$value" || { REPLY="#GPUQ $REPLY"; return 1; }
    # shellcheck disable=SC2034 # the caller's
    case $name in --gpus) count=$value ;; --nodes) many=$value ;; --memory) size=$value ;; --time) duration=$value ;; --queue) lane=$value ;; --retries) tries=$value ;; --signal) warning=$value ;; esac
  done
}

__gpu_bytes() { # SIZE: REPLY = 20G in bytes
  local number=${1%%[!0-9.]*} unit=${1#"${1%%[!0-9. ]*}"} whole part
  case $unit in [kK]*) unit=1024 ;; [mM]*) unit=1048576 ;; [gG]*) unit=1073741824 ;; [tT]*) unit=1099511627776 ;; *) unit=1 ;; esac
  whole=${number%%.*}; part=${number#"$whole"}; part=${part#.}000
  REPLY=$(((10#${whole:0:9} * 1000 + 10#${part:0:3}) * unit / 1000))
}

__gpu_sheet() { # TEXT: REPLY = the sheet of a script of which only options and #GPUQ lines are read; fails: REPLY = why it cannot be
  local count='' duration='' lane='' many='' size='' tries='' warning='' copied='' source=unread bytes=- seconds=- what word said lines='' tab=$'\t'
  __gpu_head "$1" || return 1
  for what in gpus nodes memory time queue signal; do
    case $what in gpus) word=$count ;; nodes) word=$many ;; memory) word=$size ;; time) word=$duration ;; queue) word=$lane ;; signal) word=$warning ;; esac
    said="#GPUQ --$what $word"
    for REPLY in "${flags[@]}"; do case $REPLY in "--$what="*) word=${REPLY#*=}; said="--$what $word" ;; esac; done
    [ -n "$word" ] || continue
    case $what in
      gpus) count=$((10#${word#*-})) source=gpuq; [ "$((10#${word%-*}))" = "$count" ] || count=$((10#${word%-*}))-$count ;;
      nodes)
        many=$((10#$word))
        [ "$many" -gt 1 ] || continue ;;
      memory) __gpu_bytes "$word"; bytes=$REPLY ;;
      time) __gpu_duration "$word"; seconds=$REPLY ;;
      queue) lane=$word ;;
    esac
    lines+="is$tab$what$tab$word$tab-$tab-$tab-$tab$said$tab$said"$'\n'
  done
  [ -z "$copied" ] || lines+="is${tab}snapshot${tab}yes$tab-$tab-$tab-$tab#GPUQ --snapshot$tab#GPUQ --snapshot"$'\n'
  REPLY="needs$tab${count:-1}$tab-$tab$source$tab$bytes$tab${lane:--}$tab$seconds${tab}promise$tab${tries:--}$tab-$tab${array:--}$tab-$tab${many:-1}"$'\n'$lines
}

__gpu_read_sheets() { # FIRST COUNT: the sheets of these files of the caller, by the first Python that gives them; false if none does
  local index named=() python directory tried=' '
  [ "$pythons" != none ] || return 1
  __gpu_beside; directory=$REPLY
  [ -f "$directory/gpu_queue/scripts/say.py" ] || { pythons=none; return 1; }
  for ((index = $1; index < $1 + $2; index++)); do
    case ${files[index]} in '') named+=(-) ;; /*) named+=("${files[index]}") ;; *) named+=("./${files[index]}") ;; esac
  done
  __gpu_pythons "$directory"
  for python in "${pythons:-${reply[0]}}" "${reply[@]:1}"; do
    case $tried in *" $python "*) continue ;; esac # nor is one that failed flags again
    tried+="$python "
    case $python in /*) [ -x "$python" ] || continue ;; esac
    if __gpu_consult "$2" "$python" "${flags[@]}" -- "${named[@]}" && __gpu_take_sheets "$1" "$2"; then pythons=$python; return 0; fi
  done
  pythons=none
  return 1
}

__gpu_consult() { # COUNT PYTHON OPTION… -- FILE…: REPLY = what the reader says; a program that is none has 10 seconds, and is believed nothing
  local count=$1 python=$2 directory program text=''
  shift 2
  __gpu_beside; directory=$REPLY
  program='import sys
if sys.version_info < (3, 8): sys.exit(9)
sys.path.append(sys.argv.pop(1)) # behind its own: many packages may lie there
from gpu_queue.scripts.say import main
main()'
  [ -n "${files[0]}" ] || text=${texts[0]} # a command is the one text that lies in no file
  # What Python keeps of its modules is for whoever may read them.
  { REPLY=$(umask 022; printf %s "$text" | command timeout "$((count / 20 + 10))" "$python" -I -S -c "$program" "$directory" "$@" | command head -c "$((count * 65536 + 65536))"); } 2>/dev/null
}

__gpu_take_sheets() { # FIRST COUNT: REPLY into the caller's sheets; fails where it is not what the reader says, from its first line to its last
  local line fields=() index=$1 sheet='' is_open='' has_needs='' found=() IFS=$'\n'
  set -f
  for line in $REPLY; do
    case $is_open/$line in
      /"file"$'\t'"$((index - $1))"$'\t'*) is_open=yes sheet='' has_needs='' ;;
      yes/needs$'\t'*)
        IFS=$'\t'
        # shellcheck disable=SC2206 # fields are words
        fields=($line)
        IFS=$'\n'
        [ ${#fields[@]} -ge 12 ] && [ -z "$has_needs" ] && __gpu_is_needs || break
        has_needs=yes sheet+=$line$'\n' ;;
      yes/is$'\t'*$'\t'*$'\t'*$'\t'*$'\t'*$'\t'*$'\t'*) sheet+=$line$'\n' ;;
      yes/warn$'\t'*$'\t'*$'\t'*$'\t'*$'\t'* | yes/refuse$'\t'*$'\t'*$'\t'*$'\t'*$'\t'*) sheet+=$line$'\n' ;;
      yes/error$'\t'*$'\t'*) has_needs=yes sheet+=$line$'\n' ;;
      yes/end) [ -n "$has_needs" ] || break; found+=("$sheet"); index=$((index + 1)) is_open='' ;;
      yes/[a-z]*) ;; # of a later version
      *) found=(); break ;;
    esac
  done
  set +f
  [ -z "$is_open" ] && [ ${#found[@]} -eq "$2" ] || return 1
  sheets+=("${found[@]}")
}

__gpu_is_needs() { # whether the caller's fields are those of needs
  [[ ${fields[1]} =~ ^[0-9]{1,4}(-[0-9]{1,4})?$ && ${fields[2]} =~ ^(-|[0-9]{1,4}(,[0-9]{1,4})*)$ ]] &&
    [[ ${fields[3]} =~ ^[a-z_]+$ && ${fields[4]} =~ ^(-|[0-9]{1,18})$ && ${fields[6]} =~ ^(-|[0-9]{1,18}(\.[0-9]+)?)$ ]] &&
    [[ ${fields[9]} =~ ^(-|[0-9A-Za-z._+,-]+)$ ]] && { [ "${fields[10]}" = - ] || __gpu_check array "${fields[10]}"; } &&
    __gpu_check nodes "${fields[12]-1}"
}

__gpu_understand() { # the caller's files: their sheets; fails where nobody could run one of them, and says why, in a rehearsal at its place
  local index=0 count=$((${#files[@]})) result=0 where
  sheets=()
  while [ "$index" -lt "$count" ]; do # a command line has its limits
    __gpu_read_sheets "$index" "$((count - index < 500 ? count - index : 500))" || break
    index=$((index + 500))
  done
  [ ${#sheets[@]} -eq "$count" ] || sheets=()
  for ((index = 0; index < count; index++)); do
    where=${files[index]}
    if [ "$pythons" = none ]; then
      __gpu_sheet "${texts[index]}" || { __gpu_refuse "$where" "$REPLY"; return; }
      sheets+=("$REPLY")
    else
      __gpu_refusals "${sheets[index]}" "$where" || { result=$?; [ -n "$is_dry" ] || break; }
    fi
  done
  return "$result"
}

__gpu_refuse() { # FILE WHY
  if [ -z "$1" ]; then __gpu_fail '%s; nothing was submitted' "$2"; return; fi
  __gpu_format 'asks for what cannot be: %s' "$2"
  __gpu_fail '%s: %s; nothing was submitted' "$1" "$REPLY"
}

__gpu_refusals() { # SHEET FILE: says why it is refused, if it is
  local line fields=() result=0 IFS=$'\n'
  case $1 in
    *$'\n'refuse$'\t'bad_directive$'\t'* | error$'\t'*) [ -z "$is_dry" ] || return 1 ;;
    *$'\n'refuse$'\t'*) [ -z "$is_dry" ] || return 2 ;;
    *) return 0 ;;
  esac
  set -f
  for line in $1; do
    case $line in refuse$'\t'* | error$'\t'*) ;; *) continue ;; esac
    IFS=$'\t'
    # shellcheck disable=SC2206 # fields are words
    fields=($line)
    IFS=$'\n'
    case ${fields[0]}/${fields[1]} in
      error/*) __gpu_sentence "${fields[1]}" "${fields[2]}"; result=1; __gpu_fail '%s; nothing was submitted' "$REPLY" ;;
      */bad_directive) __gpu_sentence "${fields[4]}" "${fields[5]}"; result=1; __gpu_refuse "$2" "$REPLY" ;;
      *)
        __gpu_sentence "${fields[4]}" "${fields[5]}"; result=2
        if [ "${fields[2]}" = - ]; then __gpu_usage '%s: %s; nothing was submitted' "${2:-gpu_run}" "$REPLY"
        else __gpu_usage '%s: %s; nothing was submitted' "${2:-gpu_run}:${fields[2]}" "$REPLY"
        fi ;;
    esac
    break
  done
  set +f
  return "$result"
}

__gpu_hear() { # SHEET: into the caller's gpus, devices, source, memory, lane, seconds, kind, upstream, array, called, chdir, output, errors,
  # mail, shot, many (nodes), why_gpus, why_nodes, why_memory, why_time, why_name and remarks
  local line fields=() said=$'\n' IFS=$'\n'
  why_gpus='' why_nodes='' why_memory='' why_time='' why_name='' chdir='''' output='' errors='' mail='' shot='' remarks=()
  set -f
  for line in $1; do
    IFS=$'\t'
    # shellcheck disable=SC2206 # fields are words
    fields=($line)
    IFS=$'\n'
    case ${fields[0]} in
      needs)
        gpus=${fields[1]} devices=${fields[2]} source=${fields[3]} memory=${fields[4]} lane=${fields[5]} seconds=${fields[6]%.*}
        kind=${fields[7]} upstream=${fields[9]} array=${fields[10]} called=${fields[11]} many=${fields[12]-1} ;;
      is)
        __gpu_sentence "${fields[6]}" "${fields[7]}"
        case ${fields[3]} in gpu_submit) REPLY="--${fields[1]} ${fields[2]}" ;; esac
        case $said in
          *$'\n'"$REPLY"$'\n'*) [ "${fields[4]}" = - ] || __gpu_format 'line %s' "${fields[4]}" ;; # one line may say all of it
          *) said+=$REPLY$'\n' ;;
        esac
        case ${fields[1]} in
          gpus) why_gpus=$REPLY ;;
          nodes) why_nodes=$REPLY ;;
          memory) why_memory=$REPLY ;;
          time) why_time=$REPLY ;;
          name) [ "${fields[3]}" = gpu_submit ] || why_name=$REPLY ;;
          chdir) chdir=${fields[2]} ;;
          snapshot) shot=yes ;;
          output) output=${fields[2]} ;;
          error) errors=${fields[2]} ;;
          mail) mail=${fields[4]} ;;
        esac ;;
      warn)
        __gpu_sentence "${fields[4]}" "${fields[5]}"
        remarks+=("${fields[2]}:$REPLY") ;;
    esac
  done
  set +f
}

__gpu_asks() { # REPLY = "2 GPUs (torchrun …), 20G each (…), at most 4h00m (…)" of what was heard
  local words size
  [ "$source" != default ] || { __gpu_tr 'the default'; why_gpus=$REPLY; }
  case $source/$devices in
    unread/*) __gpu_tr 'what its script says'; words=$REPLY ;;
    */-)
      case $gpus in
        0) __gpu_tr 'no GPU' ;;
        1) __gpu_tr '1 GPU' ;;
        *-*) __gpu_format '%s to %s GPUs' "${gpus%-*}" "${gpus#*-}" ;;
        *) __gpu_format '%s GPUs' "$gpus" ;;
      esac
      words="$REPLY ($why_gpus)" ;;
    *,*) __gpu_format 'GPUs %s' "$devices"; words="$REPLY ($why_gpus)" ;;
    *) __gpu_format 'GPU %s' "$devices"; words="$REPLY ($why_gpus)" ;;
  esac
  if [ "$many" -gt 1 ]; then __gpu_format ' on each of %s nodes (%s)' "$many" "$why_nodes"; words+=$REPLY; fi
  if [ "$memory" != - ]; then __gpu_size "$memory"; size=$REPLY; __gpu_format ', %s each (%s)' "$size" "$why_memory"; words+=$REPLY; fi
  if [ "$seconds" != - ]; then __gpu_age "$seconds"; size=$REPLY; __gpu_format ', at most %s (%s)' "$size" "$why_time"; words+=$REPLY; fi
  REPLY=$words
}

# --- what agents that are alive could run -----------------------------------------------------------------------------

__gpu_survey() { # [FILE just written]: the agents that gave a sign of life within 90 s: into the caller's nodes, lefts (seconds of their
  # lives), cards (" INDEX:BYTES …"), and default (the GPUs that a script gets which says nothing, as the newest of them has it; else 1)
  local line row now='' name beat newest=-1 left card='' away ours IFS=$'\n' pages=() fields=()
  nodes=() lefts=() fates=() cards=() default=1
  for line in nodes/*.tsv; do pages=("$line"); break; done
  [ ${#pages[@]} -gt 0 ] || return 0
  if [ $# -eq 0 ]; then __gpu_clock control; now=$REPLY; fi
  __gpu_lines find nodes "$@" -maxdepth 1 -type f ! -name '.*' ! -name '*[!A-Za-z0-9._+-]*' '(' -name '*.tsv' -o -path 'records/*' ')' -printf '%T@ %p\n'
  pages=("${reply[@]}")
  for line in "${pages[@]}"; do [ "${line#* }" != "${1-}" ] || now=${line%%.*}; done
  __gpu_number "$now" || return 0
  for line in "${pages[@]}"; do
    name=${line#* } beat=${line%%.*}
    case $name in nodes/*.tsv) ;; *) continue ;; esac
    __gpu_number "$beat" && [ $((now - beat)) -le 90 ] && __gpu_read "$name" || continue
    set -f
    card='' away=' '
    for row in $REPLY; do
      IFS=$'\t'
      # shellcheck disable=SC2206 # fields are words
      fields=($row)
      IFS=$'\n'
      case ${fields[0]} in
        agent)
          [ "${fields[1]-}" = 1 ] || break
          case ${fields[4]-} in stopped | leaving) break ;; esac
          left=${fields[6]-}; left=${left%.*}
          __gpu_number "$left" || left=-
          if [ "$beat" -ge "$newest" ]; then
            newest=$beat default=${fields[5]-}
            case $default in '' | *[!0-9]* | ?????*) default=1 ;; esac
          fi
          nodes+=("${fields[2]-}") lefts+=("$left") fates+=("${fields[10]-}") card=' ' ;;
        gpu)
          [ -n "$card" ] || break
          __gpu_number "${fields[1]-}" && card+="${fields[1]}:${fields[6]-} " ;;
        shared) [ "${fields[4]-}" != left ] || away+="${fields[1]-} " ;;
      esac
    done
    if [ "$away" != ' ' ]; then # what a shared server leaves to others runs nothing of ours
      IFS=' ' ours=' '
      for row in $card; do case $away in *" ${row%%:*} "*) ;; *) ours+="$row " ;; esac; done
      IFS=$'\n' card=$ours
    fi
    set +f
    [ -z "$card" ] || cards+=("$card")
  done
}

__gpu_unable() { # REPLY = why none of the agents that were surveyed can ever run what was heard; fails where one can, or none is alive
  local i card index bytes wanted=${gpus%-*} fit most=0 of_size=0 longest=0 able=0 has='' lives='''' size IFS=' '
  [ ${#nodes[@]} -gt 0 ] && [ "$source" != unread ] || return 1
  for ((i = 0; i < ${#nodes[@]}; i++)); do
    fit=0 index=0
    for card in ${cards[i]}; do
      index=$((index + 1)) bytes=${card#*:}
      if [ "$memory" = - ] || ! __gpu_number "$bytes" || [ "$bytes" -ge "$memory" ]; then
        case ",$devices," in ,-, | *",${card%%:*},"*) fit=$((fit + 1)) ;; esac
      fi
    done
    [ "$index" -le "$most" ] || most=$index
    [ "$fit" -le "$of_size" ] || of_size=$fit
    [ "$index" -gt 0 ] || return 1 # it has not told yet
    if [ "$fit" -ge "$wanted" ]; then has=yes; else fit=''; fi
    if [ "$seconds" = - ] || { [ "$kind" = limit ] && [ "${fates[i]}" != stop ]; } || [ "${lefts[i]}" = - ] || [ "${lefts[i]}" -ge "$seconds" ]; then
      lives=yes
      [ -z "$fit" ] || able=$((able + 1))
    elif [ "${lefts[i]}" -gt "$longest" ]; then longest=${lefts[i]}
    fi
  done
  [ "$able" -lt "$many" ] || return 1
  if [ "$able" -gt 0 ]; then __gpu_format 'it waits for more nodes: of the agents that are alive %s can run its part, and it needs %s' "$able" "$many"
  elif [ "$most" -lt "$wanted" ]; then __gpu_format 'it waits for another node: no agent that is alive has %s GPUs, the most is %s' "$wanted" "$most"
  elif [ -z "$has" ] && [ "$devices" != - ]; then __gpu_format 'it waits for another node: no agent that is alive has GPU %s' "$devices"
  elif [ -z "$has" ] && [ "$wanted" = 1 ]; then __gpu_size "$memory"; __gpu_format 'it waits for another node: no agent that is alive has a GPU of %s' "$REPLY"
  elif [ -z "$has" ]; then __gpu_size "$memory"; size=$REPLY; __gpu_format 'it waits for another node: no agent that is alive has %s GPUs of %s, the most is %s' "$wanted" "$size" "$of_size"
  elif [ -z "$lives" ]; then __gpu_age "$longest"; size=$REPLY; __gpu_format 'it waits for another agent: none that is alive lives as long as its time, the longest has %s left' "$size"
  else __gpu_tr 'it waits for another agent: none that is alive has both its GPUs and so much time left'
  fi
}

# --- submitting ----------------------------------------------------------------------------------------------------

__gpu_submit() {
  local files=() texts=() sheets=() flags=() arguments=() pythons='' needs='' name='' priority='' given='' after='' array='' is_dry='' has_dashes='' words='' tail='' result=0 file git='' snapshot=''
  __gpu_options "$@" || return
  __gpu_operands || return
  [ ${#files[@]} -gt 0 ] || { __gpu_usage 'which script? gpu_submit FILE… [PRIORITY]; gpu_help shows the options'; return; }
  [ -z "$name" ] || [ ${#files[@]} -eq 1 ] || { __gpu_usage '--name is for one script'; return; }
  __gpu_given || return
  for file in "${files[@]}"; do # everything is looked at before anything is queued
    __gpu_take "$file" || return
  done
  __gpu_understand || { result=$?; [ -n "$is_dry" ] && [ ${#sheets[@]} -eq ${#files[@]} ] || return "$result"; }
  __gpu_finish_submit && return "$result"
}

__gpu_run() {
  local files=() texts=() sheets=() flags=() arguments=() pythons='' needs='' name='' priority='' given='' after='' array='' is_dry='' has_dashes='' words='' tail='' result=0 command git='' snapshot=''
  __gpu_options "$@" || return
  files+=("${arguments[@]}") arguments=()
  if [ ${#files[@]} -eq 2 ] && __gpu_is_priority "${files[1]}"; then
    case ${files[0]} in
      *[/[:space:]]*) ;;
      *) [ -e "${files[0]}" ] ||
        { __gpu_usage "quote the command: gpu_run '%s'; if %s is its priority: gpu_run %s --priority %s" "${files[*]}" "${files[1]}" "${files[0]}" "${files[1]}"; return; } ;;
    esac
    priority=$((10#${files[1]})) files=("${files[0]}")
  fi
  [ ${#files[@]} -eq 1 ] || { __gpu_usage "one command, in quotes: gpu_run 'python train.py --epochs 10' [PRIORITY]"; return; }
  case ${files[0]} in *[![:space:]]*) ;; *) __gpu_usage 'the command is empty'; return ;; esac
  command=${files[0]} texts=("#!/usr/bin/env bash"$'\n'"${files[0]}"$'\n')
  if [ -z "$name" ]; then # its first two words
    set -f
    # shellcheck disable=SC2086 # words are wanted
    set -- $command
    set +f
    name=$1${2:+ $2}
  fi
  files=('')
  __gpu_given || return
  __gpu_understand || { result=$?; [ -n "$is_dry" ] && [ ${#sheets[@]} -eq ${#files[@]} ] || return "$result"; }
  __gpu_finish_submit && return "$result"
}

__gpu_python() { # MODULE: REPLY = the first Python that our modules take; fails, with the reason, where there is none, or not that module
  local python directory tried=' '
  __gpu_beside; directory=$REPLY
  [ -f "$directory/$1" ] || { __gpu_fail 'it takes the directory gpu_queue that lies beside client.sh; there is none in %s' "$directory"; return; }
  __gpu_pythons "$directory"
  for python in "${reply[@]}"; do
    case $tried in *" $python "*) continue ;; esac
    tried+="$python "
    case $python in /*) [ -x "$python" ] || continue ;; esac
    command timeout 10 "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 10))' </dev/null >/dev/null 2>&1 || continue
    REPLY=$python
    return 0
  done
  __gpu_fail 'it takes a Python 3.10 or newer: none among%s' "${tried% }"
}

__gpu_load() { # its command line and its files are read by Python alone
  local python program
  __gpu_python gpu_queue/experiments/command.py || return
  python=$REPLY
  __gpu_check_id "${JOB_ID-}" || return
  __gpu_home
  export JOB_ID QUEUE_ROOT="$REPLY"
  # What Python keeps of its modules is for whoever may read them; what is queued is not.
  program='import os, sys
directory = sys.argv.pop(1)
if directory not in sys.path: sys.path.insert(0, directory)
os.umask(0o022)
from gpu_queue.experiments.command import main
os.umask(0o077)
sys.exit(main(sys.argv[1:], "gpu_load"))'
  __gpu_beside
  command "$python" -I -c "$program" "$REPLY" "$@" # with its packages: PyYAML reads a config.yaml
}

__gpu_is_priority() { case $1 in [0-9] | [0-9][0-9] | [0-9][0-9][0-9]) ;; *) return 1 ;; esac; }

__gpu_options() { # ARGUMENT…: into the caller's files, arguments (behind --, if a file is before it), needs, flags (the same for the reader),
  # name, priority, array, after (names), is_dry, snapshot
  local option value
  while [ $# -gt 0 ]; do
    case $1 in
      --)
        shift
        if [ ${#files[@]} -eq 0 ]; then # names that may begin like options, and arguments behind another --
          has_dashes=yes
          while [ $# -gt 0 ] && [ "$1" != -- ]; do files+=("$1"); shift; done
          [ $# -gt 0 ] || return 0
          shift
        fi
        has_dashes=yes arguments=("$@")
        return 0 ;;
      --dry-run) is_dry=yes; shift; continue ;;
      --snapshot) snapshot=yes; shift; continue ;;
      --no-snapshot) snapshot=no; shift; continue ;;
      --?*) option=${1%%=*} ;;
      *) files+=("$1"); shift; continue ;;
    esac
    case $option in
      --gpus | --nodes | --memory | --queue | --time | --retries | --signal | --notify | --name | --after | --priority | --array) ;;
      *)
        if [ "$__gpu_verb" = submit ] && [ ${#files[@]} -gt 0 ]; then
          __gpu_usage 'there is no option %s; gpu_help shows them, and what is for the script stands behind --' "$option"
        else
          __gpu_usage 'there is no option %s; gpu_help shows them' "$option"
        fi
        return ;;
    esac
    case $1 in
      *=*) value=${1#*=}; shift ;;
      *)
        [ $# -gt 1 ] || { __gpu_usage '%s needs a value' "$option"; return; }
        value=$2; shift 2 ;;
    esac
    case $option in
      --name) name=$value ;;
      --after) after+=$value$'\n' ;;
      --priority)
        __gpu_is_priority "$value" || { __gpu_usage "--priority '%s' is no priority; 000 to 999, smaller runs first" "$value"; return; }
        priority=$((10#$value)) ;;
      *)
        __gpu_check "${option#--}" "$value" || { __gpu_usage '%s' "$REPLY"; return; }
        case $option in
          --array) array=$value ;;
          *) needs+="${needs:+, }\"${option#--}\": \"$value\"" ;;
        esac
        flags+=("$option=$value") ;;
    esac
  done
}

# What stands behind the first script may be more scripts, a priority or, as with sbatch, arguments of it.  Where it can be both
# nothing is queued.
__gpu_operands() { # into the caller's files, arguments, priority, tail
  local last word first kind other='' missing='' own='' may=''
  last=$((${#files[@]} - 1))
  if [ "$last" -ge 0 ] && [ ! -e "${files[last]}" ] && __gpu_is_priority "${files[last]}"; then tail=${files[last]} last=$((last - 1)); fi
  if [ -z "$has_dashes" ] && [ "$last" -ge 1 ]; then
    first=${files[0]}
    __gpu_kind "$first"; kind=$REPLY
    for word in "${files[@]:1:$last}"; do
      __gpu_kind "$word"
      case $REPLY in
        "$kind") own=yes ;;
        "missing $kind") own=yes missing=${missing:-$word} ;;
        missing*) missing=${missing:-$word} ;;
        none) other=${other:-$word} ;;
        *) may=yes ;;
      esac
    done
    case $kind in missing* | none) other='' missing='' may='' ;; maybe) may='' ;; esac # the first will be refused, or is no script for sure
    if [ -n "$other" ] && [ -z "$own" ]; then
      case $tail in
        [0-9][0-9][0-9])
          __gpu_commands "--priority $tail" "$last"
          __gpu_usage 'is %s the priority, or an argument of %s? nothing was submitted; type %s or %s' "$tail" "$first" "${reply[@]}"
          return ;;
      esac
      arguments=("${files[@]:1}") files=("$first") tail=''
      return 0
    elif [ -n "$other$missing" ]; then
      __gpu_commands '' "$last"
      word=${missing:-$other}
      if [ -e "$word" ]; then __gpu_tr 'is no script'; else __gpu_tr 'there is no such file'; fi
      __gpu_fail '%s: %s; nothing was submitted; for arguments of %s: %s' "$word" "$REPLY" "$first" "${reply[1]}"
      return
    elif [ -n "$may" ]; then
      __gpu_commands '' "$last"
      __gpu_usage 'are these scripts, or %s with arguments? nothing was submitted; type %s or %s' "$first" "${reply[@]}"
      return
    fi
  fi
  [ -n "$tail" ] || return 0
  priority=$((10#$tail))
  files=("${files[@]:0:${#files[@]}-1}")
}

__gpu_commands() { # OPTIONS LAST: reply = how one types the caller's files as scripts (with OPTIONS: as arguments up to LAST), and as arguments
  local word rest='' every='' some='' count=0
  for word in "${flags[@]}"; do __gpu_quote "$word"; rest+=" $REPLY"; done
  while [ -n "$after" ]; do __gpu_quote "${after%%$'\n'*}"; rest+=" --after $REPLY"; after=${after#*$'\n'}; done
  [ -z "$name" ] || { __gpu_quote "$name"; rest+=" --name $REPLY"; }
  for word in "${files[@]:1}"; do
    __gpu_quote "$word"; every+=" $REPLY"
    count=$((count + 1))
    [ "$count" -gt "$2" ] || some+=" $REPLY"
  done
  __gpu_quote "${files[0]}"
  if [ -n "$1" ]; then reply=("gpu_submit$rest $1 $REPLY --$some"); else reply=("gpu_submit$rest -- $REPLY$every"); fi
  reply+=("gpu_submit$rest${priority:+ --priority $priority} $REPLY --$every")
}

__gpu_kind() { # PATH: REPLY = sh or py: a script; maybe: a text that may be one; missing sh, missing py: it is called so; none: it cannot be
  local kind=none
  case ${1##*/} in
    ?*.sh | ?*.bash | ?*.zsh | ?*.ksh | ?*.slurm | ?*.sbatch | ?*.pbs | ?*.lsf | ?*.job) kind='sh' ;;
    ?*.py) kind=py ;;
  esac
  if [ ! -e "$1" ]; then
    case $kind in none) ;; *) kind="missing $kind" ;; esac
  elif [ ! -f "$1" ]; then kind=none
  elif [ "$kind" = none ] && __gpu_read "$1" 256; then
    case ${REPLY%%$'\n'*}/${1##*/} in
      '#!'*python*) kind=py ;;
      '#!'*) kind='sh' ;;
      */?*.?*) ;; # config.yaml
      *) kind=maybe ;;
    esac
  fi
  REPLY=$kind
}

__gpu_take() { # FILE: look at it; into the caller's texts
  local file=$1 why='' text=''
  if [ ! -e "$file" ]; then __gpu_tr 'there is no such file'; why=$REPLY
  elif [ -d "$file" ]; then __gpu_tr 'is a directory'; why=$REPLY
  elif [ ! -f "$file" ]; then __gpu_tr 'is no regular file'; why=$REPLY
  elif [ ! -s "$file" ]; then __gpu_tr 'is empty'; why=$REPLY
  else
    __gpu_read "$file"
    case $? in
      1) __gpu_tr 'cannot be read'; why=$REPLY ;;
      2) __gpu_tr 'is a binary, no script'; why=$REPLY ;;
      *) text=$REPLY ;;
    esac
    if [ ${#text} -ge 1048576 ]; then # bash reads no more of it
      REPLY=$(command stat -L -c %s -- "$file" 2>/dev/null)
      [ "${REPLY:-0}" -le 16777216 ] || { __gpu_format 'has %s bytes; a script has at most 16777216' "$REPLY"; why=$REPLY; }
    fi
  fi
  [ -z "$why" ] || { __gpu_fail '%s: %s; nothing was submitted' "$file" "$why"; return; }
  texts+=("$text")
}

__gpu_given() { # what --after named, and the arguments, into the caller's needs, flags and words (the record's arguments)
  local one ids=''
  __gpu_ask_git
  if [ -n "$after" ]; then
    reply=()
    one=$(__gpu_enter && __gpu_after) || return
    set -f
    for one in $one; do ids+="${ids:+, }\"$one\""; flags+=("--after=$one"); done
    set +f
    needs+="${needs:+, }\"after\": [$ids]"
  fi
  words=''
  for one in "${arguments[@]}"; do
    if [ $((${#words} + ${#one})) -le 49152 ]; then __gpu_json "$one"; else REPLY=$one; fi
    words+="${words:+, }$REPLY"
    flags+=("--arg=$one")
    [ ${#words} -le 49152 ] || break
  done
  # A record has at most 64 KiB, and some of that is for the names of the script and its directory.
  [ ${#needs} -le 49152 ] || { __gpu_fail '--after names too many tasks; have one task wait for some of them, and this one for that'; return; }
  [ $((${#needs} + ${#words})) -le 49152 ] || __gpu_fail 'the arguments are too long for a record; put them into a file'
}

__gpu_ask_git() { # begin to ask at which commit the directory is: into the caller's git, a descriptor
  local above=$PWD
  until [ -e "$above/.git" ]; do
    case $above in */*) above=${above%/*} ;; *) return 0 ;; esac # nobody starts a git for that
  done
  exec {git}< <(command env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE GIT_OPTIONAL_LOCKS=0 timeout 1 \
    git -c core.fsmonitor=false status --porcelain=v2 --branch --untracked-files=no </dev/null 2>/dev/null)
}

__gpu_hear_git() { # into the caller's commit: what it says, as a record's code; empty where it does not in time
  local line oid='' dirty=false
  commit=''
  [ -n "$git" ] || return 0
  while IFS= read -r -t 1 line <&"$git"; do
    case $line in '# branch.oid '*) oid=${line##* } ;; '#'*) ;; *) dirty=true; break ;; esac
  done
  exec {git}<&-
  case ${#oid}/$oid in */*[!0-9a-f]*) ;; 40/* | 64/*) commit="{\"commit\": \"$oid\", \"dirty\": $dirty}" ;; esac
}

__gpu_codes() { # into the caller's codes and shots, for each of its files: the code of its record, and the key of its snapshot, which is taken now
  local index line commit='' sought=() numbers=() ended program python
  __gpu_hear_git
  for ((index = 0; index < ${#files[@]}; index++)); do
    __gpu_hear "${sheets[index]}"
    __gpu_directory
    codes+=('') shots+=('')
    case $snapshot$shot in
      yes*)
        numbers+=("$index") sought+=("$REPLY")
        case ${files[index]} in '' | /*) sought+=("${files[index]}") ;; *) sought+=("$cwd/${files[index]#./}") ;; esac ;;
      *) [ "$REPLY" != "$cwd" ] || codes[index]=$commit ;;
    esac
  done
  [ ${#sought[@]} -gt 0 ] || return 0
  __gpu_python 'gpu_queue/spool/desk/shelldoor.py' || return
  python=$REPLY
  program='import os, sys
directory = sys.argv.pop(1)
if directory not in sys.path: sys.path.insert(0, directory)
os.umask(0o022)
from gpu_queue.spool.desk.shelldoor import main
os.umask(0o077)
main()'
  __gpu_beside
  REPLY=$(command "$python" -I -S -c "$program" "$REPLY" "$PWD" "$cwd" "${sought[@]}")
  ended=$?
  __gpu_split_lines "$REPLY"
  index=-1
  for line in "${reply[@]}"; do
    case $line in
      code$'\t'*) index=$((index + 1)); codes[numbers[index]]=${line#*$'\t'}; __gpu_field "$line" snapshot; shots[numbers[index]]=$REPLY ;;
      note$'\t'*) __gpu_note "${files[${numbers[index]}]:-gpu_run}" "${line#*$'\t'}" ;;
      refuse$'\t'*)
        line=${line#*$'\t'}
        __gpu_sentence "${line%%$'\t'*}" "${line#*$'\t'}"
        __gpu_fail '%s; nothing was submitted' "$REPLY"
        return "$ended" ;;
    esac
  done
  [ "$ended" -eq 0 ] && [ $((index + 1)) -eq ${#numbers[@]} ] ||
    { __gpu_fail '%s; nothing was submitted' "$python: status $ended"; return 1; }
}

__gpu_after() { # the ids of what the caller's after names, a line each
  local rest=$after
  while [ -n "$rest" ]; do
    __gpu_one "${rest%%$'\n'*}" 'pending running' 'done failed' || return
    __gpu_strip "$REPLY"
    __gpu_is_full "$REPLY" || { __gpu_fail '--after %s: it was dropped by hand and has no id before it runs' "$REPLY"; return; }
    printf '%s\n' "${REPLY#????}"
    rest=${rest#*$'\n'}
  done
}

__gpu_finish_submit() { # publish the caller's texts
  local cwd=$PWD default=1 nodes=() lefts=() fates=() cards=() total=0 file
  local gpus devices source memory lane seconds kind upstream called many=1 chdir output errors mail why_gpus why_nodes why_memory why_time why_name remarks=()
  local shot codes=() shots=()
  priority=$((${priority:-500} + 1000)); priority=${priority#1}
  if [ -n "$is_dry" ]; then __gpu_rehearse; return; fi
  __gpu_enter make || return
  __gpu_codes || return
  __gpu_publish || return
  # Many files in one call may have stamps ahead of the clock; the next call must not get lower ones.
  __gpu_ms
  total=$((__gpu_last_ms - REPLY))
  if [ "$total" -gt 0 ]; then total=$((total + 1001)); command sleep "$((total / 1000 - 1)).${total:${#total}-3}"; fi
  __gpu_somebody || {
    __gpu_say 'no agent serves %s in %s yet; start one with ./submit.sh %s' "$JOB_ID" "${PWD%/*}" "$JOB_ID"
    __gpu_say_elsewhere
  }
}

__gpu_somebody() { # whether there may be an agent: it is flags after every submission, and starts no process
  local file incarnation left=20
  for file in nodes/*.json; do
    left=$((left - 1)) file=${file#nodes/}
    [ "$left" -gt 0 ] || return 0
    __gpu_state "${file%.json}"
    case $REPLY in stopped | none | 'protocol '*) ;; *) return 0 ;; esac
  done
  return 1
}

__gpu_indices() { # ARRAY: reply = its indices, none for -; REPLY = how many of them may run at once, 0: all
  local limit=0 list=$1 piece from to step last=0 order='' IFS=,
  reply=()
  [ "$1" != - ] || { REPLY=0; return 0; }
  case $list in *%*) limit=$((10#${list##*%})); list=${list%%\%*} ;; esac
  for piece in $list; do
    step=1
    case $piece in *:*) step=$((10#${piece#*:})); piece=${piece%:*} ;; esac
    from=$((10#${piece%-*})) to=$((10#${piece#*-}))
    [ "$step" -gt 0 ] && [ "$from" -le "$to" ] && [ $(((to - from) / step + ${#reply[@]})) -lt 10000 ] || return 1
    for ((; from <= to; from += step)); do
      [ ${#reply[@]} -eq 0 ] || [ "$from" -gt "$last" ] || order='-n -u'
      reply+=("$from") last=$from
    done
  done
  [ -z "$order" ] || __gpu_lines printf '%s\n' "${reply[@]}"
  REPLY=$limit
}

__gpu_publish() { # all of the caller's files, or none: records, then scripts, synced, then the renames that commit
  local index stage='' title id stamp me file script record own place common scripts=() records=() fulls=() numbers=() where=0 lost=()
  local begins=() indices=() limit at job step count tongue
  { [ -d pending ] && [ -d records ]; } || command mkdir -p -- pending records 2>/dev/null # somebody has tidied up
  __gpu_me
  __gpu_json "${REPLY%@*}"; me="\"user\": $REPLY"
  __gpu_json "${HOSTNAME:-${HOST:-}}"; me+=", \"host\": $REPLY"
  __gpu_hear "${sheets[0]}"
  if [ ${#files[@]} -gt 1 ] || [ "$array" != - ]; then
    __gpu_nonce 12; stage=pending/.$REPLY
    command mkdir -- "$stage" 2>/dev/null || { __gpu_unwritten "$stage"; return; }
  fi
  for ((index = 0; index < ${#files[@]}; index++)); do
    begins+=("${#fulls[@]}")
    file=${files[index]}
    __gpu_hear "${sheets[index]}"
    __gpu_titled_as "$file"; title=$REPLY
    __gpu_json "$title"; common=$REPLY
    case $title in ?*.py) tongue=.py ;; *) tongue='' ;; esac # by it a script without a #! line is run
    own=''
    if [ -n "$file" ]; then
      case $file in /*) place=$file ;; *) place=$cwd/${file#./} ;; esac
      __gpu_json "$place"; own=", \"path\": $REPLY"
    fi
    __gpu_directory; __gpu_json "$REPLY"; own+=", \"cwd\": $REPLY, $me"
    __gpu_indices "$array"; limit=$REPLY indices=("${reply[@]}") count=${#reply[@]} job='' step=1
    if [ "$count" -gt 1 ]; then
      step=$((indices[1] - indices[0]))
      for ((at = 2; at < count; at++)); do [ $((indices[at] - indices[at - 1])) -eq "$step" ] || { step=1; break; }; done
    fi
    for ((at = 0; at < (count ? count : 1); at++)); do
      __gpu_stamp; stamp=$REPLY
      __gpu_nonce 6; id=$stamp-$REPLY
      if [ "$count" -eq 0 ]; then __gpu_safe_name "$title"; else __gpu_plain "${title%"$tongue"}"; __gpu_safe_name "${REPLY:0:100}_${indices[at]}$tongue"; fi
      id+=-$REPLY job=${job:-$id}
      record="{\"protocol\": 1, \"id\": \"$id\", \"name\": "
      if [ "$count" -eq 0 ]; then record+=$common; else record+="${common%"$tongue\""}_${indices[at]}$tongue\""; fi
      record+="$own, \"submitted_at\": \"${stamp:0:4}-${stamp:4:2}-${stamp:6:5}:${stamp:11:2}:${stamp:13:2}Z\""
      if [ "$limit" -gt 0 ] && [ "$limit" -lt "$count" ] && [ "$lane" = - ]; then
        record+=", \"needs\": {$needs${needs:+, }\"queue\": \"${job:0:25}.$((at % limit))\"}"
      else
        record+="${needs:+, \"needs\": {$needs\}}"
      fi
      record+="${words:+, \"arguments\": [$words]}${codes[index]:+, \"code\": ${codes[index]}}"
      [ "$count" -eq 0 ] ||
        record+=", \"array\": {\"job\": \"$job\", \"index\": ${indices[at]}, \"min\": ${indices[0]}, \"max\": ${indices[count - 1]}, \"step\": $step, \"count\": $count, \"limit\": $limit}"
      script=pending/.$id
      if [ -n "$stage" ]; then script=$stage/$priority-$id; fi
      fulls+=("$priority-$id") scripts+=("$script") records+=("records/$id.json") numbers+=("${indices[at]-}")
      __gpu_write "records/$id.json" "$record}"$'\n' && __gpu_script "$script" "${texts[index]}" "$place" ||
        { __gpu_unwritten "$script"; return; }
    done
  done
  __gpu_sync "${records[@]}" "${scripts[@]}" || { __gpu_unwritten "$script"; return; }
  if [ -z "$stage" ]; then
    __gpu_move "$script" "pending/${fulls[0]}" || where=1
  else
    for ((at = 0; at < ${#scripts[@]}; at += 200)); do # a command line has its limits
      __gpu_move_all pending "${scripts[@]:$at:200}" || where=1
    done
    command rmdir -- "$stage" 2>/dev/null
  fi
  __gpu_survey "${records[0]}"
  for ((index = 0; index < ${#files[@]}; index++)); do __gpu_published; done
  [ ${#lost[@]} -gt 0 ] || return 0
  scripts=() records=() # of the others are in use
  for script in "${lost[@]}"; do
    if [ -z "$stage" ]; then scripts+=("pending/.${script#????}"); else scripts+=("$stage/$script"); fi
    records+=("records/${script#????}.json")
  done
  __gpu_unwritten "pending/${lost[0]}"
}

__gpu_titled_as() { # FILE: REPLY = what its task is called
  REPLY=${1##*/}
  if [ -n "$name" ]; then REPLY=$name; elif [ "$called" != - ]; then REPLY=$called; fi
}

__gpu_directory() { # REPLY = where what was heard runs
  case $chdir in '') REPLY=$cwd ;; /*) REPLY=$chdir ;; *) REPLY=$cwd/${chdir#./} ;; esac
}

__gpu_published() { # says what became of the caller's file with that index, and what there is to say of it
  local unlinked=$'\n' first=${begins[index]} last full title nonce='' nonces=() asks list file=${files[index]} one job number
  last=${begins[index + 1]-${#fulls[@]}}
  __gpu_hear "${sheets[index]}"
  [ "$source" != default ] || gpus=$default
  __gpu_titled_as "$file"; title=$REPLY
  job=${fulls[first]#????}
  for ((one = first; one < last; one++)); do
    full=${fulls[one]}
    # Not in pending/ after an error: perhaps an agent was faster.
    if [ "$where" -ne 0 ] && ! __gpu_where "${full#????}"; then lost+=("$full"); continue; fi
    if [ ! -t 1 ] || [ ! -t 2 ]; then printf '%s\n' "$full"; fi # on a terminal the sentence says enough
    nonce=${full:23:6} nonces+=("$nonce")
  done
  [ ${#nonces[@]} -gt 0 ] || return 0
  __gpu_asks; asks=$REPLY
  if [ -n "$why_name" ] && [ -z "$name" ]; then __gpu_format '; %s is called so by %s' "${file##*/}" "$why_name"; asks+=$REPLY; fi
  if [ ${#arguments[@]} -gt 0 ]; then __gpu_spelled; __gpu_format '; its arguments: %s' "$REPLY"; asks+=$REPLY; fi
  if [ -n "${shots[index]}" ]; then __gpu_format '; in a copy of snapshot %s' "${shots[index]:0:12}"; asks+=$REPLY; fi
  list=$array
  [ ${#list} -le 80 ] || list=${list:0:80}…
  if [ "$array" = - ]; then __gpu_say '%s: queued as %s, priority %s, asks for %s' "$title" "$nonce" "$priority" "$asks"
  else __gpu_say '%s, array %s: queued as %s tasks, %s to %s, priority %s, each asks for %s' "$title" "$list" "${#nonces[@]}" "${nonces[0]}" "$nonce" "$priority" "$asks"
  fi
  __gpu_remark "$file"
  for ((one = first; one < last; one++)); do
    [ -n "$output$errors" ] || break
    __gpu_links "${fulls[one]#????}" "${numbers[one]}"
  done
}

__gpu_spelled() { # REPLY = the caller's arguments, as one types them
  local one spelled=''
  for one in "${arguments[@]}"; do
    __gpu_quote "$one"; spelled+="${spelled:+ }$REPLY"
    [ ${#spelled} -le 200 ] || { spelled=${spelled:0:200}…; break; }
  done
  REPLY=$spelled
}

__gpu_remark() { # FILE: a line for each thing that its submitter should know
  local one file=$1 limit
  for one in "${remarks[@]}"; do
    case $one in -:*) __gpu_note "${file:-gpu_run}" "${one#*:}" ;; *) __gpu_note "${file:-gpu_run}:${one%%:*}" "${one#*:}" ;; esac
  done
  if [ "$pythons" = none ] && [ "$index" -eq 0 ]; then
    __gpu_tr 'only options and #GPUQ lines were read (the rest takes a Python 3.8 or newer, and gpu_queue beside client.sh); the node reads all of it'; __gpu_note "${file:-gpu_run}" "$REPLY"
  fi
  if __gpu_unable; then __gpu_note "${file:-gpu_run}" "$REPLY"; fi
  if [ "$upstream" != - ] && [ -z "$after" ]; then # of its --dependency
    for one in ${upstream//,/ }; do
      __gpu_where "$one" || { __gpu_format 'it waits for %s, which is not in this queue' "$one"; __gpu_note "${file:-gpu_run}" "$REPLY"; }
    done
  fi
  limit=${array##*%}
  if [ "$limit" != "$array" ] && [ "$lane" != - ]; then
    __gpu_format 'its tasks run one at a time, as they are in queue %s; %%%s does not count' "$lane" "$limit"; __gpu_note "$file" "$REPLY"
  fi
  if [ -n "$mail" ]; then __gpu_tr 'nobody is mailed yet; gpu_wait waits for its end'; __gpu_note "$file:$mail" "$REPLY"; fi
  # shellcheck disable=SC2016 # a script's own words
  case $has_dashes$tail/${#files[@]}/${texts[0]} in
    [0-9]/1/*'$'[1-9@*]* | [0-9][0-9]/1/*'$'[1-9@*]* | [0-9]/1/*'${'[1-9@*]* | [0-9][0-9]/1/*'${'[1-9@*]*)
      __gpu_quote "$file"; one=$REPLY
      __gpu_format '%s is taken for its priority; as its argument: gpu_submit %s -- %s' "$tail" "$one" "$tail"; __gpu_note "$file" "$REPLY" ;;
  esac
}

__gpu_note() { # FILE TEXT
  if [ -n "$is_dry" ]; then __gpu_format 'note: %s' "$2"; __gpu_put '  %s\n' "$REPLY"
  else __gpu_say 'note: %s: %s' "$1" "$2"
  fi
}

__gpu_links() { # ID INDEX: where the script's --output and --error point to, links to its log; what failed is put to the caller's unlinked
  local id=$1 at=$2 pattern place before='' log=$PWD/logs/$1.log directory
  __gpu_directory; directory=$REPLY
  for pattern in "$output" "$errors"; do
    case $unlinked in *$'\n'"$pattern"$'\n'*) continue ;; esac # it is said once
    [ -n "$pattern" ] || continue
    if ! __gpu_place "$pattern"; then __gpu_note "$file" "$REPLY"; unlinked+=$pattern$'\n'; continue; fi
    place=$REPLY
    case $place in /dev/* | "$before") continue ;; /*) ;; *) place=$directory/${place#./} ;; esac
    before=$place
    if [ -L "$place" ]; then
      case $(command readlink -- "$place") in
        "$log") continue ;;
        */logs/????????T?????????-??????-*.log) command rm -f -- "$place" 2>/dev/null ;;
      esac
    fi
    command ln -s -T -- "$log" "$place" 2>/dev/null && continue
    unlinked+=$pattern$'\n'
    if [ -e "$place" ] || [ -L "$place" ]; then __gpu_format '%s is there already and stays as it is; its output goes to %s' "$place" "$log"
    elif [ ! -d "${place%/*}" ]; then __gpu_format '%s is missing, so there is no link to its log, %s' "${place%/*}" "$log"
    else __gpu_format '%s, a link to its log, could not be made; the log is %s' "$place" "$log"
    fi
    __gpu_note "$file" "$REPLY"
  done
}

__gpu_place() { # PATTERN of --output: REPLY = the path that it means for the caller's id and at; fails, with the reason in REPLY
  local rest=$1 out='' width value back=$'\\'
  case $rest in
    *"$back"*) REPLY=${rest//"$back"/}; return 0 ;; # then sbatch replaces nothing
    *'$'* | *: | */) __gpu_format '%s is not followed; gpu_logs shows its log' "$1"; return 1 ;;
  esac
  while case $rest in *%*) true ;; *) false ;; esac; do
    out+=${rest%%\%*}; rest=${rest#*%}
    width=${rest%%[!0-9]*}; rest=${rest#"$width"}
    case $rest in
      %*) value=% width='' ;;
      [jJ]*) __gpu_job_number "$id"; value=$REPLY ;;
      A*) __gpu_job_number "$job"; value=$REPLY ;;
      a*) value=${at:-4294967294} ;;
      x*) value=${title//\//_} width='' ;;
      u*) __gpu_me; value=${REPLY%@*} width='' ;;
      [nts]*) value=0 ;;
      *) __gpu_format '%s is known only on the node, so there is no link to its log; gpu_logs shows it' "$1"; return 1 ;;
    esac
    width=${width:0:2}
    while [ ${#value} -lt $((10#${width:-0})) ] && [ ${#value} -lt 10 ]; do value=0$value; done
    out=$out$value rest=${rest:1}
  done
  REPLY=$out$rest
}

__gpu_job_number() { # ID: REPLY = the number that the task sees as SLURM_JOB_ID (gpu_queue/task.py)
  local drawn high low
  if [ "$1" != "${numbered-}" ]; then
    drawn=$(printf %s "$1" | command sha256sum) numbered=$1
    high=$((16#${drawn:0:8})) low=$((16#${drawn:8:8}))
    number=$((67108864 + ((high % 2080374784) * (4294967296 % 2080374784) + low) % 2080374784))
  fi
  REPLY=$number
}

__gpu_rehearse() { # gpu_submit --dry-run: the whole reading, and nothing is queued
  local index line lines=() views=() language=en
  [ -z "$__gpu_zh" ] || language=zh
  for ((index = 0; index < ${#files[@]}; index++)); do
    case ${files[index]} in '') lines+=(-) ;; /*) lines+=("${files[index]}") ;; *) lines+=("$cwd/${files[index]#./}") ;; esac
  done
  if __gpu_enter 2>/dev/null; then __gpu_survey; fi
  index=-1
  if [ "$pythons" != none ] && __gpu_consult "${#files[@]}" "$pythons" "${flags[@]}" "--default-gpus=$default" "--people=$language" -- "${lines[@]}"; then
    __gpu_split_lines "$REPLY"
    for line in "${reply[@]}"; do
      case $line in
        ' '*) [ "$index" -lt 0 ] || views[index]+=$line$'\n' ;;
        *) index=$((index + 1)) views[index]='' ;;
      esac
    done
  fi
  for ((index = 0; index < ${#files[@]}; index++)); do
    __gpu_hear "${sheets[index]}"
    [ "$source" != default ] || gpus=$default
    __gpu_titled_as "${files[index]}"
    line=${files[index]##*/}
    if [ -z "$line" ] || [ "$line" = "$REPLY" ]; then __gpu_put '%s:\n' "$REPLY"; else __gpu_put '%s (%s):\n' "$REPLY" "$line"; fi
    if [ ${#views[@]} -eq ${#files[@]} ]; then
      __gpu_split_lines "${views[index]%$'\n'}"
      for line in "${reply[@]}"; do __gpu_put '%s\n' "$line"; done
      remarks=() # they are there already
    else
      __gpu_asks; __gpu_format 'asks for %s' "$REPLY"; __gpu_put '  %s\n' "$REPLY"
    fi
    if [ ${#arguments[@]} -gt 0 ]; then __gpu_spelled; __gpu_format 'arguments: %s' "$REPLY"; __gpu_put '  %s\n' "$REPLY"; fi
    __gpu_indices "$array"
    case ${#reply[@]}/$REPLY in
      0/*) REPLY='' ;;
      */0) __gpu_format '%s tasks' "${#reply[@]}" ;;
      *) __gpu_format '%s tasks, at most %s of them at once' "${#reply[@]}" "$REPLY" ;;
    esac
    [ -z "$REPLY" ] || __gpu_put '  %s\n' "$REPLY"
    __gpu_remark "${files[index]}"
  done
  __gpu_put 'priority %s; nothing was queued\n' "$priority"
}

__gpu_sync() { # FILE…: on the disk; many at the same time, so that a journal writes them together
  if [ $# -le 8 ]; then command sync -- "$@" 2>/dev/null
  else printf '%s\n' "$@" | command xargs -d '\n' -P 8 -n $((($# + 7) / 8 < 500 ? ($# + 7) / 8 : 500)) sync -- 2>/dev/null # our own names: no newline
  fi
}

__gpu_script() { # TARGET TEXT FILE: the script as it is; one that was not read whole is copied
  if [ ${#2} -lt 1048576 ]; then __gpu_write "$1" "$2"; else command cat -- "$3" >"$1" 2>/dev/null; fi
}

__gpu_unwritten() { # PATH: take back the caller's records and scripts that are not committed
  local at
  for ((at = 0; at < ${#scripts[@]}; at += 500)); do command rm -f -- "${scripts[@]:$at:500}" "${records[@]:$at:500}" 2>/dev/null; done
  [ -z "$stage" ] || command rmdir -- "$stage" 2>/dev/null
  __gpu_advice "$1" records/x
  __gpu_fail '%s/%s could not be written, so it is not queued; %s' "$PWD" "$1" "$REPLY"
}

__gpu_advice() { # PATH…: REPLY = what to do where one of them could not be written, by what can be seen there
  local directory
  for directory in "${@%/*}"; do
    case $directory in pending/.*) directory=pending ;; esac
    if [ ! -e "$directory" ] && [ ! -L "$directory" ]; then
      __gpu_format '%s is missing: an agent of this queue makes it again within seconds, and so may you' "$PWD/$directory"
    elif [ -L "$directory" ] || [ ! -d "$directory" ]; then
      __gpu_format '%s should be a directory, and is none: move it away, and it is made again' "$PWD/$directory"
    elif [ ! -w "$directory" ]; then
      __gpu_format 'you may not write into %s' "$PWD/$directory"
    else
      continue
    fi
    return 0
  done
  __gpu_tr 'check that the storage is not full'
}

# --- commands to agents (docs/spool.md, "Commands") ------------------------------------------------------------------

__gpu_nodes() { # [SECONDS]: reply = the nodes that may answer: they speak our protocol, did not say that they stopped, and
  local node i incarnation nodes=() pages=() now # gave a sign of life within so long, 15 minutes; the newest first
  __gpu_pages; pages=("${reply[@]}")
  reply=()
  [ ${#pages[@]} -gt 0 ] || return 0
  __gpu_clock control; now=$REPLY
  for ((i = 0; i < ${#pages[@]}; i++)); do
    if [ $((now - beats[i])) -gt "${1:-900}" ]; then break; fi
    node=${pages[i]}
    __gpu_state "$node"
    case $REPLY in stopped | none | 'protocol '*) ;; *) nodes+=("$node") ;; esac
  done
  reply=("${nodes[@]}")
}

__gpu_post() { # COMMAND KEYS NODE…: REPLY = the command's name in control/, without .json
  local command=$1 keys=$2 to='' node incarnation nonce entry
  shift 2
  for node in "$@"; do
    __gpu_state "$node"
    [ "$command" != shutdown ] || meant+="$node/$incarnation " # of the caller
    __gpu_json "$node/${incarnation:--}"; to+="${to:+, }$REPLY"
  done
  __gpu_stamp; entry=$REPLY
  __gpu_nonce 12; nonce=$REPLY entry=$entry-$REPLY
  __gpu_me; __gpu_json "$REPLY"
  command="{\"protocol\": 1, \"nonce\": \"$nonce\", \"command\": \"$command\", \"to\": [$to], \"from\": $REPLY$keys}"$'\n'
  __gpu_write "control/.$entry.json" "$command" && __gpu_move "control/.$entry.json" "control/$entry.json" ||
    { __gpu_advice control/x; __gpu_fail 'cannot write into %s/control; %s' "$PWD" "$REPLY"; return; }
  # The copy is for people only, so its failure is none.
  __gpu_write ".control.$nonce" "$command" && command mv -T -f -- ".control.$nonce" control.json 2>/dev/null
  REPLY=$entry
}

__gpu_patience() { # seconds after which a node without a sign of life is gone
  REPLY=${GPU_QUEUE_PATIENCE-}
  case $REPLY in '' | *[!0-9]*) ;; *) return 0 ;; esac
  if __gpu_is_local; then REPLY=10; else REPLY=40; fi
}

__gpu_is_local() { # whether the spool lies on a local filesystem
  case $(command stat -f -c %T . 2>/dev/null) in
    ext2/ext3 | ext[234] | xfs | btrfs | tmpfs | ramfs | overlayfs | zfs | f2fs) ;;
    *) return 1 ;;
  esac
}

__gpu_await() { # ENTRY NODE…: show the answers; nodes without a sign of life go into the caller's gone
  # With the caller's meant (" NODE/INCARNATION …") also those that another agent serves by now: that one will not answer.
  local incarnation entry=$1 node start now patience file alive='' left=() next=() pause=0.1 line
  shift
  left=("$@")
  __gpu_patience; patience=$REPLY
  __gpu_ms; start=$REPLY
  while [ ${#left[@]} -gt 0 ]; do
    # A node file newer than the command was written after the command was read (both times are the server's).
    alive=$'\n'$(command find nodes -maxdepth 1 -name '*.json' -newer "control/$entry.json" 2>/dev/null)$'\n'
    __gpu_ms; now=$(((REPLY - start) / 1000))
    next=() reply=()
    for node in "${left[@]}"; do
      if __gpu_listed control "$entry.$node.ack"; then
        __gpu_read "control/$entry.$node.ack" 65536
        IFS=$'\n'
        set -f
        for line in $REPLY; do __gpu_put '%s: %s\n' "$node" "${line:0:2000}"; done
        set +f
        IFS=$' \t\n'
        continue
      fi
      __gpu_state "$node"
      case ${meant:-" $node/$incarnation "} in *" $node/$incarnation "*) ;; *) REPLY=stopped ;; esac
      case $REPLY in stopped | none) # it may have answered just before
        if __gpu_listed control "$entry.$node.ack"; then next+=("$node"); else gone+=("$node"); fi
        continue ;;
      esac
      case $alive in
        *$'\n'"nodes/$node.json"$'\n'*)
          if [ "$now" -lt 90 ]; then next+=("$node"); continue; fi
          __gpu_say '%s: its agent is alive but has not answered for 90 s; gpu_status shows what became of it' "$node" ;;
        *)
          if [ "$now" -lt "$patience" ]; then next+=("$node"); continue; fi
          gone+=("$node") ;;
      esac
    done
    left=("${next[@]}")
    [ ${#left[@]} -eq 0 ] || command sleep "$pause"
    case $pause in 0.1) pause=0.2 ;; 0.2) pause=0.4 ;; *) pause=1 ;; esac
  done
}

# --- looking -------------------------------------------------------------------------------------------------------

__gpu_help() { # the comment at the top of this file
  local line file
  if [ -n "$__gpu_zh" ]; then __gpu_manual; return; fi
  __gpu_file; file=$REPLY
  [ -r "$file" ] || { __gpu_fail 'client.sh is not at %s any more; its first lines are the manual' "$file"; return; }
  while IFS= read -r line; do
    case $line in '# shellcheck'*) ;; '#'*) line=${line#'#'}; printf '%s\n' "${line# }" ;; *) break ;; esac
  done <"$file"
}

__gpu_use() {
  local where
  [ $# -le 1 ] || { __gpu_usage 'one instance: gpu_use NAME'; return; }
  __gpu_check_id "${1-${JOB_ID-}}" || return
  __gpu_home; where=$REPLY/${1-${JOB_ID-}}
  [ $# -eq 1 ] || printf '%s\n' "$JOB_ID"
  if [ -d "$where" ]; then __gpu_say 'instance %s in %s' "${where##*/}" "${where%/*}"
  else __gpu_say 'instance %s does not exist yet in %s; gpu_submit or ./submit.sh %s makes it' "${where##*/}" "${where%/*}" "${where##*/}"
  fi
}

__gpu_list() { # those that nobody uses any more come last
  local root spool mark row waiting running agents foreign now spots beating=() rows=() idle=() first='' own=''
  __gpu_home; root=$REPLY
  __gpu_cd "$root" || { __gpu_fail 'there is no %s yet; gpu_submit makes it, or set QUEUE_ROOT to where the queues lie' "$root"; return; }
  spots=(./*/nodes)
  if [ ${#spots[@]} -gt 0 ]; then # by one listing: some programs for each of two hundred instances would take seconds
    __gpu_clock "${spots[0]%/*}/control"; now=$REPLY
    __gpu_lines find "${spots[@]}" -maxdepth 1 -type f -name '[!.]*.json' ! -name '*[!A-Za-z0-9._+-]*' -newermt "@$((now - 91))" -printf '%p\n'
    beating=("${reply[@]}")
  fi
  for spool in */; do
    spool=${spool%/}
    __gpu_cd "$root/$spool" && [ -e PROTOCOL ] || continue
    mark=' '
    if [ "$spool" = "${JOB_ID-}" ]; then mark='*'; fi
    __gpu_count
    row=$waiting$'\t'$running$'\t'$agents$'\t'$mark$'\t'$spool
    if [ "$waiting$running$agents$foreign" = 000 ] && __gpu_read PROTOCOL 20 && [ "${REPLY%%$'\n'*}" = 1 ]; then
      idle+=("$row")
      if [ -z "$first" ] || { [ "$mark" = ' ' ] && [ -n "$own" ]; }; then __gpu_shown ''; first=${REPLY%/} own=${mark% }; fi
    else rows+=("$row")
    fi
  done
  __gpu_tr instance; __gpu_fit "$REPLY" 24; row="  $REPLY"
  for mark in waiting running agents; do __gpu_tr "$mark"; __gpu_fit "$REPLY" 8 right; row+=" $REPLY"; done
  printf '%s\n' "$row"
  for row in "${rows[@]}" "${idle[@]}"; do
    waiting=${row%%$'\t'*} row=${row#*$'\t'}; running=${row%%$'\t'*} row=${row#*$'\t'}; agents=${row%%$'\t'*} row=${row#*$'\t'}
    __gpu_tame "${row#*$'\t'}"; __gpu_width "${REPLY//[[:cntrl:]]/?}"
    if [ "$REPLY" -lt 24 ]; then __gpu_fit "${row#*$'\t'}" 24; else REPLY=${row#*$'\t'}; fi
    __gpu_put '%s %s %8s %8s %8s\n' "${row%%$'\t'*}" "$REPLY" "$waiting" "$running" "$agents"
  done
  if [ -n "$first" ]; then
    __gpu_say 'nothing waits or runs in the last %s, and no agent serves them; to delete one with its records and logs: rm -r %s' "${#idle[@]}" "$first"
  fi
}

__gpu_count() { # of this spool: waiting, running, agents, foreign (ones that speak another protocol); beating: pages with a late beat
  local page incarnation
  __gpu_tasks pending; waiting=${#reply[@]}
  __gpu_drops "$waiting"; waiting=$((waiting + ${#reply[@]}))
  __gpu_tasks running; running=${#reply[@]}
  agents=0 foreign=''
  case $spool in *$'\n'*) __gpu_living; agents=${#reply[@]}; return ;; esac # a listing in lines cannot tell of it
  for page in "${beating[@]}"; do
    case $page in "./$spool/nodes/"*) ;; *) continue ;; esac
    page=${page##*/}; __gpu_state "${page%.json}"
    case $REPLY in stopped | none) ;; 'protocol '*) foreign=yes ;; *) agents=$((agents + 1)) ;; esac
  done
}

__gpu_beat() { # NODE NOW: REPLY = seconds since its beat; whether that is a living agent
  REPLY=$(command stat -c %Y -- "nodes/$1.json" 2>/dev/null) || REPLY=0
  REPLY=$(($2 - REPLY))
  [ "$REPLY" -le 90 ]
}

__gpu_status() {
  local way=screen fully='' bold='' dim='' red='' green='' yellow='' plain=''
  local now titles=24 wide=100 high=0 names=() notes=() cards=() tries=() files=() odd=() left=() dead=() failed=() failures=0 waiters=0 alive=0 older=0 unrun='' lanes=() more_lanes=0
  typeset -A age state because ends spoken kept mode lane
  while [ $# -gt 0 ]; do
    case $1 in
      --all) fully=yes ;;
      --watch) way=watch ;;
      --queues) way=queues ;;
      --json | --plain) way=${1#--} ;;
      *) __gpu_usage 'there is no option %s; gpu_status [--all] [--queues] [--watch] [--plain] [--json]' "$1"; return ;;
    esac
    shift
  done
  __gpu_enter || return
  case $way in
    plain) __gpu_facts; __gpu_rows ;;
    json) __gpu_facts; __gpu_rows | __gpu_rows_json ;;
    *)
      __gpu_size_of_terminal
      __gpu_colours
      if [ "$way" = watch ]; then __gpu_watch_status; return; fi
      __gpu_facts
      if [ "$way" = queues ]; then __gpu_show_queues yes; else __gpu_picture; fi ;;
  esac
}

__gpu_colours() { # into the caller's bold, dim, red, green, yellow, plain, where there is a terminal that wants them
  if [ -t 1 ] && [ -n "${TERM-}" ] && [ "$TERM" != dumb ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\033[1m' dim=$'\033[2m' red=$'\033[31m' green=$'\033[32m' yellow=$'\033[33m' plain=$'\033[0m'
  fi
}

__gpu_watch_status() { # every two seconds, until Ctrl-C; on the alternate screen where there is one
  local text lines i turns line clear='' tick='' before='' after=''
  if [ -t 1 ] && [ -n "${TERM-}" ] && [ "$TERM" != dumb ]; then
    clear=yes before=$'\033[?1049h\033[?25l' after=$'\033[?25h\033[?1049l'
    trap 'printf %s "$after"' EXIT
    trap 'trap - EXIT; printf %s "$after"; __gpu_interrupted' INT
    trap 'exit 143' TERM HUP
    trap __gpu_suspend TSTP
    printf %s "$before"
  fi
  [ -z "$clear" ] || __gpu_open_ticks
  while :; do
    # Programs that were stopped would never let us go on, to give the screen back.
    [ -z "$clear" ] || __gpu_size_of_terminal
    text=$([ -z "$clear" ] || trap '' TSTP; __gpu_facts; __gpu_picture)
    # Where SIGHUP was ignored when we were started nothing else tells that the terminal has gone.
    if [ -z "$clear" ]; then printf '%s\n\n' "$text" || exit 1
    else
      __gpu_split_lines "$text"; lines=("${reply[@]}")
      printf '\033[H'
      for ((i = 0; i < ${#lines[@]} && i < high; i++)); do
        line=${lines[i]}
        if [ $((i + 1)) -eq "$high" ] && [ ${#lines[@]} -gt "$high" ]; then line='…'; fi
        [ "$i" -eq 0 ] || printf '\n'
        printf '%s\033[K' "$line"
      done
      printf '\033[J' || exit 1
    fi
    if [ "$tick" = none ] || [ -z "$clear" ]; then ( [ -z "$clear" ] || trap '' TSTP; exec sleep 2 ); continue; fi
    for ((turns = 20; turns > 0; turns--)); do
      if [ "$tick" = zsh ]; then zselect -t 10; else IFS= read -r -t 0.1 -u "$tick" line; fi
    done
  done
}

__gpu_suspend() { # give the screen back, stop, and take it again when somebody lets us go on
  printf %s "$after"
  # shellcheck disable=SC2154 # zsh's own
  kill -s STOP "${BASHPID:-${sysparams[pid]}}"
  printf %s "$before"
  turns=0
}

__gpu_split_lines() { # TEXT: reply = its lines, empty ones too
  local rest=$1
  reply=()
  while case $rest in *$'\n'*) true ;; *) false ;; esac; do
    reply+=("${rest%%$'\n'*}"); rest=${rest#*$'\n'}
  done
  reply+=("$rest")
}

__gpu_size_of_terminal() { # into the caller's wide and high; 0 high: no end
  local size=''
  if [ -t 1 ]; then size=$(trap '' TSTP; command stty size 2>/dev/null </dev/tty); fi
  case $size in
    *[!0-9\ ]* | '' | '0 '* | *' 0') size="${LINES:-0} ${COLUMNS:-100}"; [ -t 1 ] || size="0 ${COLUMNS:-100}" ;;
  esac
  high=${size% *} wide=${size#* }
  __gpu_number "$high" || high=0
  __gpu_number "$wide" && [ "$wide" -gt 0 ] || wide=100 # zsh without a terminal says 0
  [ "$wide" -ge 40 ] || wide=40 # below that nothing fits
  if [ "$wide" -ge 100 ]; then titles=24; elif [ "$wide" -ge 60 ]; then titles=18; else titles=12; fi
}

# Into the variables of __gpu_status:
#   names, and by them age, state, reason and ends (seconds to the end of its lifetime): nodes that serve or are silent
#   notes, cards, tries: "NODE<tab>FIELD…" of notes, gpu and try lines of their pages; kept: of keep-alives by NODE/index
#   files, odd: what waits, tasks and hand drops; spoken: by a file's name what nodes say of it (__gpu_told);
#   waiters: how many tasks wait, of which files may be the first hundred
#   mode: by node, where it is not dedicated; kept[shared/NODE/index]: what else there is to say of a shared GPU
#   lanes: serial queues, of which more_lanes more are not told of; lane: what is told of each (__gpu_heed_queue)
#   left: claims that no living node's page has; failed: "SECONDS NAME", the newest of the last day's, which are failures many
__gpu_facts() {
  local node file incarnation quiet=0 order=-rn stopped=() hushed=() claims=() whole=() rest waits='' fails
  typeset -A listed paged hopeful
  __gpu_clock control; now=$REPLY
  names=() notes=() cards=() tries=() left=() dead=() stopped=() alive=0 older=0 lanes=() more_lanes=0
  age=() state=() because=() ends=() spoken=() kept=() mode=() lane=()
  # What may be ten thousand names is listed while the pages are read.
  if [ "$way$fully" = screen ] || [ "$way$fully" = watch ] || [ "$way" = queues ]; then exec {waits}< <(__gpu_list_waiting); fi
  exec {fails}< <(__gpu_list_failed)
  __gpu_tasks running; claims=("${reply[@]}")
  for file in "${claims[@]}"; do REPLY=${file##*/}; listed[${REPLY%%=*}]=$REPLY; done
  # By one listing, the newest first: thousands of dead nodes cost a moment.
  __gpu_lines find nodes nodes/gone -maxdepth 1 -type f ! -name '*[!A-Za-z0-9._+-]*' '(' \
    -path 'nodes/gone/[!.]*.json' -printf '%T@ gone %f\n' -o \
    ! -path '*/*/*' -path 'nodes/[!.]*.json' -printf '%T@ node %f\n' ')'
  for file in "${reply[@]}"; do
    node=${file##* }
    case $file in *.*' '*) ;; *) continue ;; esac
    case $file in
      *' gone '*)
        if [ -e "nodes/$node" ]; then continue; fi # it has come back
        if [ ${#dead[@]} -lt 10 ] && [ "${file%%.*}" -gt $((now - 86400)) ]; then dead+=("${file%% *} ${node%.json}"); else older=$((older + 1)); fi ;;
      *)
        node=${node%.json} file=${file%%.*}
        __gpu_number "$file" || file=0
        age[$node]=$((now - file))
        if [ "${age[$node]}" -gt 90 ]; then quiet=$((quiet + 1)); fi
        if [ "$quiet" -gt 20 ]; then older=$((older + 1)); else names+=("$node"); fi ;;
    esac
  done
  __gpu_sort "${names[@]}"; names=()
  for node in "${reply[@]}"; do
    __gpu_state "$node"; state[$node]=$REPLY
    case $REPLY in
      stopped) if [ "${age[$node]}" -le 86400 ]; then stopped+=("$node"); else older=$((older + 1)); fi; continue ;;
      'protocol '*) ;;
      *)
        if [ "${age[$node]}" -le 90 ]; then alive=$((alive + 1)); else state[$node]=silent; fi
        whole=()
        __gpu_each "$node" __gpu_heed wait || state[$node]='of another version'
        if [ "${state[$node]}" = silent ]; then whole=(); fi
        for file in "${whole[@]}"; do # of several nodes the one counts that might run it
          file=${file#*$'\t'}; rest=${file#*$'\t'} file=${file%%$'\t'*}
          case $file in *[!A-Za-z0-9._+-]*) continue ;; esac
          case ${rest%%$'\t'*}${hopeful[$file]-} in
            gang*) spoken[$file]=$rest hopeful[$file]=-high ;; # some of its nodes have their GPUs
            *-high) ;;
            infeasible | nodes_infeasible | memory | pinned | paused | draining | leaving | lifetime) spoken[$file]=${spoken[$file]:-$rest} ;;
            *) spoken[$file]=$rest hopeful[$file]=-high ;;
          esac
        done ;;
    esac
    if [ "${state[$node]}" = silent ]; then hushed+=("$node"); else names+=("$node"); fi
  done
  names+=("${hushed[@]}" "${stopped[@]}")
  for file in "${claims[@]}"; do
    REPLY=${file##*/}
    if [ -z "${paged[${REPLY%%=*}]-}" ]; then left+=("${file#running/}"); fi
  done
  __gpu_take_failed "$fails"
  exec {fails}<&-
  if [ -z "$waits" ]; then __gpu_waiting; return; fi
  __gpu_take_waiting "$waits" || __gpu_waiting
  exec {waits}<&-
}

__gpu_list_waiting() { # what waits from the end to its first hundred, each behind its number from the end; 1: no task's name
  command find pending -mindepth 1 -maxdepth 1 -regextype posix-extended '(' ! -name '*.try*' \
    -regex 'pending/[0-9]{3}-[0-9]{8}T[0-9]{9}-[0-9a-f]{6}-[A-Za-z0-9._+-]+' -printf '2%f\n' ')' -o -printf '1\n' 2>/dev/null |
    command sort -r | command nl -ba -w1 -s' ' | command tail -n 100
}

__gpu_take_waiting() { # DESCRIPTOR: into the caller's files, waiters, odd, unrun; fails where not all are tasks
  local lines i IFS=$'\n'
  set -f
  # shellcheck disable=SC2207 # lines are words here
  lines=($(command cat <&"$1"))
  set +f
  files=() odd=() unrun='0 0' waiters=0
  for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
    case ${lines[i]} in *' 1') return 1 ;; esac
    [ "$waiters" -gt 0 ] || waiters=${lines[i]%% *}
    files+=("pending/${lines[i]#* 2}")
  done
}

__gpu_list_failed() { # what failed in the last day, the last fifty, each behind its number
  command find failed -maxdepth 1 -type f -newerct "@$((now - 86400))" ! -name '*[!A-Za-z0-9._+-]*' -printf '%C@ %f\n' 2>/dev/null |
    command sort -n | command nl -ba -w1 -s' ' | command tail -n 50
}

__gpu_take_failed() { # DESCRIPTOR: into the caller's failed, the newest first, and failures
  local lines i IFS=$'\n'
  set -f
  # shellcheck disable=SC2207 # lines are words here
  lines=($(command cat <&"$1"))
  set +f
  failed=() failures=0
  for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
    [ "$failures" -gt 0 ] || failures=${lines[i]%% *}
    failed+=("${lines[i]#* }")
  done
}

__gpu_waiting() { # into the caller's files, waiters, odd, unrun: as __gpu_tasks and __gpu_drops, for ten thousand in some ms
  local file strange=() drop=() skipped=0 ignored=0 i=0
  # What a glob of the shell takes for tasks and is none, and the rest: find says it sooner than a second and third glob.
  while IFS= read -r -d '' file; do strange+=("$file"); done < <(
    command find pending -mindepth 1 -maxdepth 1 -regextype posix-extended '(' -name '*.try*' -o \
      ! -regex 'pending/[0-9]{3}-[0-9]{8}T[0-9]{9}-[0-9a-f]{6}-[A-Za-z0-9._+-]+' ')' \
      -print0 2>/dev/null | command sort -z)
  files=(pending/[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-?*)
  odd=()
  for file in "${strange[@]}"; do
    __gpu_strip "$file"
    if __gpu_is_full "$REPLY"; then continue; fi # a claim's name that somebody moved back
    case ${file#pending/} in
      .* | *'~' | *.tmp | *.swp) skipped=$((skipped + 1)) ;;
      *) if __gpu_is_script "$file"; then odd+=("$file"); else ignored=$((ignored + 1)); fi ;;
    esac
    case ${file#pending/} in [0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T*) drop+=("$file") ;; esac
  done
  unrun="$skipped $ignored" waiters=${#files[@]}
  [ ${#drop[@]} -gt 0 ] || return 0
  strange=("${files[@]}") files=()
  for file in "${strange[@]}"; do # both are in order
    while [ "$i" -lt ${#drop[@]} ] && [[ ${drop[i]} < $file ]]; do i=$((i + 1)); done
    if [ "${drop[i]-}" != "$file" ]; then files+=("$file"); fi
  done
  waiters=${#files[@]}
}

__gpu_sort() { # NAME…: reply = them in order; few, so that it is sooner done than said to a program
  local name i
  reply=()
  for name in "$@"; do
    for ((i = ${#reply[@]}; i > 0; i--)); do
      [[ ${reply[i - 1]} > $name ]] || break
      reply[i]=${reply[i - 1]}
    done
    reply[i]=$name
  done
}

__gpu_heed() { # KIND FIELD… of a page of the caller's node
  local row
  case $1 in
    agent) # protocol node incarnation state default-gpus left-s code english chinese
      if [ "${state[$node]}" = silent ]; then return 0; fi
      ends[$node]=$7 because[$node]=$9
      [ -z "$__gpu_zh" ] || because[$node]=${10:-$9} ;;
    gpu) shift; row="$*"; [ "${state[$node]}" = silent ] || cards+=("$node"$'\t'"$row") ;;
    keepalive) shift; row="$*"; kept[$node/$1]=$row ;;
    shared) kept[shared/$node/$2]="${3:--}"$'\t'"${4:--}"$'\t'"${5:--}" ;;
    mode) [ "${state[$node]}" = silent ] || mode[$node]=$2 ;;
    queue) __gpu_heed_queue "$@" ;;
    queues) if __gpu_number "$2" && [ "$2" -gt "$more_lanes" ]; then more_lanes=$2; fi ;;
    try) # claim stage gpus seconds limit-s ending name queue rank nodes claim-of-rank-0; what is listed no more has ended since
      shift
      # A part of a task over several nodes: that of rank 0 is the task's claim.
      case ${11--} in -) ;; *) set -- "${11}" "${@:2}"; [ -z "${listed[$1]-}" ] || kept[parts]=$((${kept[parts]:-0} + 1)) ;; esac
      [ -n "${listed[$1]-}" ] || return 0
      case ${listed[$1]} in *=*) set -- "$1" ended "${@:3}" ;; esac
      row="$*"; tries+=("$node"$'\t'"$row"); paged[$1]=1 ;;
    note) notes+=("$node"$'\t'"$2") ;;
    watch) kept[watch/$2]="$3"$'\t'"$4"$'\t'"$5"$'\t'"$6"$'\t'"${7:--}" ;;
  esac
}

__gpu_heed_queue() { # queue NAME WORD PENDING RUNNING DONE FAILED FAILURES REST HOLDER, of a page of the caller's node
  local of_page=${age[$node]} word=${3-} running=${5-} finished=${6-}
  case ${2:-.} in .* | *[!A-Za-z0-9._+-]*) return ;; esac
  __gpu_number "$running" || running=0
  __gpu_number "$finished" || finished=0
  if [ -z "${lane[$2]-}" ]; then lanes+=("$2"); fi
  # What all nodes see the newest page tells; what runs each tells of itself.
  if [ -z "${lane[$2]-}" ] || [ "$of_page" -lt "${lane[$2/age]}" ]; then
    lane[$2]="${4:-0}"$'\t'"${7:-0}"$'\t'"${8:-0}"$'\t'"${9:--}"$'\t'"${10:--}" lane[$2/age]=$of_page
  fi
  if [ "$word" = busy ]; then lane[$2/busy]=busy; fi
  if [ "${state[$node]}" != silent ]; then lane[$2/runs]=$((${lane[$2/runs]:-0} + running)); fi
  if [ "$finished" -gt "${lane[$2/done]:-0}" ]; then lane[$2/done]=$finished; fi
}

__gpu_fit() { # TEXT COLUMNS [right]: REPLY = it in just so many columns of a terminal, cut with … where it is longer
  local out='' used=0 cut=0 at=0 size char i
  case $1 in
    *[!\ -~]*) ;;
    *)
      if [ ${#1} -gt "$2" ]; then REPLY=${1:0:$(($2 - 1))}…
      elif [ -n "${3-}" ]; then printf -v REPLY '%*s' "$2" "$1"
      else printf -v REPLY '%-*s' "$2" "$1"
      fi
      return ;;
  esac
  for ((i = 0; i < ${#1}; i++)); do # bytes of UTF-8
    char=${1:$i:1}
    case $__gpu_tails in *"$char"*) out+=$char; continue ;; esac
    if [ "$used" -lt "$2" ]; then cut=${#out} at=$used; fi
    size=1
    case $__gpu_leads in *"$char"*) size=2 ;; esac # East Asian, and pictures
    if [ $((used + size)) -gt "$2" ]; then out=${out:0:$cut}… used=$((at + 1)); break; fi
    used=$((used + size)) out+=$char
  done
  printf -v REPLY '%*s' $(($2 - used)) ''
  if [ -n "${3-}" ]; then REPLY+=$out; else REPLY=$out$REPLY; fi
}

__gpu_width() { # TEXT: REPLY = the columns that it takes
  local used=0 char i
  case $1 in *[!\ -~]*) ;; *) REPLY=${#1}; return ;; esac
  if [ -z "${ZSH_VERSION-}" ]; then # zsh finds not all bytes in []
    char=${1//[$__gpu_tails]/}; REPLY=${char//[!$__gpu_leads]/}
    REPLY=$((${#char} + ${#REPLY})); return
  fi
  for ((i = 0; i < ${#1}; i++)); do
    char=${1:$i:1}
    case $__gpu_tails in *"$char"*) continue ;; esac
    case $__gpu_leads in *"$char"*) used=$((used + 2)) ;; *) used=$((used + 1)) ;; esac
  done
  REPLY=$used
}

__gpu_clip() { # TEXT COLUMNS: REPLY = it, cut where it is longer
  __gpu_width "$1"
  if [ "$REPLY" -gt "$2" ]; then __gpu_fit "$1" "$2"; else REPLY=$1; fi
  REPLY=${REPLY%"${REPLY##*[! ]}"}
}

__gpu_wrap() { # INDENT COLOR TEXT: in lines that fit the terminal, four at most
  local rest=$3 room=$((wide - ${#1})) line used size char i space more=4
  while :; do
    __gpu_width "$rest"
    if [ "$REPLY" -le "$room" ] || [ "$more" -eq 1 ]; then break; fi
    used=0 space=0
    for ((i = 0; i < ${#rest}; i++)); do
      char=${rest:$i:1}
      case $__gpu_tails in *"$char"*) continue ;; esac
      size=1
      case $__gpu_leads in *"$char"*) size=2 ;; esac
      if [ "$char" = ' ' ] && [ $((used * 3)) -gt "$room" ]; then space=$i; fi
      if [ $((used + size)) -gt "$room" ]; then break; fi
      used=$((used + size))
    done
    if [ "$space" -gt 0 ]; then i=$space; fi
    line=${rest:0:$i} rest=${rest:$i} more=$((more - 1))
    rest=${rest#"${rest%%[! ]*}"}
    printf '%s%s%s%s\n' "$1" "$2" "${line%"${line##*[! ]}"}" "${2:+$plain}"
  done
  if [ "$REPLY" -gt "$room" ]; then __gpu_fit "$rest" "$room"; rest=$REPLY; fi
  printf '%s%s%s%s\n' "$1" "$2" "$rest" "${2:+$plain}"
}

__gpu_epoch() { # STAMP of an id, in UTC: REPLY = seconds since 1970
  local y=${1:0:4} m=$((10#${1:4:2})) d=$((10#${1:6:2})) # after Howard Hinnant's days_from_civil
  y=$((10#$y - (m <= 2 ? 1 : 0)))
  REPLY=$((y * 365 + y / 4 - y / 100 + y / 400 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468))
  REPLY=$((REPLY * 86400 + 10#${1:9:2} * 3600 + 10#${1:11:2} * 60 + 10#${1:13:2}))
}

__gpu_format() { # FORMAT WORD…: REPLY = them in this shell's language, for words that are fit for a terminal
  __gpu_tr "$1"
  shift
  # shellcheck disable=SC2059 # the format is ours, and may begin with -
  printf -v REPLY "%s$REPLY" '' "$@"
}

__gpu_picture() { # the facts as people look for them: nodes with their GPUs, what waits and why, what failed lately
  local node row gap=yes folded='' flagged='' keeping='' incarnation stems=()
  typeset -A holds short
  __gpu_shorten
  __gpu_show_head
  __gpu_place_tries
  __gpu_call_queues
  if [ -z "$fully" ] && [ ${#cards[@]} -gt $((high > 60 ? high - 20 : 40)) ]; then folded=yes; fi
  for node in "${names[@]}"; do __gpu_show_node; done
  for row in "${dead[@]}"; do
    __gpu_state "gone/${row#* }"; node=$REPLY
    __gpu_age $((now > ${row%%.*} ? now - ${row%%.*} : 0))
    if [ "$node" = stopped ]; then __gpu_format '%s  stopped %s ago' "${row#* }" "$REPLY"
    else __gpu_format '%s  dead for %s' "${row#* }" "$REPLY"
    fi
    __gpu_wrap '' "$dim" "$REPLY"
  done
  if [ "$older" -gt 0 ]; then __gpu_plural "$older" node; __gpu_format 'and %s that stopped or went silent before' "$REPLY"; __gpu_wrap '' "$dim" "$REPLY"; fi
  __gpu_show_left
  __gpu_show_queues
  __gpu_show_waiting
  __gpu_show_failed
  if [ "$alive" -eq 0 ]; then
    __gpu_no_agent
    printf '\n'; __gpu_wrap '' "$red" "$REPLY"
    __gpu_say_elsewhere
  fi
}

__gpu_no_agent() { # REPLY = that nobody serves this queue, and what does: gpu-queue run, if it has made it beside a file
  local file
  case $PWD in
    */.gpu-queue/*)
      for file in yaml yml; do
        file=${PWD%/.gpu-queue/*}/${PWD##*/}.$file
        [ -f "$file" ] || continue
        __gpu_quote "$file"; __gpu_format 'no agent is alive; start one with gpu-queue run %s' "$REPLY"; return
      done ;;
  esac
  __gpu_tame "$JOB_ID"; __gpu_format 'no agent is alive; start one with ./submit.sh %s' "${REPLY//[[:cntrl:]]/?}"
}

__gpu_shorten() { # short: by the caller's names these without the hash at the end, where that is one node's alone
  local node
  for node in "${names[@]}"; do
    REPLY=${node%-????????}
    if [ -n "${short[$REPLY]-}" ]; then short[${short[$REPLY]}]=${short[$REPLY]} short[$node]=$node
    else short[$REPLY]=$node short[$node]=$REPLY
    fi
  done
}

__gpu_show_head() { # three questions before all else: is a GPU free, what is there, and is something wrong
  local parts=() part text count free=0
  typeset -A sick
  __gpu_look_at_cards
  __gpu_plural "$alive" node; parts=("$REPLY")
  if [ ${#cards[@]} -gt 0 ]; then __gpu_plural ${#cards[@]} GPU; __gpu_format '%s of %s free' "$free" "$REPLY"; parts+=("$REPLY"); fi
  count=$((${#tries[@]} + ${#left[@]} - ${kept[parts]:-0})); [ "$count" -eq 0 ] || { __gpu_format '%s running' "$count"; parts+=("$REPLY"); }
  count=$((waiters + ${#odd[@]})); [ "$count" -eq 0 ] || { __gpu_format '%s waiting' "$count"; parts+=("$REPLY"); }
  __gpu_count_settled; text=$REPLY
  for part in failed 'done'; do
    if [ "$part" = failed ]; then count=${text% *}; else count=${text#* }; fi
    [ "$count" -gt 0 ] || continue
    if [ "$part" = failed ]; then __gpu_format '%s failed' "$count"; else __gpu_format '%s done' "$count"; fi
    parts+=("$REPLY")
  done
  text=''
  for part in "${parts[@]}"; do text+=${text:+ · }$part; done
  __gpu_tame "$JOB_ID  $PWD"; part=${REPLY//[[:cntrl:]]/?}
  __gpu_width "$part  $text"
  if [ "$REPLY" -le "$wide" ]; then printf "$bold%s$plain%*s%s\n" "$part" $((wide - REPLY + 2)) '' "$text"
  else
    __gpu_width "$part"
    if [ "$REPLY" -gt "$wide" ]; then __gpu_fit "$part" "$wide"; part=$REPLY; fi
    printf "$bold%s$plain\n" "$part"; __gpu_wrap '' '' "$text"
  fi
  for part in paused draining keepalive-off; do
    __gpu_who "$part" || continue
    text=${REPLY:+: $REPLY}
    [ "$part" = keepalive-off ] || flagged+=$REPLY$'\n'
    case $part in
      paused) __gpu_format 'paused%s; gpu_resume ends it' "$text" ;;
      draining) __gpu_format 'draining%s; gpu_resume ends it' "$text" ;;
      *) __gpu_format 'keep-alive is off%s; gpu_keepalive on ends it' "$text" ;;
    esac
    __gpu_wrap '' "$yellow" "$REPLY"
  done
  if __gpu_chain; then
    part=''
    [ ${#reply[@]} -eq 0 ] || part=$yellow
    __gpu_wrap '' "$part" "$REPLY"
  fi
  __gpu_show_wrong
}

__gpu_chain() { # REPLY = how the queue is kept served, in a line, and reply whether that was given up; fails where it is not
  local slots file rest most=()
  if __gpu_listed allocations keep && __gpu_read allocations/keep 65536; then
    slots=${REPLY#slots }; slots=${slots%%$'\n'*}
    __gpu_number "$slots" || return
    for file in allocations/slot-*.*; do
      file=${file#allocations/slot-}; rest=${file#*.}; file=${file%%.*}
      __gpu_number "$file" && __gpu_number "$rest" && [ ${#file} -le 4 ] && [ ${#rest} -le 6 ] || continue
      [ "${most[$file]:-0}" -ge "$rest" ] || most[file]=$rest
    done
    rest=''
    for file in 1 2 3 4; do [ -z "${most[$file]-}" ] || rest+="${rest:+, }$file.$((most[file] + 1))"; done
    __gpu_format 'kept served by at most %s allocations at a time; next: %s' "$slots" "${rest:--}"
    reply=()
  elif __gpu_listed allocations keep-paused; then
    __gpu_read allocations/keep-paused 500 || REPLY=
    REPLY=${REPLY%%$'\n'*}; __gpu_tame "${REPLY//[[:cntrl:]]/ }"
    __gpu_format 'kept served no longer%s; ./submit.sh --keep begins anew' "${REPLY:+: $REPLY}"
    reply=(paused)
  else
    return 1
  fi
}

__gpu_look_at_cards() { # into the caller's free, how many an agent would give out, and sick, by STATE/NODE: which do not answer
  local row node word index
  for row in "${cards[@]}"; do # node index uuid state
    node=${row%%$'\t'*} index=${row#*$'\t'} word=${row#*$'\t'*$'\t'*$'\t'}
    index=${index%%$'\t'*} word=${word%%$'\t'*}
    case $word in
      idle) if [ "${state[$node]-}" = serving ]; then free=$((free + 1)); fi ;;
      lost | unknown) sick[$word/$node]=${sick[$word/$node]-}${sick[$word/$node]:+,}$index ;;
    esac
  done
}

__gpu_show_wrong() { # one line of where something is wrong, from the caller's sick and what else there is; what it is stands there
  local node row text='' what count=0 parts=()
  for node in "${names[@]}"; do
    what=''
    case ${state[$node]} in
      stopped) continue ;;
      silent) __gpu_tr silent; what=$REPLY ;;
      'protocol '* | 'of another version') __gpu_tr 'of another version'; what=$REPLY ;;
    esac
    for row in lost unknown; do
      [ -n "${sick[$row/$node]-}" ] || continue
      __gpu_tr "$row"; __gpu_format 'GPU %s %s' "${sick[$row/$node]}" "$REPLY"; what+=${what:+, }$REPLY
    done
    case " ${notes[*]}" in *" $node"$'\t'*) __gpu_tr 'a note'; what+=${what:+, }$REPLY ;; esac
    [ -z "$what" ] || parts+=("${short[$node]} ($what)")
  done
  for row in "${left[@]}"; do if [ -z "${state[${row%%/*}]-}" ]; then count=$((count + 1)); fi; done # others may be starting
  for what in "${parts[@]:0:4}"; do text+=${text:+ · }$what; done
  if [ ${#parts[@]} -gt 4 ]; then __gpu_format '… and %s more' $((${#parts[@]} - 4)); text+=" $REPLY"; fi
  if [ "$count" -gt 0 ]; then __gpu_plural "$count" task; __gpu_format '%s without an agent' "$REPLY"; text+=${text:+ · }$REPLY; fi
  [ -n "$text" ] || return 0
  __gpu_format 'look at: %s' "$text"; __gpu_wrap '' "$red" "$REPLY"
}

__gpu_count_settled() { # REPLY = how many have failed and are done, by an unsorted listing: 100,000 names take a moment
  local line failed_ones=0 done_ones=0
  __gpu_split_lines "$(command find failed 'done' -mindepth 1 -maxdepth 1 -printf '%H\n' 2>/dev/null | command uniq -c)"
  for line in "${reply[@]}"; do
    case $line in *failed) failed_ones=$((${line% *})) ;; *'done') done_ones=$((${line% *})) ;; esac
  done
  REPLY="$failed_ones $done_ones"
}

__gpu_place_tries() { # holds: by NODE/index what a GPU's line says of the task on it: nonce<tab>title<tab>time; by NODE others
  local row fields index first nonce title_of time claim IFS=$' \t\n'
  for row in "${tries[@]}"; do
    __gpu_fields "$row" # node claim stage gpus seconds limit ending name
    claim=${fields[1]%.try*}; claim=${claim#???????????????????????}
    nonce=${claim%%-*} title_of=${fields[7]:--}
    if [ "$title_of" = - ]; then title_of=${claim#*-}; fi
    if [ "${fields[2]}" = ended ]; then __gpu_format 'has ended'; time=$REPLY
    elif __gpu_number "${fields[4]}"; then
      __gpu_age $((fields[4] + ${age[${fields[0]}]})); time=$REPLY
      if __gpu_number "${fields[5]}"; then __gpu_age "${fields[5]}"; time+=" / $REPLY"; fi
      case ${fields[1]} in *.try1.*) ;; *) first=${fields[1]##*.try}; __gpu_format 'try %s' "${first%%.*}"; time+="  $REPLY" ;; esac
      if [ "${fields[2]}" = warned ]; then __gpu_tr warned; time+="  $REPLY"; fi
    else time=${fields[2]}
    fi
    [ "${fields[6]:--}" = - ] || { __gpu_tr "${fields[6]}"; time="($REPLY)"; }
    first='' holds[${fields[1]}]=$nonce$'\t'$title_of$'\t'$time
    case ${fields[3]} in
      '' | -) ;;
      *)
        IFS=,
        for index in ${fields[3]}; do
          if [ -z "$first" ]; then holds[${fields[0]}/$index]=$nonce$'\t'$title_of$'\t'$time
          else holds[${fields[0]}/$index]=$nonce$'\t\t'
          fi
          first=no
        done
        IFS=$' \t\n' ;;
    esac
  done
}

__gpu_show_node() { # the caller's node
  local text color=$green row fields cells=() half i index models=() counts=() reasons=() whose=() total='' size='' IFS=$' \t\n'
  typeset -A seen
  case ${state[$node]} in stopped | silent) [ "$gap" = no ] || printf '\n'; gap=no ;; *) printf '\n' ;; esac
  case ${state[$node]} in
    stopped)
      __gpu_age "${age[$node]}"
      __gpu_format '%s  stopped %s ago' "${short[$node]}" "$REPLY"; __gpu_wrap '' "$dim" "$REPLY"; return ;;
    'protocol '* | 'of another version')
      __gpu_format '%s  speaks another version of the protocol; use the client that came with it' "${short[$node]}"
      __gpu_wrap '' "$red" "$REPLY"; return ;;
    silent)
      __gpu_age "${age[$node]}"
      __gpu_format '%s  last sign of life %s ago: its agent seems to be gone' "${short[$node]}" "$REPLY"
      __gpu_wrap '' "$red" "$REPLY" ;;
  esac
  for row in "${cards[@]}"; do
    case $row in "$node"$'\t'*) ;; *) continue ;; esac
    __gpu_fields "$row" # node index uuid state utilization used total power name problem
    if [ "${mode[$node]-}" != shared ] || [ -n "$folded$keeping" ]; then __gpu_show_card; else __gpu_show_shared; fi
    seen[${fields[3]}]=$((${seen[${fields[3]}]:-0} + 1))
    for ((i = 0; i < ${#models[@]}; i++)); do [ "${models[i]}" != "${fields[8]}" ] || break; done
    models[i]=${fields[8]} counts[i]=$((${counts[i]:-0} + 1))
    __gpu_unusual
  done
  if [ "${state[$node]}" != silent ]; then
    [ "${state[$node]}" = serving ] || color=$yellow
    text='' row=''
    for ((i = 0; i < ${#models[@]} && wide >= 60; i++)); do row+="  ${counts[i]} × ${models[i]}"; done
    for i in busy idle foreign lost unknown; do
      if [ -n "$folded" ] && [ -n "${seen[$i]-}" ]; then __gpu_tr "$i"; text+="  ${seen[$i]} $REPLY"; fi
    done
    if __gpu_number "${ends[$node]-}"; then __gpu_age "${ends[$node]}"; __gpu_format 'ends in %s' "$REPLY"; text+="  $REPLY"; fi
    if [ "${age[$node]}" -ge 3 ]; then __gpu_age "${age[$node]}"; __gpu_format 'as of %s ago' "$REPLY"; text+="  $REPLY"; fi
    if [ "${mode[$node]-}" = shared ]; then __gpu_tr shared; row="  $REPLY$row"; fi
    __gpu_tr "${state[$node]}"; index=$REPLY
    __gpu_width "${short[$node]}  $index$row$text"
    if [ "$REPLY" -le "$wide" ]; then text=$row$text; else __gpu_width "${short[$node]}  $index$text"; fi
    if [ "$REPLY" -le "$wide" ]; then printf "$bold%s$plain  $color%s$plain%s\n" "${short[$node]}" "$index" "$text"
    else __gpu_wrap '' "$bold" "${short[$node]}  $index$text"
    fi
    row=${because[$node]-}; row=${row#*'('} row=${row#*（} row=${row%')'} row=${row%）} # who and why
    case $flagged in *"$row"$'\n'*) because[$node]='' ;; esac # the head has said it
    case ${because[$node]-} in '' | -) ;; *) __gpu_wrap '  ' "$yellow" "${because[$node]}" ;; esac
  fi
  for row in "${notes[@]}"; do
    case $row in "$node"$'\t'*) __gpu_format 'note: %s' "${row#*$'\t'}"; __gpu_wrap '  ' "$yellow" "$REPLY" ;; esac
  done
  for row in "${tries[@]}"; do # what no line of a GPU has told
    case $row in "$node"$'\t'*) __gpu_fields "$row" ;; *) continue ;; esac
    index=${fields[3]%%,*}
    if __gpu_number "$index" && [ -z "$folded" ] && [ "${state[$node]}" != silent ]; then continue; fi
    __gpu_cell "${fields[3]}" "${fields[2]}" '' '' "${holds[${fields[1]}]}" "$plain"
  done
  half=${#cells[@]}
  if [ "$wide" -ge 110 ] && [ "$half" -gt 1 ] && [ "${mode[$node]-}" != shared ]; then half=$(((half + 1) / 2)); fi
  for ((i = 0; i < half; i++)); do
    text=${cells[i]}${cells[i + half]-}
    printf '%s\n' "${text%"${text##*[! ]}"}"
  done
  for ((i = 0; i < ${#reasons[@]}; i++)); do
    if [ "${mode[$node]-}" = shared ]; then __gpu_format 'GPU %s: %s' "${whose[i]}" "${reasons[i]}"; __gpu_wrap '  ' "$yellow" "$REPLY"; continue; fi
    __gpu_tr "${reasons[i]%%$'\t'*}"
    __gpu_format 'keep-alive %s on GPU %s: %s' "$REPLY" "${whose[i]}" "${reasons[i]#*$'\t'}"; __gpu_wrap '  ' "$yellow" "$REPLY"
  done
  if [ -n "${kept[watch/$node]-}" ]; then
    __gpu_fields "${kept[watch/$node]}"
    __gpu_watch_words "${fields[@]}"
    __gpu_wrap '  ' "$red" "$REPLY"
  fi
}

__gpu_show_shared() { # the GPU in the caller's fields, of a server that several people share: as its tasks' submitters look for it
  local color=$dim cell free='?' pythons='?' kept_by row=() word time one=("${fields[@]}") fields count=0 i
  case ${one[3]} in busy) color=$green ;; foreign) color=$yellow ;; lost | unknown) color=$red ;; esac
  __gpu_fields "${kept[shared/$node/${one[1]}]:--}" # free pythons kept-by
  if __gpu_number "${fields[0]-}"; then i=$(((fields[0] * 10 + 536870912) / 1073741824)); free=$((i / 10)).$((i % 10))GB; fi
  if __gpu_number "${fields[1]-}"; then pythons=${fields[1]}; fi
  kept_by=${fields[2]--}
  for word in "${tries[@]}"; do
    case $word in "$node"$'\t'*) __gpu_fields "$word" ;; *) continue ;; esac
    case ",${fields[3]}," in *",${one[1]},"*) ;; *) continue ;; esac
    count=$((count + 1))
    __gpu_fields_of_try
  done
  word=${one[3]}
  if [ -n "$__gpu_zh" ]; then __gpu_tr "$word"; __gpu_fit "$REPLY" 7; word=$REPLY; fi
  case ${one[4]--} in -) time='?' ;; *) time=${one[4]}% ;; esac
  printf -v cell "  %3s $color%-7s$plain%5s  " "${one[1]}" "$word" "$time"
  __gpu_format 'Available=%s' "$free"; cell+=$REPLY
  if [ "$wide" -ge 60 ]; then
    __gpu_format ', User Python Processes=%s' "$pythons"; time=$REPLY
    __gpu_format ', Running Tasks=%s' "$count"; time+=$REPLY
    if [ "$wide" -ge 80 ]; then cells+=("$cell$time"); else cells+=("$cell" "      ${time#[,，]}"); fi
  else
    __gpu_format ', User Python Processes=%s' "$pythons"; time=${REPLY#,}; time=${time#，}
    __gpu_format ', Running Tasks=%s' "$count"; REPLY=${REPLY#,}; REPLY=${REPLY#，}
    cells+=("$cell" "      ${time# }" "      ${REPLY# }")
  fi
  cells+=("${row[@]}")
  REPLY=''
  if [ "${one[9]:--}" != - ]; then REPLY=${one[9]}
  else
    case $kept_by in
      -) if [ "${one[3]}" = busy ] && [ "$count" -eq 0 ]; then
           case " ${left[*]} " in *" $node/"*) ;; *) __gpu_held ;; esac
         fi ;;
      left) __gpu_tr 'left to others' ;;
      stranger) __gpu_tr 'used by somebody else' ;;
      python) __gpu_tr 'with another Python process of yours' ;;
      little) __gpu_tr 'with too little free memory' ;;
      used) __gpu_tr 'above max_util' ;;
      *) REPLY=$kept_by ;;
    esac
  fi
  word=$REPLY
  if [ -n "$word" ]; then
    for ((i = 0; i < ${#reasons[@]}; i++)); do [ "${reasons[i]}" != "$word" ] || break; done
    reasons[i]=$word whose[i]=${whose[i]-}${whose[i]:+,}${one[1]}
  fi
  fields=("${one[@]}")
}

__gpu_fields_of_try() { # one more line of the caller's row, for the try in its fields on the GPU that is its one
  local nonce title time rest room
  nonce=${holds[${fields[1]}]-} title=${fields[8]--}
  rest=${nonce#*$'\t'} nonce=${nonce%%$'\t'*}
  time=${rest#*$'\t'} rest=${rest%%$'\t'*}
  title=${lane[$title/called]:-$title}
  if [ "$title" != - ]; then __gpu_format 'Running Task (Queue %s): ' "$title"; else __gpu_tr 'Running Task: '; fi
  title=$REPLY
  __gpu_width "$title"
  if [ $((wide - 6 - REPLY)) -lt 34 ] && [ "$wide" -lt 60 ]; then title=''; REPLY=0; fi
  room=$((wide - 14 - REPLY))
  case ,${fields[3]}, in ",${one[1]},"*) ;; *) row+=("      $title$bold$nonce$plain"); return ;; esac
  if [ $((room - ${#time})) -lt 13 ]; then time=${time%  *}; fi
  if [ $((room - ${#time})) -lt 13 ]; then time=${time% / *}; fi
  room=$((room - (${#time} > 0 ? ${#time} + 2 : 0)))
  [ "$room" -ge 4 ] || room=4
  __gpu_clip "$rest" "$room"
  row+=("      $title$bold$nonce$plain  $REPLY${time:+  $time}")
}

__gpu_unusual() { # into the caller's reasons and whose: what there is to say of the keep-alive of this GPU
  local card=("${fields[@]}") i fields
  [ "${mode[$node]-}" != shared ] || return 0
  __gpu_fields "${kept[$node/${card[1]}]-}" # index state duty held open spent off-by reason
  case ${fields[7]--} in - | 'a task has it') return ;; esac
  if [ "${fields[1]}" = off ] && [ "${card[3]}" = busy ]; then return; fi
  REPLY=${fields[1]}$'\t'${fields[7]}
  for ((i = 0; i < ${#reasons[@]}; i++)); do [ "${reasons[i]}" != "$REPLY" ] || break; done
  reasons[i]=$REPLY whose[i]=${whose[i]-}${whose[i]:+,}${card[1]}
}

__gpu_show_card() { # the GPU in the caller's fields
  local color='' used memory='' keep fields_of=("${fields[@]}")
  case $folded${fields[3]} in yeslost | yesunknown) ;; yes*) return ;; esac # one that is sick is not hidden
  case ${fields[3]} in busy) color=$green ;; foreign) color=$yellow ;; lost | unknown) color=$red ;; *) color=$dim ;; esac
  if __gpu_number "${fields[6]}"; then
    if [ "$total" != "${fields[6]}" ]; then total=${fields[6]}; __gpu_size "$total"; size=$REPLY; fi
    memory=$size
    case ${fields[5]} in
      *[!0-9]*) memory="?/$memory" ;;
      *) case $memory in *G) memory=$(((fields[5] + 536870912) / 1073741824))/$memory ;; *) __gpu_size "${fields[5]}"; memory=$REPLY/$memory ;; esac ;;
    esac
  fi
  keep=${holds[$node/${fields[1]}]-}
  if [ -n "$keeping" ]; then
    if [ -n "${kept[$node/${fields[1]}]-}" ] && __gpu_keeps "${fields[3]}" "${kept[$node/${fields[1]}]}"; then keep=$'\t'$REPLY$'\t'; fi
  elif [ -z "$keep" ]; then
    __gpu_fields "${kept[$node/${fields[1]}]-}"
    case ${fields[1]--} in - | off) ;; *) __gpu_tr keep-alive; keep=$'\t'$REPLY$'\t' ;; esac
    fields=("${fields_of[@]}")
    # Busy is what a task of this user has; of this queue we would know, but for what is just being claimed or let go.
    if [ -z "$keep" ] && [ "${fields[3]}" = busy ]; then
      case " ${left[*]} ${tries[*]}" in *" $node/"* | *"$node"$'\t'*$'\t'settling$'\t'*) ;; *) __gpu_held; keep=$'\t'$REPLY$'\t' ;; esac
    fi
  fi
  if [ "${fields[9]:--}" != - ]; then keep=$'\t'${fields[9]}$'\t'; fi
  __gpu_cell "${fields[1]}" "${fields[3]}" "${fields[4]}" "$memory" "$keep" "$color"
}

__gpu_held() { # REPLY = by what a GPU of the caller's node is held of which no task of this queue is told
  case "${spoken[*]}" in *gang$'\t'*"$node"*) __gpu_tr 'kept for a task' ;; *) __gpu_tr 'another queue' ;; esac # code english: who
}

__gpu_cell() { # INDEX STATE UTILIZATION MEMORY "NONCE<tab>TITLE<tab>TIME" COLOR: one more of the caller's cells
  local cell text room=$wide nonce rest
  if [ "$wide" -ge 110 ]; then room=$(((wide - 2) / 2)); fi
  text=$2
  if [ -n "$__gpu_zh" ]; then __gpu_tr "$2"; __gpu_fit "$REPLY" 7; text=$REPLY; fi
  printf -v cell "  %3s $6%-7s$plain" "$1" "$text"
  room=$((room - 13 - (${#1} > 3 ? ${#1} - 3 : 0)))
  if [ -z "$__gpu_zh" ] && [ ${#2} -gt 7 ]; then room=$((room - ${#2} + 7)); fi
  if [ -n "$3" ]; then
    case $3 in -) text='?' ;; *) text=$3% ;; esac
    if [ "$wide" -ge 110 ] && [ "$wide" -lt 140 ] && [ "${5:0:1}" != $'\t' ] && [ -n "$5" ]; then printf -v text '%5s' "$text" # a task's limit says more than its memory
    elif [ "$wide" -ge 60 ]; then printf -v text '%5s%9s' "$text" "$4"
    elif [ "${5:0:1}" = $'\t' ] || [ -z "$5" ]; then printf -v text '%5s' "$text"
    else text=''; fi # the room is the task's
    cell+=$text room=$((room - ${#text}))
  fi
  nonce=${5%%$'\t'*} rest=${5#*$'\t'}
  if [ -n "$nonce" ]; then cell+="  $bold$nonce$plain" room=$((room - 8)); fi
  text=${rest#*$'\t'} rest=${rest%%$'\t'*}
  # What there is no room for goes: which try it is, then the limit of its time.
  if [ $((room - ${#text})) -lt 13 ]; then text=${text%  *}; fi
  if [ $((room - ${#text})) -lt 13 ]; then text=${text% / *}; fi
  if [ -n "$rest" ]; then
    room=$((room - 2 - (${#text} > 0 ? ${#text} + 2 : 0)))
    [ "$room" -ge 4 ] || room=4
    __gpu_fit "$rest" "$room"; cell+="  $REPLY"
    [ -z "$text" ] || cell+="  $text"
    room=0
  fi
  if [ "$room" -gt 0 ]; then printf -v REPLY '%*s' "$room" ''; cell+=$REPLY; fi
  cells+=("$cell  ")
}

__gpu_show_left() { # claims that no page of a node knows of
  local file node text number count=0 young=()
  [ ${#left[@]} -gt 0 ] || return 0
  # A claim that came after its node's page, or right before it, is about to be told of.
  typeset -A seen
  for file in "${left[@]}"; do
    node=${file%%/*}
    if [ "${state[$node]-}" != serving ] || [ -n "${seen[$node]-}" ]; then continue; fi
    seen[$node]=yes
    __gpu_lines find "running/$node" -maxdepth 1 -newerct "@$((now - ${age[$node]} - 10))" -printf '%f\n'
    for text in "${reply[@]}"; do seen[$node/$text]=young; done
  done
  reply=()
  for file in "${left[@]}"; do if [ -n "${seen[$file]-}" ]; then young+=("$file"); else reply+=("$file"); fi; done
  left=("${reply[@]}")
  if [ ${#young[@]} -gt 0 ]; then
    __gpu_tr STARTING; printf "\n$bold%s$plain\n" "$REPLY"
    for file in "${young[@]:0:10}"; do
      node=${file%%/*}
      __gpu_title "$file"; __gpu_fit "$REPLY" "$titles"; text=$REPLY
      __gpu_format 'on %s' "${short[$node]}"
      file=${file##*/}; file=${file#???????????????????????}
      __gpu_clip "$text  $REPLY" $((wide - 10)); printf "  $bold%s$plain  %s\n" "${file%%-*}" "$REPLY"
    done
    [ ${#young[@]} -le 10 ] || { __gpu_format '… and %s more' $((${#young[@]} - 10)); printf '  %s\n' "$REPLY"; }
  fi
  [ ${#left[@]} -gt 0 ] || return 0
  __gpu_tr 'RUNNING, though no agent says so'; printf "\n$bold%s$plain\n" "$REPLY"
  for file in "${left[@]}"; do
    count=$((count + 1))
    if [ -z "$fully" ] && [ "$count" -gt 10 ]; then __gpu_format '… and %s more' $((${#left[@]} - 10)); printf '  %s\n' "$REPLY"; break; fi
    node=${file%%/*} number=${file##*.try}
    __gpu_title "$file"; __gpu_fit "$REPLY" "$titles"; text=$REPLY
    file=${file##*/}; file=${file#???????????????????????}
    case $number in *=*) __gpu_format 'on %s, try %s, has ended' "${short[$node]-$node}" "${number%%.*}" ;; *) __gpu_format 'on %s, try %s' "${short[$node]-$node}" "${number%%.*}" ;; esac
    __gpu_tame "$text  ${REPLY//[[:cntrl:]]/?}"; __gpu_clip "$REPLY" $((wide - 10))
    printf "  $bold%s$plain  %s\n" "${file%%-*}" "$REPLY"
  done
}

__gpu_queue_row() { # NAME: REPLY = name, busy or idle, pending, running, done, failed, failures, seconds of rest, holder
  local fields rest word=${lane[$1/busy]:-idle} i
  __gpu_fields "${lane[$1]}" # pending failed failures rest holder
  for i in 0 1 2; do __gpu_number "${fields[i]-}" || fields[i]=0; done
  rest=${fields[3]--}
  if __gpu_number "$rest" && [ "$word" = busy ]; then rest=$((rest - ${lane[$1/age]})); [ "$rest" -ge 0 ] || rest=0; else rest=-; fi
  REPLY="$1"$'\t'"$word"$'\t'"${fields[0]}"$'\t'"${lane[$1/runs]:-0}"$'\t'"${lane[$1/done]:-0}"$'\t'"${fields[1]}"$'\t'"${fields[2]}"$'\t'"$rest"$'\t'"${fields[4]:--}"
}

__gpu_as_called() { # TEXT: REPLY = it, with queues called as __gpu_call_queues calls them
  local stem
  REPLY=$1
  for stem in "${stems[@]}"; do REPLY=${REPLY//"$stem."/"${stem%-*}."}; done
}

__gpu_call_queues() { # lane[NAME/called]: a command file's queue without what tells files of one name apart, where that is one file's; stems: those
  local name called
  typeset -A single
  for name in "${lanes[@]}"; do
    case $name in *-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].[0-9]*) called=${name%.*} ;; *) continue ;; esac
    if [ "${single[${called%-*}]:-$called}" = "$called" ]; then single[${called%-*}]=$called; else single[${called%-*}]=several; fi
  done
  for name in "${lanes[@]}"; do
    called=${name%.*}
    [ "${single[${called%-*}]-}" = "$called" ] || continue
    lane[$name/called]=${called%-*}.${name##*.}
    case " ${stems[*]} " in *" $called "*) ;; *) stems+=("$called") ;; esac
  done
}

__gpu_show_queues() { # [alone]: serial queues, busy ones first, those that rest last of them
  local name row rows=() held=() rests=() waits=() others=() fields called color sign longest=0 room allowed=8 shown=0 rest IFS=$' \t\n'
  if [ ${#lanes[@]} -eq 0 ]; then
    if [ -n "${1-}" ]; then __gpu_put 'no agent tells of a serial queue; gpu_submit --queue NAME makes one\n'; fi
    return
  fi
  for name in "${lanes[@]}"; do
    __gpu_queue_row "$name"; row=$REPLY
    case $row in
      *$'\t'busy$'\t'*$'\t'-$'\t'*) held+=("$row") ;;
      *$'\t'busy$'\t'*) rests+=("$row") ;;
      *$'\t'idle$'\t'0$'\t'*) others+=("$row") ;;
      *) waits+=("$row") ;;
    esac
  done
  rows=("${held[@]}" "${rests[@]}" "${waits[@]}" "${others[@]}")
  if [ "$high" -gt 36 ]; then allowed=$((high / 4)); fi
  if [ -n "${1-}$fully" ] || [ ${#rows[@]} -le $((allowed + 1)) ]; then allowed=${#rows[@]}; fi
  waits=()
  for row in "${rows[@]:0:$allowed}"; do
    name=${row%%$'\t'*}; name=${lane[$name/called]:-$name}
    waits+=("$name")
    if [ ${#name} -gt "$longest" ]; then longest=${#name}; fi
  done
  __gpu_tr QUEUES
  if [ -n "${1-}" ]; then printf "$bold%s$plain\n" "$REPLY"; else printf "\n$bold%s$plain\n" "$REPLY"; fi
  for row in "${rows[@]:0:$allowed}"; do
    __gpu_fields "$row"
    if [ "${fields[1]}" = busy ]; then color=$red sign='🔴'; __gpu_tr BUSY; else color=$green sign='🟢'; __gpu_tr IDLE; fi
    row=$REPLY
    __gpu_format ', Pending=%s, Running=%s, Completed=%s, Failed=%s' "${fields[2]}" "${fields[3]}" "${fields[4]}" "${fields[5]}"
    rest=$REPLY
    __gpu_format 'Queue %s: ' "${waits[shown]}"; name=$REPLY
    __gpu_width "$name"; called=$((REPLY - ${#waits[shown]} + longest))
    __gpu_width "$sign $row$rest"; room=$((wide - 2 - REPLY))
    if [ "$called" -gt "$room" ]; then called=$room; fi
    __gpu_width "$name"
    if [ "$REPLY" -gt "$called" ]; then called=$REPLY; fi
    __gpu_fit "$name" "$called"; name=$REPLY
    if [ "$called" -le "$room" ]; then printf '  %s%s\n' "$name" "$color$sign $row$plain$rest"
    else # the counts below
      __gpu_clip "${name%"${name##*[! ]}"} $sign $row" $((wide - 2)); printf '  %s\n' "$REPLY"
      rest=${rest#,}; rest=${rest#，}; __gpu_wrap '    ' '' "${rest# }"
    fi
    if [ "${fields[7]}" != - ]; then
      if [ -n "${ZSH_VERSION-}" ]; then strftime -s name %H:%M "$((now + fields[7]))"; else printf -v name '%(%H:%M)T' "$((now + fields[7]))"; fi
      __gpu_age "${fields[7]}"
      __gpu_format 'failed %s times; rests until %s (%s)' "${fields[6]}" "$name" "$REPLY"; __gpu_wrap '    ' "$yellow" "$REPLY"
    fi
    shown=$((shown + 1))
  done
  rest=$((${#rows[@]} - shown + more_lanes))
  if [ "$rest" -gt 0 ] && [ -n "${1-}" ]; then __gpu_format '… and %s more' "$rest"; printf "  $dim%s$plain\n" "$REPLY"
  elif [ "$rest" -gt 0 ]; then __gpu_format '… and %s more; gpu_status --queues shows all of them' "$rest"; __gpu_wrap '  ' "$dim" "$REPLY"
  fi
}

__gpu_show_waiting() {
  local name key last='' file i=0 fields groups=() counts=() firsts=() rest=0 allowed=12 each shown=0 count=$((waiters + ${#odd[@]})) ranked='' below='' titles=$titles IFS=$' \t\n'
  if [ "$count" -gt 0 ]; then
    if [ "$wide" -lt 100 ] && [ -z "$fully" ]; then # a reason that is cut is none
      below=yes
      if [ "$wide" -ge 60 ]; then titles=$((wide >= 80 ? 40 : wide - 40)); fi
    fi
    for file in "${files[@]:0:100}"; do case $file in pending/500-*) ;; *) ranked=yes; break ;; esac; done
    __gpu_tr WAITING; __gpu_fit "$REPLY" $((12 + titles)); printf "\n$bold%s$plain" "$REPLY"
    REPLY=WHY; [ -z "$below" ] || REPLY=''
    __gpu_columns PRIO GPUS FOR "$REPLY"; printf "$dim%s$plain\n" "${REPLY%"${REPLY##*[! ]}"}"
    if [ -n "$fully" ]; then
      for file in "${files[@]}" "${odd[@]}"; do __gpu_show_waiter "${file#pending/}"; done
    else
      if [ "$high" -gt 36 ]; then allowed=$((high / 3)); fi
      for file in "${files[@]:0:100}" "${odd[@]:0:100}"; do # agents tell of the first hundred
        name=${file#pending/} key=-
        [ -n "$file" ] || continue # in zsh a part of an empty list is an empty word
        case $name in *[!A-Za-z0-9._+-]*) __gpu_tr 'dropped by hand'; key=$REPLY ;; *) key=${spoken[$name]--}; key=${key%$'\t'*$'\t'*$'\t'*} ;; esac # code english chinese
        if [ "$key" = - ] && [ "$alive" -gt 0 ] && [ "$waiters" -gt 100 ]; then continue; fi # too far behind to be told of
        if [ "$key" != "$last" ]; then
          for ((i = 0; i < ${#groups[@]}; i++)); do [ "${groups[i]}" != "$key" ] || break; done
          groups[i]=$key last=$key
        fi
        counts[i]=$((${counts[i]:-0} + 1))
        if [ "${counts[i]}" -le "$allowed" ]; then firsts[i]=${firsts[i]-}$name/; fi
      done
      each=1
      if [ ${#groups[@]} -gt 0 ] && [ $((allowed / ${#groups[@]})) -gt 1 ]; then each=$((allowed / ${#groups[@]})); fi
      [ ${#groups[@]} -lt 2 ] || [ "$each" -lt 4 ] || each=3
      for ((i = 0; i < ${#groups[@]} && shown < allowed; i++)); do
        key='' below=''
        if [ "${groups[i]}" != - ]; then
          __gpu_fields "${groups[i]}"; key=${fields[1]-${groups[i]}}
          [ -z "$__gpu_zh" ] || key=${fields[2]-$key}
          __gpu_as_called "$key"; key=$REPLY
          if [ "$wide" -lt 100 ]; then below=yes
          else __gpu_width "$key"; [ "$REPLY" -le $((wide - titles - 26 - (${#ranked} > 0 ? 5 : 0))) ] || below=yes
          fi
        fi
        IFS=/; set -f
        # shellcheck disable=SC2206 # names have no /
        reply=(${firsts[i]%/}); set +f; IFS=$' \t\n'
        for name in "${reply[@]:0:$each}"; do __gpu_show_waiter "$name"; shown=$((shown + 1)); done
        rest=${#reply[@]}; [ "$rest" -le "$each" ] || rest=$each
        if [ "${counts[i]}" -eq $((rest + 1)) ]; then __gpu_show_waiter "${reply[rest]}"; shown=$((shown + 1)) rest=$((rest + 1))
        fi
        rest=$((counts[i] - rest))
        if [ -n "$below" ]; then
          if [ "$rest" -gt 0 ]; then __gpu_format '%s; %s more like it' "$key" "$rest"; key=$REPLY; fi
          __gpu_wrap '    ' "$dim" "$key"
        elif [ "$rest" -gt 0 ]; then __gpu_format '… %s more like it' "$rest"; printf "  $dim%s$plain\n" "$REPLY"
        fi
        count=$((count - counts[i]))
      done
      if [ "$count" -gt 0 ]; then __gpu_format '… and %s others; gpu_status --all shows them' "$count"; __gpu_wrap '  ' "$dim" "$REPLY"; fi
    fi
  fi
  if [ "${unrun#* }" != 0 ]; then __gpu_format '%s ignored: directories, links and whatever else is no regular file are not run' "${unrun#* }"; __gpu_wrap '  ' "$dim" "$REPLY"; fi
  if [ "${unrun% *}" != 0 ]; then __gpu_format '%s skipped: dot-files, *~, *.tmp and *.swp are not run' "${unrun% *}"; __gpu_wrap '  ' "$dim" "$REPLY"; fi
}

__gpu_told() { # NAME in pending/, of safe bytes: REPLY = why it waits, as nodes say, - where none does; into the caller's fields
  __gpu_fields "${spoken[$1]-}" # code english chinese gpus tries title
  REPLY=${fields[1]--}
  [ -z "$__gpu_zh" ] || REPLY=${fields[2]-$REPLY}
}

__gpu_columns() { # PRIORITY GPUS FOR WHY: REPLY = what stands right of a waiting task's title
  local line=''
  if [ -n "$ranked" ] && [ "$wide" -ge 60 ]; then __gpu_tr "$1"; __gpu_fit "$REPLY" 4; line="$REPLY "; fi
  __gpu_tr "$2"; __gpu_fit "$REPLY" 4 right; line+="$REPLY  "
  __gpu_tr "$3"; __gpu_fit "$REPLY" 6; line+="$REPLY  "
  if [ "$wide" -ge 60 ] && [ -n "$4" ]; then __gpu_tr "$4"; line+=$REPLY; fi # else it stands below
  REPLY=$line
}

__gpu_show_waiter() { # NAME in pending/
  local name=$1 line priority=- nonce='' time=- reason=- again='' fields
  __gpu_strip "$name"
  if __gpu_is_full "$REPLY"; then
    priority=${REPLY%%-*}
    __gpu_epoch "${REPLY:4}"; nonce=${1:23:6}
    time=$((now - REPLY)); __gpu_age $((time > 0 ? time : 0)); time=$REPLY
  fi
  case $name in
    *[!A-Za-z0-9._+-]*) fields=(); __gpu_tr 'dropped by hand'; reason=$REPLY ;;
    *)
      __gpu_told "$name"; __gpu_as_called "$REPLY"; reason=$REPLY
      if __gpu_number "${fields[4]-}" && [ "${fields[4]}" -gt 0 ] && [ "${fields[0]}" != backoff ]; then
        __gpu_format '%s (try %s)' "$reason" $((fields[4] + 1)); reason=$REPLY
        __gpu_format 'try %s' $((fields[4] + 1)); again=$REPLY
      fi ;;
  esac
  [ -z "$below" ] || reason=$again
  REPLY=${fields[5]--}
  [ "$REPLY" != - ] || __gpu_title "$name"
  __gpu_fit "$REPLY" "$titles"; line=$REPLY
  REPLY=${fields[3]--}
  __gpu_columns "$priority" "$REPLY" "$time" "$reason"
  printf -v nonce '%-6s' "$nonce"
  __gpu_clip "$line  $REPLY" $((wide - 10)); line=$REPLY
  printf "  $bold%s$plain  %s\n" "$nonce" "$line"
}

__gpu_show_failed() { # of the last day, the newest first, each with how it ended
  local row name id file number shown=5 patterns=() since outcome text kind
  typeset -A newest
  [ ${#failed[@]} -gt 0 ] || return 0
  [ -z "$fully" ] || shown=50
  __gpu_format 'FAILED in the last day: %s' "$failures"; printf "\n$bold%s$plain\n" "$REPLY"
  for row in "${failed[@]:0:$shown}"; do
    name=${row#* } id=${name#????}
    __gpu_is_full "$name" || continue
    if __gpu_last_record "$id"; then newest[$id]=1 newest[$id.file]=$REPLY
    elif [ -e "logs/$id.log" ]; then patterns+=(${patterns[0]+-o} -name "$id.try*.json")
    fi
  done
  if [ ${#patterns[@]} -gt 0 ]; then # it ran, and no index tells of it: a listing of all records costs more than all the rest
    __gpu_lines find records -maxdepth 1 '(' "${patterns[@]}" ')' ! -name '*[!A-Za-z0-9._+-]*' -printf '%f\n'
    for file in "${reply[@]}"; do
      __gpu_try "$file"; number=$REPLY
      __gpu_number "$number" || continue
      id=${file%.try*}
      if [ "$number" -ge "${newest[$id]:-0}" ]; then newest[$id]=$number newest[$id.file]=records/$file; fi
    done
  fi
  for row in "${failed[@]:0:$shown}"; do
    name=${row#* } since=${row%%.*} outcome='' text='' kind=''
    __gpu_is_full "$name" || continue
    id=${name#????}
    if [ -n "${newest[$id]-}" ] && __gpu_record "${newest[$id.file]}"; then
      row=$REPLY
      if __gpu_field "$row" outcome; then outcome=$REPLY; fi
      if __gpu_field "$row" error_type; then kind=$REPLY; fi
      if __gpu_field "$row" reason; then text=$REPLY; fi
      if __gpu_field "$row" to && [ "$REPLY" = pending ]; then outcome=cancelled text=''; fi # when it waited again
    fi
    __gpu_outcome "$outcome" "$kind"; outcome=$REPLY${text:+, $text}
    __gpu_title "$name"; __gpu_fit "$REPLY" "$titles"; text=$REPLY
    __gpu_age $((now > since ? now - since : 0)); __gpu_format '%s ago' "$REPLY"
    since=$REPLY
    __gpu_tame "$outcome"; outcome=${REPLY//[[:cntrl:]]/?}
    __gpu_fit "$since" 11; row="$text  $REPLY  $outcome"
    [ "$wide" -ge 60 ] || row="$text  $outcome"
    __gpu_width "$row"
    if [ "$REPLY" -le $((wide - 10)) ]; then printf "  $bold%s$plain  %s\n" "${name:23:6}" "$row"
    else
      printf "  $bold%s$plain  %s\n" "${name:23:6}" "$text  $since"
      __gpu_wrap '    ' "$dim" "$outcome"
    fi
  done
  if [ "$failures" -gt "$shown" ]; then __gpu_format '… %s more' $((failures - shown)); printf "  $dim%s$plain\n" "$REPLY"; fi
}

__gpu_last_record() { # ID: REPLY = the record of its newest try, by its index of tries; fails where that tells of none
  local number last
  __gpu_record "records/$1.tries.json" || return
  last='{'${REPLY##*'{'}
  __gpu_field "$last" try && __gpu_number "$REPLY" || return
  number=$REPLY
  __gpu_field "$last" token || return
  case $REPLY in '' | *[!0-9a-f]*) return 1 ;; esac
  REPLY=records/$1.try$number.$REPLY.json
}

__gpu_outcome() { # WORD ERROR-TYPE of a record: REPLY = how the task ended, for people
  case $1 in
    '') __gpu_tr 'cancelled while it waited, or never started' ;;
    cancelled) __gpu_tr 'cancelled while it waited' ;;
    'failed('*) REPLY=${1#*'('}; __gpu_format 'exit status %s' "${REPLY%%')'*}"
      case $2 in '' | unknown | *[!A-Za-z0-9_.+-]*) ;; *) REPLY+=" ($2)" ;; esac ;;
    *) __gpu_tr "$1" ;;
  esac
}

__gpu_kept_status() { # as gpu_status shows nodes, with what the keep-alive does with each GPU
  local node names=() cards=() notes=() tries=() left=() whole=() reply=() wide=100 high=0 titles=24 keeping=yes folded='' flagged='' gap=yes lanes=() more_lanes=0
  local bold='' dim='' red='' green='' yellow='' plain=''
  typeset -A age state because ends kept holds short listed paged mode lane
  if __gpu_who keepalive-off; then __gpu_put 'keep-alive is off%s; gpu_keepalive on ends it\n' "${REPLY:+: $REPLY}"
  else __gpu_put 'keep-alive is on\n'
  fi
  __gpu_living; __gpu_sort "${reply[@]}"; names=("${reply[@]}")
  [ ${#names[@]} -gt 0 ] || { __gpu_no_agent; __gpu_put '%s\n' "$REPLY"; return; }
  __gpu_size_of_terminal
  __gpu_colours
  if [ "$wide" -gt 109 ]; then wide=109; fi # in two columns there is no room for the words
  __gpu_shorten
  for node in "${names[@]}"; do
    __gpu_state "$node"; state[$node]=$REPLY age[$node]=0 notes=() cards=()
    __gpu_each "$node" __gpu_heed wait
    ends=() because=() notes=() tries=()
    __gpu_show_node
  done
}

# --- the same for programs: a line per thing, fields separated by tabs, - for none (docs/commands.md, "For programs") ---

__gpu_rows() {
  local row fields file name node i count IFS=$'\t'
  __gpu_put 'queue\t%s\t%s\t%s\n' "$JOB_ID" "$PWD" "$now"
  for name in paused draining keepalive-off; do
    if __gpu_who "$name"; then printf 'flag\t%s\t%s\n' "$name" "${REPLY:--}"; fi
  done
  if __gpu_chain; then
    name=keep
    [ ${#reply[@]} -eq 0 ] || name='keep-paused'
    printf 'flag\t%s\t%s\n' "$name" "$REPLY"
  fi
  for node in "${names[@]}"; do printf 'node\t%s\t%s\t%s\t%s\t%s\t%s\n' "$node" "${state[$node]}" "${age[$node]}" "${ends[$node]:--}" "${because[$node]:--}" "${mode[$node]:--}"; done
  for row in "${notes[@]}"; do printf 'note\t%s\n' "$row"; done
  for row in "${cards[@]}"; do
    __gpu_fields "$row"; node=${fields[0]}/${fields[1]}
    __gpu_fields "${kept[$node]:--}"
    printf 'gpu\t%s\t%s\t%s\t%s\n' "$row" "${fields[1]:--}" "${fields[7]:--}" "${kept[shared/$node]:--$IFS-$IFS-}"
  done
  for row in "${tries[@]}"; do
    __gpu_fields "$row" # node claim stage gpus seconds limit ending name queue rank nodes claim-of-rank-0
    case ${fields[11]--} in -) ;; *) continue ;; esac # one task is one row: its GPUs on other nodes are among those
    file=${fields[1]} name=${fields[1]%.try*} count=${fields[4]}
    if __gpu_number "$count"; then count=$((count + ${age[${fields[0]}]})); fi
    node=${fields[3]:--} i=0
    if [ "$node" != - ]; then REPLY=${node//[!,]/}; i=$((${#REPLY} + 1)); fi
    __gpu_try "$file"
    printf 'task\trunning\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t-\t%s\n' "${name#????}" "${name%%-*}" "${fields[0]}" "$i" "$node" \
      "$count" "${fields[5]}" "$REPLY" "${fields[2]}" "${fields[7]:--}" "${fields[8]:--}"
  done
  for file in "${left[@]}"; do
    name=${file#*/}; __gpu_try "$name"; count=$REPLY
    __gpu_title "$name"
    name=${name%%=*}; name=${name%.try*}
    __gpu_put 'task\trunning\t%s\t%s\t%s\t-\t-\t-\t-\t%s\t-\t%s\t-\t-\n' "${name#????}" "${name%%-*}" "${file%%/*}" "$count" "$REPLY"
  done
  for file in "${files[@]}"; do
    name=${file#pending/}
    case $name in *.try*) __gpu_strip "$name"; name=$REPLY ;; esac
    __gpu_epoch "${name:4}"; count=$((now > REPLY ? now - REPLY : 0)); __gpu_title "$name"
    row=$REPLY
    __gpu_told "$name"
    printf 'task\twaiting\t%s\t%s\t-\t%s\t-\t%s\t-\t%s\t%s\t%s\t%s\t-\n' "${name#????}" "${name%%-*}" "${fields[3]--}" "$count" "${fields[4]--}" "${fields[0]--}" "$row" "$REPLY"
  done
  for file in "${odd[@]}"; do __gpu_tame "${file#pending/}"; printf 'drop\t%s\n' "${REPLY//[[:cntrl:]]/?}"; done
  for name in "${lanes[@]}"; do __gpu_queue_row "$name"; printf 'serial_queue\t%s\n' "$REPLY"; done
  __gpu_count_settled
  printf 'count\tfailed\t%s\ncount\tdone\t%s\n' "${REPLY% *}" "${REPLY#* }"
}

__gpu_rows_json() { # the rows that come in, as one JSON object; - becomes null, what is a number a number
  local row fields kind before='' IFS=$'\n'
  set -f
  printf '{\n  "protocol": 1'
  # shellcheck disable=SC2162 # the rows have no backslashes but those of their words
  while IFS= read -r row; do
    __gpu_cut "$row"; kind=${fields[0]}
    case $kind in
      queue) __gpu_object job_id directory now_s; printf ',\n  "queue": %s' "$REPLY"; continue ;;
      flag) __gpu_object flag text ;;
      node) __gpu_object node state age_s ends_s reason mode ;;
      note) __gpu_object node text ;;
      gpu) __gpu_object node index uuid state utilization_percent memory_used_bytes memory_total_bytes power_w name problem keepalive keepalive_reason memory_free_bytes user_pythons kept_by ;;
      task) __gpu_object state id priority node gpus devices seconds limit_s tries stage title reason queue ;;
      drop) __gpu_object name ;;
      serial_queue) __gpu_object queue state pending running 'done' failed failures rests_s holder ;;
      count) __gpu_object state count ;;
      *) continue ;;
    esac
    if [ "$kind" = "$before" ]; then printf ',\n    %s' "$REPLY"
    else __gpu_lists "$before" "$kind"; printf '\n    %s' "$REPLY"
    fi
    before=$kind
  done
  __gpu_lists "$before" ''
  set +f
  printf '\n}\n'
}

__gpu_lists() { # BEFORE KIND: the end of one list of JSON and the beginning of another; those between are empty
  local kind is_between='' IFS=' '
  [ -n "$1" ] || is_between=yes
  [ -z "$1" ] || printf '\n  ]'
  for kind in flag node note gpu task drop serial_queue count; do
    if [ "$kind" = "$2" ]; then printf ',\n  "%ss": [' "$kind"; return; fi
    [ -z "$is_between" ] || printf ',\n  "%ss": []' "$kind"
    if [ "$kind" = "$1" ]; then is_between=yes; fi
  done
}

__gpu_cut() { # ROW: into the caller's fields; there are no empty ones
  local IFS=$'\t'
  # shellcheck disable=SC2206 # fields are words
  fields=($1)
}

__gpu_object() { # KEY…: REPLY = an object of the caller's fields, which begin with what it is
  local key i=0 out=''
  for key in "$@"; do
    i=$((i + 1))
    case ${fields[i]--} in
      -) REPLY=null ;;
      *) case $key in
          *_s | *_bytes | *_percent | *_w | seconds | tries | count | index | user_pythons | pending | running | 'done' | failed | failures) REPLY=${fields[i]}; __gpu_number "$REPLY" || __gpu_json "$REPLY" ;;
          *) __gpu_json "${fields[i]}" ;;
        esac ;;
    esac
    out+="${out:+, }\"$key\": $REPLY"
  done
  REPLY="{$out}"
}

__gpu_logs_of() { # ID [RANK]: reply = the logs of its tries in order; pipes and links are none
  local file numbered=() number=1 found=() rank=''
  case ${2-0} in 0) ;; *) rank=.rank$2 ;; esac
  if __gpu_is_script "logs/$1$rank.log"; then found=("logs/$1$rank.log"); fi
  for file in logs/"$1".try*"$rank".log; do
    case ${file#logs/"$1"}/$rank in *.rank[1-9]*/) ;; *) numbered+=("$file") ;; esac
  done
  while [ ${#numbered[@]} -gt 0 ] && [ "$number" -lt 1000 ]; do
    reply=()
    for file in "${numbered[@]}"; do
      case ${file##*.try} in
        "$number".*) if __gpu_is_script "$file"; then found+=("$file"); fi ;;
        *) reply+=("$file") ;;
      esac
    done
    numbered=("${reply[@]}") number=$((number + 1))
  done
  reply=("${found[@]}")
}

__gpu_ranks_of() { # ID: reply = of which ranks beside 0 there are logs, in order
  local file ranks=() order=-nu
  for file in logs/"$1".*rank[1-9]*.log; do
    case ${file#logs/"$1"} in
      .rank[1-9]*.log | .try[1-9]*.??????.rank[1-9]*.log) file=${file%.log}; file=${file##*.rank} ;;
      *) continue ;;
    esac
    __gpu_number "$file" && ranks+=("$file")
  done
  reply=()
  [ ${#ranks[@]} -eq 0 ] || __gpu_lines printf '%s\n' "${ranks[@]}"
}

__gpu_unranked() { # NAME of a log without .log: REPLY = that of rank 0's
  REPLY=$1
  case $1 in *.rank[1-9]) ;; *.rank[1-9][0-9]) ;; *.rank[1-9][0-9][0-9]) ;; *.rank[1-9][0-9][0-9][0-9]) ;; *) return 0 ;; esac
  [ -e "logs/${1%.rank*}.log" ] || return 0 # it may be called so
  REPLY=${1%.rank*}
}

__gpu_grown() { # reply = the logs, the one that grew last at the end
  local order=-n
  __gpu_lines find logs -maxdepth 1 -type f -name '*.log' ! -name '*[!A-Za-z0-9._+-]*' -printf '%T@ %f\n'
}

__gpu_newest() { # [TEXT [logged]]: REPLY = path of the newest task that it fits, if it can be of one with a log;
  local best='' file i logs # without TEXT the one whose log grew last
  typeset -A paths
  if [ -z "${1-}" ]; then
    __gpu_grown
    if [ ${#reply[@]} -gt 0 ]; then
      file=${reply[${#reply[@]} - 1]#* }
      __gpu_unranked "${file%.log}"
      __gpu_strip "000-$REPLY"
      __gpu_where "${REPLY#????}" || REPLY=logs/$REPLY
      return 0
    fi
  fi
  __gpu_find "${1-}" pending running 'done' failed
  [ ${#reply[@]} -gt 0 ] || __gpu_find "${1-}" pending running 'done' failed # it may just have come back to pending/
  for file in "${reply[@]}"; do
    __gpu_strip "$file"
    __gpu_is_full "$REPLY" || continue
    paths[${REPLY#????}]=$file
    if [[ ${REPLY#????} > $best ]]; then best=${REPLY#????}; fi
  done
  if [ -z "$best" ]; then
    [ ${#reply[@]} -eq 0 ] || { __gpu_fail '%s was dropped by hand and has no log before it runs' "${reply[0]}"; return; }
    __gpu_fail "no task is called '%s'; gpu_logs shows the newest logs, gpu_status what waits and runs" "${1-}"
    return
  fi
  REPLY=${paths[$best]}
  [ "${2-}" = logged ] && [ ! -e "logs/$best.log" ] || return 0
  logs=(logs/*.log) # oldest first
  for ((i = ${#logs[@]} - 1; i >= 0; i--)); do
    file=${logs[i]#logs/}
    __gpu_unranked "${file%.log}"
    __gpu_strip "000-$REPLY"
    file=${paths[${REPLY#????}]-}
    if [ -n "$file" ]; then REPLY=$file; return 0; fi
  done
  REPLY=${paths[$best]}
}

__gpu_shown() { # PATH in the spool: whole, as one can paste it
  __gpu_quote "$PWD/$1"
}

__gpu_why() { # NAME in pending/: reply = why it waits, as living nodes say, with their names where they differ; REPLY = the
  local node i texts=() nodes=() fields # same in one line; what of it does not change by the second into the caller's same
  same=''
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then __gpu_no_agent; return 1; fi
  __gpu_sort "${reply[@]}"
  for node in "${reply[@]}"; do
    __gpu_line "$node" wait "$1" || continue
    __gpu_fields "$REPLY"
    __gpu_sentence "${fields[1]}" "${fields[2]}"
    for ((i = 0; i < ${#texts[@]}; i++)); do [ "${texts[i]}" != "$REPLY" ] || break; done
    texts[i]=$REPLY nodes[i]=${nodes[i]-}${nodes[i]:+, }${node%-????????}
    case ${fields[0]} in
      backoff | not_started | lifetime) same+="$node ${fields[0]};" ;; # the same reason with less time left
      *) same+="$node $REPLY;" ;;
    esac
  done
  reply=() REPLY=${texts[0]-}
  if [ ${#texts[@]} -lt 2 ]; then reply=("${texts[@]}"); return; fi
  REPLY=''
  for ((i = 0; i < ${#texts[@]}; i++)); do
    reply+=("${nodes[i]}: ${texts[i]}"); REPLY+="${REPLY:+; }${nodes[i]}: ${texts[i]}"
  done
}

__gpu_rank() { # ARGUMENT…: into the caller's rank and others what --rank says, and the rest
  others=() rank=0
  while [ $# -gt 0 ]; do
    case $1 in
      --rank=*) rank=${1#*=} ;;
      --rank)
        [ $# -gt 1 ] || { __gpu_usage '%s needs a value' "$1"; return; }
        rank=$2; shift ;;
      --) shift; others+=("$@"); break ;;
      *) others+=("$1") ;;
    esac
    shift
  done
  case $rank in all | 0 | [1-9] | [1-9][0-9] | [1-9][0-9][0-9] | [1-9][0-9][0-9][0-9]) ;; *) __gpu_usage "--rank '%s' is no rank; 0 is the first node of a task over several" "$rank" ;; esac
}

__gpu_logs() {
  local file task priority id nonce title same i rank ranks others logs=()
  __gpu_rank "$@" || return
  set -- "${others[@]}"
  __gpu_enter || return
  if [ $# -eq 0 ]; then
    __gpu_grown
    [ ${#reply[@]} -gt 0 ] || { __gpu_say 'there are no logs yet; gpu_status shows what waits and runs'; return 0; }
    for ((i = ${#reply[@]} - 1; i >= 0 && i >= ${#reply[@]} - 20; i--)); do
      file=${reply[i]#* }
      __gpu_split "000-${file%.log}"
      __gpu_title "000-${file%.log}"
      if [ "$REPLY" = "$title" ]; then title=''; else title="  $REPLY"; fi # the path has it, if a path can have it
      __gpu_shown "logs/$file"
      __gpu_put '  %s  %s%s\n' "$nonce" "$REPLY" "$title"
    done
    return 0
  fi
  __gpu_newest "$1" logged || return
  task=$REPLY
  __gpu_called "$task"
  __gpu_ranks_of "$id"; ranks=(0 "${reply[@]}")
  case $rank in
    all) ;;
    *)
      if [ "$rank" = 0 ] && [ ${#ranks[@]} -gt 1 ]; then __gpu_say 'it has a log for each of its nodes; this is that of rank 0; others: --rank 1 …, or --rank all'; fi
      ranks=("$rank") ;;
  esac
  for i in "${ranks[@]}"; do
    __gpu_logs_of "$id" "$i"; logs+=("${reply[@]}")
  done
  reply=("${logs[@]}")
  if [ ${#reply[@]} -eq 0 ] && [ "$rank" != 0 ] && [ -e "logs/$id.log" ]; then __gpu_fail '%s (%s) has no rank %s' "$title" "$nonce" "$rank"; return; fi
  if [ ${#reply[@]} -eq 0 ]; then
    case $task in
      pending/*) __gpu_why "${task#pending/}"; __gpu_fail '%s (%s) has not started yet%s' "$title" "$nonce" "${REPLY:+: $REPLY}" ;;
      *) __gpu_fail '%s (%s) has no log; gpu_explain %s says what is known of it' "$title" "$nonce" "$nonce" ;;
    esac
    return
  fi
  [ ${#reply[@]} -gt 1 ] || { command cat -- "${reply[0]}"; return; }
  for file in "${reply[@]}"; do
    __gpu_shown "$file"
    __gpu_put '==> %s <==\n' "$REPLY"
    command cat -- "$file"
  done
}

__gpu_rest() { # SECONDS VERB: sleep; on a local disk only until VERB succeeds, which is asked every 30 ms
  local turns line
  [ -n "$tick" ] || __gpu_begin_ticks # of the caller
  if [ "$tick" = none ]; then command sleep "$1"; return; fi
  case $1 in 0.2) turns=7 ;; 0.5) turns=17 ;; 1) turns=33 ;; 1.5) turns=50 ;; *) turns=67 ;; esac
  while ! "$2" && [ "$turns" -gt 0 ]; do
    turns=$((turns - 1))
    if [ "$tick" = zsh ]; then zselect -t 3; else IFS= read -r -t 0.03 -u "$tick" line; fi
  done
}

__gpu_begin_ticks() { # tick = how 30 ms pass without a fork; none where looking so often is of no use
  tick=none
  __gpu_is_local && __gpu_open_ticks
}

__gpu_open_ticks() { # tick = a descriptor from which nothing comes, or zsh's own; or none
  tick=none
  if [ -n "${ZSH_VERSION-}" ]; then
    if zmodload zsh/zselect 2>/dev/null; then tick=zsh; fi
  elif eval 'exec {line}<> <(:)' 2>/dev/null; then # open for writing as well, so it never ends; bash --posix could not parse it
    tick=$line
  fi
}

__gpu_tail() {
  local priority id nonce title log='' shown=0 size pause=0.2 absent=0 task why='' turn=0 full tick='' rank others
  __gpu_rank "$@" || return
  set -- "${others[@]}"
  [ "$rank" != all ] || { __gpu_usage 'gpu_tail follows one log: --rank N'; return; }
  __gpu_enter || return
  __gpu_newest "${1-}" || return
  __gpu_called "$REPLY"
  __gpu_say '%s (%s)' "$title" "$nonce"
  # Read anew by name each time: over NFS a file that is kept open is seen late, and a new try has a new log.
  while :; do
    task=''
    if __gpu_where "$id"; then task=$REPLY absent=0; else absent=$((absent + 1)); fi
    case $task in
      pending/*)
        [ $((turn % 3)) -ne 0 ] || __gpu_tell_why "${task#pending/}"
        turn=$((turn + 1)) ;;
      *) turn=0 why='' ;;
    esac
    __gpu_logs_of "$id" "$rank"
    if [ ${#reply[@]} -gt 0 ]; then
      if [ "$log" != "${reply[${#reply[@]} - 1]}" ]; then
        [ -z "$log" ] || { command tail -c "+$((shown + 1))" -- "$log" 2>/dev/null; __gpu_say 'a new try'; }
        log=${reply[${#reply[@]} - 1]}
        shown=$(command wc -c <"$log" 2>/dev/null) || shown=0
        shown=$((shown))
        __gpu_end "$log" "$shown"
      else
        size=$(command wc -c <"$log" 2>/dev/null) || size=$shown
        size=$((size))
        [ "$size" -ge "$shown" ] || shown=0
        if [ "$size" -gt "$shown" ]; then
          command tail -c "+$((shown + 1))" -- "$log" | command head -c $((size - shown))
          shown=$size pause=0.2
        fi
      fi
    fi
    case $task in
      done/*) return 0 ;;
      failed/*) __gpu_fail '%s has failed; gpu_explain %s says how' "$title" "$nonce"; return ;;
    esac
    [ "$absent" -lt 5 ] || { __gpu_fail '%s (%s) is in no directory of the queue any more' "$title" "$nonce"; return; }
    __gpu_strip "$task"; full=$REPLY
    __gpu_rest "$pause" __gpu_tail_over
    case $pause in 0.2) pause=0.5 ;; *) pause=1 ;; esac
  done
}

__gpu_end() { # LOG [SIZE]: its last ten lines, or of that much of it; a line without end is cut
  local size=${2-}
  [ -n "$size" ] || { size=$(command wc -c <"$1" 2>/dev/null) || size=0; size=$((size)); }
  local from=$((size > 65536 ? size - 65536 : 0))
  command tail -c "+$((from + 1))" -- "$1" 2>/dev/null | command head -c $((size - from)) | command tail -n 10
}

__gpu_tail_over() { # whether the caller's task has ended
  [ -n "$full" ] && { [ -e "done/$full" ] || [ -e "failed/$full" ]; }
}

__gpu_tell_why() { # NAME in pending/: why it waits, if that is not what the caller's why says
  local same
  __gpu_why "$1"
  REPLY=${REPLY:-its log will follow}; same=${same:-$REPLY}
  [ "$same" = "$why" ] || __gpu_say 'it waits: %s' "$REPLY"
  why=$same
}

__gpu_wait() {
  local limit='' fitting names=() queue='' ids=() left=() file id start pause=0.2 result=0 absent tick='' is_part=''
  typeset -A active misses settled full # names as they were last seen
  while [ $# -gt 0 ]; do
    case $1 in
      --timeout=*) limit=${1#*=} ;;
      --timeout) limit=${2-}; [ $# -lt 2 ] || shift ;;
      --queue=*) queue=${1#*=} ;;
      --queue)
        [ $# -gt 1 ] || { __gpu_usage '%s needs a value' "$1"; return; }
        queue=$2; shift ;;
      --) shift; names+=("$@"); break ;;
      --*) __gpu_usage 'there is no option %s; gpu_wait [TASK…] [--queue Q] [--timeout 2h]' "$1"; return ;;
      *) names+=("$1") ;;
    esac
    shift
    [ -z "$limit" ] || __gpu_duration "$limit" || { __gpu_usage '%s' "$REPLY"; return; }
    [ -z "$limit" ] || limit=$REPLY
    [ -z "$queue" ] || __gpu_check queue "$queue" || { __gpu_usage '%s' "$REPLY"; return; }
  done
  __gpu_enter || return
  if [ -n "$queue" ]; then
    __gpu_of_queue pending running
    for file in "${reply[@]}"; do __gpu_wait_for "$file"; done
    [ ${#ids[@]} -gt 0 ] || { __gpu_fail 'no task in %s is in the queue %s; gpu_status --queues shows their whole names' pending/running "$queue"; return; }
  elif [ ${#names[@]} -eq 0 ]; then
    __gpu_tasks pending; ids=("${reply[@]}")
    __gpu_tasks running; ids+=("${reply[@]}")
    __gpu_drops
    [ ${#reply[@]} -eq 0 ] || __gpu_say 'files dropped by hand have no id yet and are not waited for'
  fi
  for file in "${names[@]}"; do
    __gpu_strip "$file"
    # A full name needs no search; one that is nowhere is given up sooner than a task that was there.
    if __gpu_is_full "$REPLY"; then ids+=("$REPLY"); misses[${REPLY#????}]=25; continue; fi
    if __gpu_is_pattern "$file"; then
      __gpu_find "$file" pending running 'done' failed
      if [ -n "$is_part" ] || [ ${#reply[@]} -ne 1 ]; then # else a script is called so
        __gpu_fitting "$file" pending running
        [ ${#reply[@]} -gt 0 ] || __gpu_fitting "$file" 'done' failed # it may have been quick
        id=$file left=("${reply[@]}")
        for fitting in "${left[@]}"; do __gpu_wait_for "$fitting"; done
        [ ${#left[@]} -gt 0 ] || { __gpu_fail "no task fits '%s'; gpu_status and gpu_logs show what there is" "$id"; return; }
        left=()
        continue
      fi
    fi
    __gpu_one "$file" 'pending running' 'done failed' || return
    ids+=("$REPLY")
    __gpu_strip "$REPLY"
    __gpu_is_full "$REPLY" || { __gpu_fail '%s was dropped by hand and has no id before it runs; wait for it then' "$REPLY"; return; }
  done
  for file in "${ids[@]}"; do
    __gpu_strip "$file"; id=${REPLY#????}
    [ -n "${full[$id]-}" ] || left+=("$id")
    full[$id]=$REPLY misses[$id]=${misses[$id]-0}
  done
  __gpu_plural ${#left[@]} task
  __gpu_say 'waiting for %s' "$REPLY"
  __gpu_ms; start=$REPLY
  while [ ${#left[@]} -gt 0 ]; do
    # Only what is small is listed; done/ and failed/ only for a task that two listings lack.
    active=()
    __gpu_tasks pending
    for file in "${reply[@]}"; do active[${file#pending/???-}]=${file#pending/}; done
    __gpu_tasks running
    for file in "${reply[@]}"; do __gpu_strip "$file"; active[${REPLY#????}]=$REPLY; done
    ids=() settled=()
    for id in "${left[@]}"; do
      if [ -n "${active[$id]-}" ]; then misses[$id]=0 full[$id]=${active[$id]}; else misses[$id]=$((${misses[$id]} + 1)); fi
      [ "${misses[$id]}" -lt 2 ] || ids+=("$id")
    done
    if [ ${#ids[@]} -gt 5 ]; then # one listing for all of them
      for file in 'done'/*-* failed/*-*; do settled[${file#*/???-}]=$file; done
    fi
    ids=("${left[@]}") left=()
    for id in "${ids[@]}"; do
      absent=${misses[$id]} REPLY=${settled[$id]-}
      if [ "$absent" -lt 2 ] || { [ -z "$REPLY" ] && ! __gpu_where "$id"; }; then
        if [ "$absent" -lt 30 ]; then left+=("$id"); continue; fi
        __gpu_say '%s: it is in no directory of the queue any more' "$id"; result=1
        continue
      fi
      __gpu_wait_told "$REPLY" || { misses[$id]=0; left+=("$id"); }
    done
    [ ${#left[@]} -gt 0 ] || break
    __gpu_ms
    if [ -n "$limit" ] && [ $(((REPLY - start) / 1000)) -ge "$limit" ]; then
      __gpu_plural ${#left[@]} task
      __gpu_say 'gpu_wait: after %s s not ended: %s; gpu_status shows them' "$limit" "$REPLY"
      return 124
    fi
    __gpu_rest "$pause" __gpu_wait_over
    case $pause in 0.2) pause=0.5 ;; 0.5) pause=1 ;; 1) pause=1.5 ;; *) pause=2 ;; esac
  done
  return "$result"
}

__gpu_wait_for() { # PATH: into the caller's ids
  __gpu_strip "$1"
  if __gpu_is_full "$REPLY"; then ids+=("$REPLY")
  else __gpu_say '%s was dropped by hand, has no id yet and is not waited for' "$REPLY"
  fi
}

__gpu_wait_told() { # PATH: tells of a task that has ended, and keeps it in the caller's result; fails for others
  case $1 in
    done/*) __gpu_became 'done %s\n' "$1" ;;
    failed/*) __gpu_became 'failed %s\n' "$1"; result=1 ;;
    *) return 1 ;;
  esac
}

__gpu_wait_over() { # whether all that are left have ended; of many the first are looked up, the rest has to be listed
  local one found next
  for id in "${left[@]:0:20}"; do
    found=done/${full[$id]}
    [ -e "$found" ] || found=failed/${full[$id]}
    [ -e "$found" ] || continue
    __gpu_wait_told "$found"
    next=()
    for one in "${left[@]}"; do [ "$one" = "$id" ] || next+=("$one"); done
    left=("${next[@]}")
  done
  [ ${#left[@]} -eq 0 ]
}

__gpu_explain() { # and which code it is
  local result=0 task=''
  __gpu_explain_task "$@" || { result=$?; [ -n "$task" ] || return "$result"; }
  __gpu_explain_code "$task"
  return "$result"
}

__gpu_explain_code() { # PATH of a task: a line with the code that it was submitted with, where its record names any
  local record back=$'\\' commit='' key='' root=''
  __gpu_strip "$1"
  __gpu_is_full "$REPLY" && __gpu_record "records/${REPLY#????}.json" || return 0
  record=${REPLY#*'"code":'}
  [ "$record" != "$REPLY" ] || return 0
  if __gpu_field "$record" commit && [ -n "$REPLY" ]; then
    __gpu_format 'commit %s' "${REPLY:0:12}"; commit=$REPLY
    if __gpu_field "$record" dirty && [ "$REPLY" = true ]; then __gpu_tr ', changed since'; commit+=$REPLY; fi
  fi
  if __gpu_field "$record" snapshot && [ -n "$REPLY" ]; then
    key=${REPLY:0:12}
    __gpu_field "$record" root && root=${REPLY//"$back$back"/"$back"}
    __gpu_format 'snapshot %s of %s' "$key" "$root"; commit+=${commit:+; }$REPLY
  fi
  [ -z "$commit" ] || { __gpu_format 'code: %s' "$commit"; __gpu_put '  %s\n' "$REPLY"; }
}

__gpu_explain_task() {
  local file nodes=() gone=() same priority id nonce title
  [ "${1-}" != -- ] || shift
  [ $# -eq 1 ] || { __gpu_usage 'which task? gpu_explain TASK; gpu_status shows them'; return; }
  local newest=yes
  __gpu_enter || return
  __gpu_one "$1" 'pending running' 'done failed' || return
  task=$REPLY file=${REPLY#*/}
  case $task in
    pending/*) ;;
    running/*) __gpu_explain_running "$task"; return ;;
    *) __gpu_explain_end "$task"; return ;;
  esac
  if __gpu_why "$file" && [ ${#reply[@]} -gt 0 ]; then
    nodes=("${reply[@]}")
    __gpu_strip "$file"
    if __gpu_is_full "$REPLY"; then
      __gpu_epoch "${REPLY:4}"; same=$REPLY
      __gpu_clock control; __gpu_age $((REPLY > same ? REPLY - same : 0)); same=$REPLY
      __gpu_called "$task"
      if [ ${#nodes[@]} -eq 1 ]; then __gpu_put '%s (%s) has waited for %s: %s\n' "$title" "$nonce" "$same" "${nodes[0]}"; return 0; fi
      __gpu_put '%s (%s) has waited for %s:\n' "$title" "$nonce" "$same"
    elif [ ${#nodes[@]} -eq 1 ]; then __gpu_put '%s waits: %s\n' "$file" "${nodes[0]}"; return 0
    else __gpu_put '%s waits:\n' "$file"
    fi
    for same in "${nodes[@]}"; do __gpu_put '  %s\n' "$same"; done
    return 0
  fi
  __gpu_nodes; nodes=("${reply[@]}")
  if [ ${#nodes[@]} -gt 0 ]; then
    __gpu_json "$file"
    __gpu_post explain ", \"tasks\": [$REPLY]" "${nodes[@]}" || return
    __gpu_await "$REPLY" "${nodes[@]}"
    file=$task
    __gpu_one "$1" 'pending running' 'done failed' || return # by a listing: on NFS a look at a name may be a minute old
    [ "$REPLY" = "$file" ] || { __gpu_explain_task "$1"; return; } # it began while they were asked
  fi
  [ ${#gone[@]} -lt ${#nodes[@]} ] || { __gpu_no_agent; __gpu_put '%s\n' "$REPLY"; }
}

__gpu_explain_running() { # PATH of a claim
  local priority id nonce title try node=${1#running/} claim=${1##*/} now where='' fields many=1
  node=${node%%/*} claim=${claim%%=*}
  __gpu_called "$1"; __gpu_try "$1"; try=$REPLY
  __gpu_clock control; now=$REPLY
  if __gpu_beat "$node" "$now"; then
    now=$REPLY
    if __gpu_line "$node" try "$claim"; then
      __gpu_fields "$REPLY" # stage gpus seconds limit ending
      if __gpu_number "${fields[2]}"; then fields[2]=$((fields[2] + (now > 0 ? now : 0))); fi # when the page was written
      __gpu_try_words "${fields[1]}" "${fields[2]}" "${fields[3]}" "${fields[4]}"
      where=", $REPLY"
      if __gpu_number "${fields[8]-}"; then many=${fields[8]}; fi
    fi
  elif [ -e "nodes/$node.json" ]; then
    __gpu_age "$REPLY"; __gpu_format ', whose last sign of life was %s ago' "$REPLY"; where=$REPLY
    __gpu_watched "$node"; where+="; $REPLY"
  fi
  case $1 in *=*) __gpu_put '%s (%s) has ended on %s, try %s%s; an agent moves it on\n' "$title" "$nonce" "$node" "$try" "$where"; return ;; esac
  __gpu_put '%s (%s) runs on %s, try %s%s; gpu_tail %s follows its log\n' "$title" "$nonce" "$node" "$try" "$where" "$nonce"
  [ "$many" -le 1 ] || __gpu_explain_parts "$claim" "$nonce"
  # Its agent may have seen something: a GPU that it was not given.
  if __gpu_record "records/${claim#????}.json" && __gpu_field "$REPLY" reason && [ -n "$REPLY" ]; then __gpu_put '  %s\n' "$REPLY"; fi
  claim=${claim#????}
  if __gpu_record "records/${claim%.try*}.tries.json"; then
    where=${REPLY//'"why": "again"'/}; now=$(((${#REPLY} - ${#where}) / 14))
    REPLY=$where; where=${REPLY//'"why": "saved"'/}; now=$((now + (${#REPLY} - ${#where}) / 14))
    [ "$now" -eq 0 ] || __gpu_put '  it was run again %s times, because it asked for that or had saved\n' "$now"
  fi
}

__gpu_explain_parts() { # CLAIM NONCE: where the other ranks of a task over several nodes run, as their nodes say
  local node line fields parts=() IFS=$'\n'
  __gpu_living
  for node in "${reply[@]}"; do
    __gpu_read "nodes/$node.tsv" || continue
    case $REPLY in *$'\t'"$1"$'\n'*) ;; *) continue ;; esac
    set -f
    for line in $REPLY; do
      case $line in try$'\t'*$'\t'"$1") ;; *) continue ;; esac
      __gpu_fields "$line" # try claim stage gpus seconds limit ending name queue rank nodes claim-of-rank-0
      parts+=("${fields[9]}"$'\t'"$node"$'\t'"${fields[3]}")
    done
    set +f
  done
  [ ${#parts[@]} -gt 0 ] || return 0
  order=-n __gpu_lines printf '%s\n' "${parts[@]}"
  for line in "${reply[@]}"; do
    __gpu_fields "$line"
    __gpu_put '  rank %s runs on %s, GPU %s; gpu_tail %s --rank %s follows its log\n' "${fields[0]}" "${fields[1]}" "${fields[2]}" "$2" "${fields[0]}"
  done
}

__gpu_watched() { # NODE that is silent: REPLY = what becomes of its tasks, as a living node says
  local node fields
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then __gpu_format 'no agent is alive to take it over; start one with ./submit.sh %s' "$JOB_ID"; return; fi
  for node in "${reply[@]}"; do
    __gpu_line "$node" watch "$1" || continue
    __gpu_fields "$REPLY"
    __gpu_watch_words "${fields[@]:0:5}"
    __gpu_format '%s watches it: %s' "$node" "$REPLY"
    return
  done
  __gpu_format 'gpu_forget %s gives it up at once, should it be dead' "$1"
}

__gpu_try() { REPLY=${1##*.try}; REPLY=${REPLY%%.*}; } # NAME of a claim or of what belongs to it: the try's number

__gpu_explain_end() { # PATH in done/ or failed/
  local priority id nonce title file number=0 last='' outcome='' reason='' to='' kind=''
  __gpu_called "$1"
  for file in records/"$id".try*.json; do
    __gpu_try "$file"
    case $REPLY in '' | *[!0-9]*) continue ;; esac
    if [ "$REPLY" -ge "$number" ]; then number=$REPLY last=$file; fi
  done
  if [ -n "$last" ] && __gpu_record "$last"; then
    file=$REPLY
    __gpu_field "$file" outcome && outcome=$REPLY
    __gpu_field "$file" error_type && kind=$REPLY
    __gpu_field "$file" reason && reason=$REPLY
    __gpu_field "$file" to && to=$REPLY
  fi
  case $1 in
    done/*) __gpu_put '%s (%s) is done%s\n' "$title" "$nonce" "${outcome:+: $outcome}" ;;
    *)
      if [ "$to" = pending ]; then # that one went back to pending/
        __gpu_put '%s (%s) was cancelled while it waited, after try %s; gpu_retry %s queues it again\n' "$title" "$nonce" "$number" "$nonce"
      elif [ -z "$last" ]; then
        __gpu_put '%s (%s) was cancelled while it waited, or never started; gpu_retry %s queues it again\n' "$title" "$nonce" "$nonce"
      else
        __gpu_outcome "$outcome" "$kind"; outcome=$REPLY
        __gpu_put '%s (%s) has failed: %s; gpu_retry %s queues it again\n' "$title" "$nonce" "$outcome${reason:+, $reason}" "$nonce"
      fi ;;
  esac
  number=0
  case $1/$reason in failed/*/'rank '[1-9]*' on '*) number=${reason#rank }; number=${number%% *} ;; esac # of its nodes the one that failed
  __gpu_number "$number" || number=0
  __gpu_logs_of "$id" "$number"
  [ ${#reply[@]} -gt 0 ] || __gpu_logs_of "$id"
  [ ${#reply[@]} -gt 0 ] || return 0
  file=${reply[${#reply[@]} - 1]}
  __gpu_shown "$file"
  __gpu_put 'the end of %s\n' "$REPLY"
  __gpu_end "$file"
}

# --- steering ------------------------------------------------------------------------------------------------------

__gpu_cancel() {
  local names=() queue='' yes='' is_all='' file waiting=() result=0
  __gpu_wishes "$@" || return
  [ -n "${names[*]}$queue" ] || { __gpu_usage 'which task? gpu_cancel TASK…; gpu_status shows what waits'; return; }
  __gpu_enter || return
  __gpu_meant pending pending running 'done failed' || return
  [ ${#reply[@]} -gt 0 ] || { __gpu_say 'nothing waits'; return 0; }
  for file in "${reply[@]}"; do
    case $file in pending/*) waiting+=("$file") ;; *) __gpu_moved_on "$file"; result=1 ;; esac
  done
  __gpu_ask 'gpu_cancel takes %s waiting tasks out of the queue:' "${waiting[@]}" || return
  if [ ${#waiting[@]} -eq 1 ]; then __gpu_cancel_one "${waiting[0]}" || result=1; return "$result"; fi
  __gpu_cancel_many "${waiting[@]}"
  for file in "${reply[@]}"; do
    __gpu_strip "$file"
    __gpu_where "${REPLY#????}" || REPLY=$file
    __gpu_moved_on "$REPLY"; result=1
  done
  return "$result"
}

__gpu_cancel_many() { # PATH…, in pending/: to failed/; reply = those that were not there any more, or could not be moved
  local file start plain=() lost=()
  typeset -A missing
  for file in "$@"; do
    if ! __gpu_is_full "${file##*/}" || ! __gpu_is_script "$file"; then __gpu_cancel_one "$file"; else plain+=("$file"); fi
  done
  for ((start = 0; start < ${#plain[@]}; start += 500)); do
    __gpu_move_all failed "${plain[@]:$start:500}" || lost+=("${reply[@]}")
  done
  for file in "${lost[@]}"; do missing[$file]=1; done
  for file in "${plain[@]}"; do
    [ -n "${missing[$file]-}" ] || __gpu_became 'cancelled %s\n' "$file"
  done
  [ ${#plain[@]} -eq 0 ] || __gpu_release
  reply=("${lost[@]}")
}

__gpu_moved_on() { # PATH of a task that waits no more
  local priority id nonce title node=${1#running/}
  __gpu_called "$1"
  case $1 in
    running/*) __gpu_fail '%s runs already, on %s; gpu_stop %s ends it' "$title" "${node%%/*}" "$nonce" ;;
    pending/*) __gpu_fail '%s could not be moved; gpu_status shows where it is' "$1" ;;
    *) if __gpu_is_seen; then __gpu_fail 'it has ended already: %s (%s), in %s/' "$title" "$nonce" "${1%%/*}"; else __gpu_fail 'it has ended already: %s' "$1"; fi ;;
  esac
}

__gpu_cancel_one() { # PATH in pending/
  local file=${1#pending/} priority id nonce title record=''
  ! { [ -e "$1" ] || [ -L "$1" ]; } || __gpu_is_script "$1" || { __gpu_fail '%s is no regular file; it is ignored and stays where it is' "$1"; return; }
  __gpu_strip "$file"
  if __gpu_is_full "$REPLY"; then file=$REPLY # perhaps a claim's name that somebody moved back
  else # a hand drop gets its id now, as at a claim: names in failed/ must not collide
    title=${file#[0-9][0-9][0-9][-_]}
    __gpu_stamp; id=$REPLY
    __gpu_nonce 6; id+=-$REPLY
    __gpu_safe_name "$title"; id+=-$REPLY
    priority=500
    case $file in [0-9][0-9][0-9][-_]?*) priority=${file:0:3} ;; esac
    __gpu_json "$title"; title=$REPLY
    __gpu_json "$file"
    record=records/$id.json
    __gpu_write "$record" "{\"protocol\": 1, \"id\": \"$id\", \"name\": $title, \"dropped_as\": $REPLY}"$'\n'
    file=$priority-$id
  fi
  __gpu_split "$file"
  if ! __gpu_move "$1" "failed/$file"; then
    __gpu_where "$id" || REPLY=$1
    case $REPLY in failed/*) ;; *)
      [ -z "$record" ] || command rm -f -- "$record" # that id was never used
      __gpu_moved_on "$REPLY"; return ;;
    esac
  fi
  __gpu_became 'cancelled %s\n' "$file"
  __gpu_release "$id"
}

__gpu_release() { # [ID]: frees the serial queues that this task holds, or every settled one, when no agent settled it
  local token holder
  for token in queues/*.[0-9]*; do
    case $token in *.free) continue ;; esac
    __gpu_read "$token" 400 || continue
    holder=${REPLY%%$'\n'*}
    __gpu_is_full "000-$holder" || continue
    # In this order: a token that was read before its task was found settled is of a claim that is over, even if the
    # task is retried and claimed in this moment: that claim has another one.
    [ "$holder" = "${1:-$holder}" ] && __gpu_where "$holder" || continue
    case $REPLY in done/* | failed/*) __gpu_move "$token" "$token.free" ;; esac
  done
  return 0
}

__gpu_priority() {
  local names=() queue='' yes='' is_all='' file new waiting=() result=0 last
  __gpu_wishes "$@" || return
  last=$((${#names[@]} - 1))
  [ "$last" -ge 0 ] && __gpu_is_priority "${names[last]}" && new=$((10#${names[last]} + 1000)) names=("${names[@]:0:$last}") &&
    [ -n "${names[*]}$queue" ] || { __gpu_usage 'gpu_priority TASK… PPP; PPP is 000 to 999, smaller runs first'; return; }
  new=${new#1}
  __gpu_enter || return
  __gpu_meant pending pending running 'done failed' || return
  [ ${#reply[@]} -gt 0 ] || { __gpu_say 'nothing waits'; return 0; }
  for file in "${reply[@]}"; do
    case $file in pending/*) waiting+=("$file") ;; *) __gpu_moved_on "$file"; result=1 ;; esac
  done
  __gpu_ask 'gpu_priority gives %s waiting tasks another priority:' "${waiting[@]}" || return
  if [ ${#waiting[@]} -eq 1 ]; then __gpu_priority_one "${waiting[0]}" || result=1
  else __gpu_priority_many "${waiting[@]}" || result=1
  fi
  return "$result"
}

__gpu_reranked() { # NAME in pending/: REPLY = it with the caller's new priority
  __gpu_strip "$1"
  if __gpu_is_full "$REPLY"; then REPLY=$new-${REPLY#????}; else REPLY=${new}_${1#[0-9][0-9][0-9][-_]}; fi
}

__gpu_ranks() { # NAME in pending/: says it, with its new priority
  local priority id nonce title
  __gpu_is_seen || { __gpu_put '%s\n' "$1"; return; }
  __gpu_called "$1"
  if __gpu_is_full "$priority-$id"; then title+=" ($nonce)"; fi
  __gpu_put '%s has priority %s\n' "$title" "${1%"${1#???}"}"
}

__gpu_priority_one() { # PATH in pending/
  local task=$1 file
  __gpu_reranked "${task#pending/}"; file=$REPLY
  [ "$task" != "pending/$file" ] || { __gpu_ranks "$file"; return 0; }
  ! __gpu_listed pending "$file" || { __gpu_fail 'pending/%s is there already; give one of them another name' "$file"; return; }
  if __gpu_move_new "$task" "pending/$file"; then __gpu_ranks "$file"; return 0; fi
  __gpu_where "${file#????}" || REPLY=$task
  __gpu_moved_on "$REPLY"
}

__gpu_priority_many() { # PATH…, in pending/
  local file pairs=() left=() result=0
  typeset -A there
  for file in "$@"; do
    __gpu_reranked "${file#pending/}"
    # Of hand drops two may get the same name; what is there already is left to the look at each one.
    if __gpu_is_full "$REPLY" && [ "$file" != "pending/$REPLY" ]; then pairs+=("$file" "pending/$REPLY"); else left+=("$file"); fi
  done
  [ ${#pairs[@]} -eq 0 ] || printf '%s\0' "${pairs[@]}" | command xargs -0 -n 2 -P 4 mv -T -n -- 2>/dev/null
  for file in pending/*; do there[$file]=1; done # the truth, in one listing
  for file in "$@"; do
    __gpu_reranked "${file#pending/}"
    if __gpu_is_full "$REPLY" && [ -n "${there[pending/$REPLY]-}" ]; then __gpu_ranks "$REPLY"
    else __gpu_priority_one "$file" || result=1
    fi
  done
  return "$result"
}

__gpu_stop() {
  local names=() queue='' yes='' is_all='' task ids=() nodes=() waiting=() chosen=() result=0
  __gpu_wishes "$@" || return
  [ -n "${names[*]}$queue" ] || { __gpu_usage 'which task? gpu_stop TASK… or gpu_stop all; gpu_status shows them'; return; }
  __gpu_enter || return
  __gpu_meant 'pending running' 'pending running' 'done failed' || return
  for task in "${reply[@]}"; do
    case $task in done/* | failed/*) __gpu_moved_on "$task"; result=1 ;; *) chosen+=("$task") ;; esac
  done
  __gpu_ask 'gpu_stop ends %s tasks, and cancels those that wait:' "${chosen[@]}" || return
  case $is_all in
    yes)
      __gpu_cancel_all || return
      __gpu_tasks running
      for task in "${reply[@]}"; do __gpu_strip "$task"; ids+=("${REPLY#????}"); done
      __gpu_living; nodes=("${reply[@]}") ;; # those without a task, too: a dedicated node sweeps
    *)
      for task in "${chosen[@]}"; do
        case $task in pending/*) waiting+=("$task"); continue ;; esac
        __gpu_strip "$task"; ids+=("${REPLY#????}")
      done
      if [ ${#waiting[@]} -eq 1 ]; then
        # One that started in this moment is stopped as a running one.
        __gpu_cancel_one "${waiting[0]}" || { __gpu_strip "${waiting[0]}"; ids+=("${REPLY#????}"); }
      elif [ ${#waiting[@]} -gt 0 ]; then
        __gpu_cancel_many "${waiting[@]}"
        for task in "${reply[@]}"; do __gpu_strip "$task"; ids+=("${REPLY#????}"); done
      fi
      [ ${#ids[@]} -gt 0 ] || return "$result" ;;
  esac
  __gpu_stop_tries && return "$result"
}

__gpu_cancel_all() { # everything that waits goes to failed/
  local drop waiting=() start
  __gpu_drops
  for drop in "${reply[@]}"; do __gpu_cancel_one "$drop"; done
  __gpu_tasks pending
  for drop in "${reply[@]}"; do
    if ! __gpu_is_script "$drop"; then continue; fi
    if __gpu_is_full "${drop##*/}"; then waiting+=("$drop"); else __gpu_cancel_one "$drop"; fi
  done
  for ((start = 0; start < ${#waiting[@]}; start += 500)); do
    # What did not arrive has started meanwhile, and is stopped as a running task.
    __gpu_move_all failed "${waiting[@]:$start:500}" || __gpu_still_waiting || return
  done
  __gpu_release
  [ ${#waiting[@]} -eq 0 ] || { __gpu_plural ${#waiting[@]} 'waiting task'; __gpu_put 'cancelled %s\n' "$REPLY"; }
}

__gpu_still_waiting() { # of reply
  local file
  for file in "${reply[@]}"; do
    ! __gpu_listed pending "${file##*/}" || { __gpu_fail '%s could not be moved to failed/; check that you may write there' "$file"; return; }
  done
}

__gpu_living() { __gpu_nodes 90; } # reply = nodes whose agent has given a sign of life lately

__gpu_stop_tries() { # of the caller's ids, wherever they are; the caller's nodes are asked in any case
  local round id claims task node listed left incarnation gone=() result=0
  typeset -A wanted
  for round in 1 2 3 last; do # one that was requeued meanwhile is cancelled, one that runs again is stopped again
    claims=() left=() wanted=() listed=' '
    for id in "${ids[@]}"; do wanted[$id]=1; done
    for node in "${nodes[@]}"; do listed+="$node "; done
    __gpu_tasks running
    for task in "${reply[@]}"; do
      __gpu_strip "$task"; id=${REPLY#????}
      [ -n "${wanted[$id]-}" ] || continue
      node=${task#running/}; node=${node%%/*}
      case $listed in
        *" $node "*) ;;
        *)
          __gpu_state "$node"
          case $REPLY in
            'protocol '*) __gpu_fail '%s is on node %s, which speaks %s; use the client that came with it' "$id" "$node" "$REPLY"; result=1; continue ;;
          esac
          nodes+=("$node"); listed+="$node " ;;
      esac
      claims+=("$task") left+=("$id")
    done
    __gpu_tasks pending
    for task in "${reply[@]}"; do
      __gpu_strip "$task"; id=${REPLY#????}
      [ -z "${wanted[$id]-}" ] || __gpu_cancel_one "$task" || left+=("$id")
    done
    ids=("${left[@]}")
    [ ${#nodes[@]} -gt 0 ] && [ "$round" != last ] || break
    __gpu_stop_claims || return
    nodes=()
  done
  [ ${#ids[@]} -eq 0 ] || { __gpu_fail '%s could not be stopped in three rounds; gpu_status shows where it is, gpu_pause keeps it from starting' "${ids[0]}"; return; }
  return "$result"
}

__gpu_stop_claims() { # the caller's claims on the caller's nodes
  local start claim node keys='' silent=' '
  gone=()
  # A command has at most 64 KiB.
  for ((start = 0; start == 0 || start < ${#claims[@]}; start += 200)); do
    keys=''
    for claim in "${claims[@]:$start:200}"; do claim=${claim##*/}; keys+="${keys:+, }\"${claim%%=*}\""; done
    __gpu_post stop ", \"claims\": [$keys]" "${nodes[@]}" || return
  done
  __gpu_await "$REPLY" "${nodes[@]}"
  for node in "${gone[@]}"; do silent+="$node "; done
  for claim in "${claims[@]}"; do
    node=${claim#running/}; node=${node%%/*}
    case $silent in *" $node "*) ;; *) continue ;; esac
    __gpu_take_off "$claim" "$node" || return
  done
}

__gpu_take_off() { # CLAIM NODE: where no agent is alive, whoever asks moves the claim; its shim then ends the task
  local target=failed name
  case $1 in *=0-nostart) ;; *=0 | *=0-*) target='done' ;; esac
  __gpu_strip "$1"; name=$REPLY
  if __gpu_move "$1" "$target/$name"; then
    __gpu_release "${name#????}"
    __gpu_put '%s: no agent is alive there; moved to %s/%s, and should it still run, it ends itself within a minute\n' "$2" "$target" "$name"
  elif __gpu_listed "${1%/*}" "${1##*/}"; then
    __gpu_fail '%s could not be moved to %s/; check that you may write there' "$1" "$target"
  fi
}

__gpu_retry() {
  local names=() queue='' yes='' is_all='' tasks=() start file cancelled=0 counted=''
  typeset -A tried
  __gpu_wishes "$@" || return
  [ -n "${names[*]}$queue" ] || { __gpu_usage 'which task? gpu_retry TASK… or gpu_retry all'; return; }
  __gpu_enter || return
  __gpu_meant failed failed || return
  for file in "${reply[@]}"; do
    if [ -e "$file" ] && ! __gpu_is_script "$file"; then
      [ ${#reply[@]} -gt 1 ] || { __gpu_fail '%s is no regular file; it stays where it is' "$file"; return; }
      continue
    fi
    tasks+=("$file")
  done
  [ ${#tasks[@]} -gt 0 ] || { __gpu_say 'nothing has failed'; return 0; }
  __gpu_ask 'gpu_retry queues %s failed tasks again:' "${tasks[@]}" || return
  if [ -n "$is_all" ] || [ ${#tasks[@]} -gt 1 ]; then
    counted=yes
    __gpu_tried # before an agent tries them again
    for file in "${tasks[@]}"; do
      [ -n "${tried[${file#failed/????}]-}" ] || cancelled=$((cancelled + 1))
    done
  fi
  for ((start = 0; start < ${#tasks[@]}; start += 500)); do
    __gpu_move_all pending "${tasks[@]:$start:500}" || __gpu_still_failed || return
  done
  if __gpu_is_seen; then for file in "${tasks[@]}"; do __gpu_became 'retried %s\n' "$file"; done
  else printf '%s\n' "${tasks[@]#failed/}"
  fi
  [ -n "$counted" ] || return 0
  __gpu_plural ${#tasks[@]} task
  if [ "$cancelled" -gt 0 ]; then counted=$REPLY; __gpu_format ', %s of which had been cancelled' "$cancelled"; REPLY=$counted$REPLY; fi
  __gpu_say 'retried %s' "$REPLY"
}

__gpu_tried() { # into the caller's tried: the ids of which a try is known; one listing serves all of them
  local file
  for file in records/*.tr[iy]*.json; do
    file=${file#records/}; file=${file%.json}
    case $file in
      *.tries) tried[${file%.tries}]=1 ;;
      *) if __gpu_is_claim "$file"; then tried[${file%.try*}]=1; fi ;;
    esac
  done
}

__gpu_still_failed() { # of reply; what is not there any more was retried by somebody else, or has started at once
  local file
  for file in "${reply[@]}"; do
    ! __gpu_listed failed "${file##*/}" || { __gpu_fail '%s could not be moved to pending/; check that you may write there' "$file"; return; }
  done
}

__gpu_who() { # paused|draining|keepalive-off: whether it is there; REPLY = who made it and why
  __gpu_listed . "$1" || return 1
  __gpu_read "$1" 500 || REPLY=
  REPLY=${REPLY%%$'\n'*}; __gpu_tame "${REPLY//[[:cntrl:]]/ }"
}

__gpu_flag() { # paused|draining|keepalive-off WHY…: a file that agents obey while it exists
  local flag=$1 who
  shift
  __gpu_me; who="$REPLY${*:+: $*}"; who=${who//[[:cntrl:]]/ } # one line
  __gpu_nonce 12
  __gpu_write ".$flag.$REPLY" "${who:0:499}"$'\n' && __gpu_move "./.$flag.$REPLY" "./$flag" ||
    { __gpu_fail 'cannot write %s/%s; check that you may write there and that the storage is not full' "$PWD" "$flag"; return; }
}

__gpu_lift() { # FLAG…: take such files away
  local flag
  for flag in "$@"; do
    command rm -f -- "$flag" 2>/dev/null
    __gpu_listed . "$flag" || continue
    # NFS may remember for a minute that there is no such file, and then removes none: a new one in its place is known.
    __gpu_flag "$flag" 2>/dev/null && command rm -f -- "$flag" 2>/dev/null
    ! __gpu_listed . "$flag" || { __gpu_fail 'cannot remove %s/%s; check that you may write there' "$PWD" "$flag"; return; }
  done
}

__gpu_pause() { __gpu_enter && __gpu_flag paused "$@" && __gpu_put 'paused; gpu_resume ends it\n'; }

__gpu_drain() { __gpu_enter && __gpu_flag draining "$@" && __gpu_put 'draining; gpu_resume ends it\n'; }

__gpu_resume() {
  [ $# -eq 0 ] || { __gpu_usage 'it takes no argument'; return; }
  __gpu_enter || return
  __gpu_lift paused draining || return
  __gpu_put 'resumed\n'
}

__gpu_shutdown() {
  local wait=false nodes=() gone=() node meant=' ' incarnation turn
  case ${1-} in '') ;; --wait) wait=true ;; *) __gpu_usage 'there is no option %s; gpu_shutdown [--wait]' "$1"; return ;; esac
  __gpu_enter && __gpu_unkeep || return # first, so that nothing succeeds what is ended
  __gpu_nodes; nodes=("${reply[@]}")
  [ ${#nodes[@]} -gt 0 ] || {
    __gpu_fail 'no agent is alive in %s, so there is nothing to shut down' "$JOB_ID"
    __gpu_say_elsewhere
    return 1
  }
  __gpu_post shutdown ", \"wait\": $wait" "${nodes[@]}" || return
  __gpu_await "$REPLY" "${nodes[@]}"
  for node in "${gone[@]}"; do
    __gpu_state "$node"
    case $REPLY/$meant in
      stopped/* | none/* | *" $node/$incarnation "*) __gpu_say '%s: no agent is alive there' "$node" ;;
      *) __gpu_say '%s: that agent is gone, and another one serves there by now; gpu_shutdown ends it' "$node" ;;
    esac
  done
  # Who looks next is to see that they have left; what runs may take longer to be given back than anybody is kept waiting.
  [ "$wait" = true ] || for ((turn = 0; turn < 20; turn++)); do
    __gpu_any_serves || break
    command sleep 0.1
  done
  [ ${#gone[@]} -lt ${#nodes[@]} ]
}

__gpu_unkeep() { # have no allocation submitted any more (submit.sh --keep)
  local file
  for file in keep keep-paused; do
    __gpu_listed allocations "$file" || continue
    command rm -f -- "allocations/$file" 2>/dev/null
    ! __gpu_listed allocations "$file" || { __gpu_fail 'cannot remove %s/%s; check that you may write there' "$PWD" "allocations/$file"; return; }
    __gpu_say 'kept served no longer: no allocation is submitted any more'
  done
}

__gpu_any_serves() { # whether one of the caller's nodes but for gone is still the agent that was meant, and has not stopped
  local node incarnation without=" ${gone[*]} "
  for node in "${nodes[@]}"; do
    case $without in *" $node "*) continue ;; esac
    __gpu_state "$node"
    case $REPLY in stopped | none) continue ;; esac
    case $meant in *" $node/$incarnation "*) return 0 ;; esac
  done
  return 1
}

__gpu_forget() {
  local wanted='' force='' options=yes node file now age state incarnation claims=() ended=() priority id nonce title
  for file in "$@"; do
    case $options:$file in
      yes:--) options='' ;;
      yes:--force) force=yes ;;
      yes:-*) __gpu_usage 'there is no option %s; gpu_forget NODE [--force]' "$file"; return ;;
      *) [ -z "$wanted" ] || { __gpu_usage 'one node at a time: gpu_forget NODE [--force]'; return; }; wanted=$file ;;
    esac
  done
  [ -n "$wanted" ] || { __gpu_usage 'which node is dead? gpu_forget NODE [--force]; gpu_status shows them'; return; }
  __gpu_enter || return
  __gpu_node_called "$wanted" || return
  node=$REPLY
  __gpu_state "$node"; state=$REPLY
  case $state in 'protocol '*) __gpu_fail '%s speaks %s; use the client that came with it' "$node" "$state"; return ;; esac
  __gpu_clock control; now=$REPLY
  if [ -z "$force" ] && [ "$state" != none ] && [ "$state" != stopped ] && __gpu_beat "$node" "$now"; then
    __gpu_age "$REPLY"
    __gpu_fail '%s gave a sign of life %s ago; gpu_shutdown ends agents, and if you know that it is dead: gpu_forget %s --force' "$node" "$REPLY" "$node"
    return
  fi
  for file in running/"$node"/[0-9][0-9][0-9]-[0-9]*; do
    __gpu_strip "$file"
    __gpu_is_full "$REPLY" || continue
    case $file in *=*) ended+=("$file"); continue ;; esac
    claims+=("$file")
    [ -z "$force" ] || continue
    # Its shim touches it every 30 s; before the first time only the rename that claimed it tells.
    age=$(command stat -c '%Y %Z' -- "$file" 2>/dev/null) || continue
    if [ "${age% *}" -lt "${age#* }" ]; then age=${age#* }; else age=${age% *}; fi
    if [ $((now - age)) -le 90 ]; then
      __gpu_called "$file"; __gpu_age $((now - age))
      __gpu_fail '%s (%s) gave a sign of life on %s %s ago; if you know that it is dead: gpu_forget %s --force' "$title" "$nonce" "$node" "$REPLY" "$node"
      return
    fi
  done
  # Lost, says the name: whoever settles it counts it so, and a shim that lives after all ends its task.
  for file in "${claims[@]}"; do
    __gpu_move "$file" "$file=255-lost" || ! __gpu_listed "${file%/*}" "${file##*/}" ||
      { __gpu_fail '%s could not be renamed; check that you may write there' "$file"; return; }
  done
  __gpu_me
  __gpu_write "nodes/gone/$node.why" "$REPLY"$'\n'
  for file in "$node.tsv" "$node.json"; do # the JSON last: by it a node is there
    [ ! -e "nodes/$file" ] || __gpu_move "nodes/$file" "nodes/gone/$file" ||
      { __gpu_fail 'nodes/%s could not be put away; check that you may write there' "$file"; return; }
  done
  claims+=("${ended[@]}")
  if [ ${#claims[@]} -eq 0 ]; then # else the agents put the directory away when it is empty
    command rm -f -- "running/$node/node" 2>/dev/null && command rmdir -- "running/$node" 2>/dev/null
    __gpu_put 'forgotten %s; it had no task\n' "$node"
    return 0
  fi
  __gpu_plural ${#claims[@]} task
  __gpu_put 'forgotten %s; it had %s\n' "$node" "$REPLY"
  __gpu_see_off "${claims[@]}"
}

__gpu_see_off() { # CLAIM… of a forgotten node: say where the tasks went, as agents settle them
  local file left=("$@") next=() turn=0 priority id nonce title
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then
    __gpu_say 'no agent is alive in %s; the next one moves them on: ./submit.sh %s' "$JOB_ID" "$JOB_ID"
    return 0
  fi
  while [ ${#left[@]} -gt 0 ] && [ "$turn" -lt 60 ]; do
    [ "$turn" -eq 0 ] || command sleep 0.5
    turn=$((turn + 1)) next=()
    for file in "${left[@]}"; do
      __gpu_called "$file"
      if __gpu_where "$id"; then
        case $REPLY in
          running/*=*) next+=("$file") ;;
          running/*) file=${REPLY#*/}; __gpu_put '%s (%s) runs again, on %s\n' "$title" "$nonce" "${file%%/*}" ;;
          pending/*) __gpu_put '%s (%s) waits again\n' "$title" "$nonce" ;;
          done/*) __gpu_put '%s (%s) is done\n' "$title" "$nonce" ;;
          *) __gpu_put '%s (%s) has failed\n' "$title" "$nonce" ;;
        esac
      else
        next+=("$file")
      fi
    done
    left=("${next[@]}")
  done
  [ ${#left[@]} -eq 0 ] || __gpu_say 'the agents have not moved all of them on yet; gpu_status shows what became of them'
}

__gpu_node_names() { # reply = all nodes that have a file or a directory here
  local file
  typeset -A known
  reply=()
  for file in nodes/*.json running/*/; do
    file=${file%/}; file=${file#*/}; file=${file%.json}
    case $file in *[!A-Za-z0-9._+-]*) continue ;; esac # no node is called so
    [ -n "${known[$file]-}" ] || reply+=("$file")
    known[$file]=1
  done
}

__gpu_node_called() { # TEXT: REPLY = the one node of that name, or of a part of it
  local node found=()
  __gpu_node_names
  for node in "${reply[@]}"; do
    if [ "$node" = "$1" ]; then REPLY=$node; return 0; fi
    case $node in *"$1"*) found+=("$node") ;; esac
  done
  case ${#found[@]} in
    1) REPLY=${found[0]}; return 0 ;;
    0) if [ -e "nodes/gone/$1.json" ]; then __gpu_fail '%s was put away already' "$1"; return; fi
      __gpu_fail "no node is called '%s'; gpu_status shows them" "$1" ;;
    *) __gpu_fail "'%s' fits %s nodes, and nothing was done: %s" "$1" "${#found[@]}" "${found[*]}" ;;
  esac
}

__gpu_clean() {
  local age='' dry='' before state start names=() batch=() back=() count=0 result=0 shape=(-name
    '[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-?*'
    ! -name '*[!A-Za-z0-9._+-]*')
  typeset -A needed newer asked papers
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run) dry=yes ;;
      --older-than=*) age=${1#*=} ;;
      --older-than) age=${2-}; [ $# -lt 2 ] || shift ;;
      *) __gpu_usage 'there is no option %s; gpu_clean --older-than 7d [--dry-run]' "$1"; return ;;
    esac
    shift
  done
  __gpu_duration "$age" || { __gpu_usage 'how old? gpu_clean --older-than 7d [--dry-run]'; return; }
  age=$REPLY
  __gpu_enter || return
  __gpu_clock control fine; before=$((${REPLY%.*} - age)).${REPLY#*.}
  # After the clock: all that belongs to a task which had settled by then is there now.
  [ -n "$dry" ] || { __gpu_papers; __gpu_uncalled "$((${before%.*} + age - 86400))"; }
  for state in 'done' failed; do
    [ -n "$dry" ] || __gpu_cut_off "$((${before%.*} + age))" || result=1
    __gpu_needed
    # ctime, by the server's clock: it changes at the rename that settled the task, while mtime is the script's own.
    __gpu_lines find "$state" -maxdepth 1 -type f "${shape[@]}" ! -newerct "@$before" -printf '%f\n'
    names=("${reply[@]}")
    __gpu_sift; names=("${batch[@]}")
    for ((start = 0; start < ${#names[@]}; start += 50000)); do
      batch=("${names[@]:$start:50000}")
      __gpu_remove || result=1
    done
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
  [ -n "$dry" ] || __gpu_collect "$((${before%.*} + age))" || result=1
  __gpu_plural "$count" task
  if [ -n "$dry" ]; then __gpu_say '%s would be forgotten' "$REPLY"; else __gpu_say '%s forgotten' "$REPLY"; fi
  return "$result"
}

__gpu_papers() { # into the caller's papers: by id the records and logs of tries that have their number in their names
  local file name number
  __gpu_lines find records logs -maxdepth 1 '(' -name '*.try[0-9]*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].*' -o -name '*.rank[1-9]*.log' ')' ! -name '*[!A-Za-z0-9._+-]*'
  for file in "${reply[@]}"; do
    name=${file#*/} number=${file##*.try}
    case $file in
      *.try[0-9]*.??????.*) ;;
      *)
        name=${name%.log} number=${name##*.rank}
        case $number in *[!0-9]* | ?????*) ;; *) papers[${name%.rank*}]+=$file$'\n' ;; esac
        continue ;;
    esac
    case ${number%%.*} in *[!0-9]*) continue ;; esac
    papers[${name%.try*}]+=$file$'\n'
  done
}

__gpu_uncalled() { # BEFORE: forget functions that were never queued: whoever submitted them was killed meanwhile
  local file names=() old=()
  typeset -A there
  [ -d calls ] || return 0
  __gpu_lines find calls -maxdepth 1 -type f -name '*.call' ! -name '*[!A-Za-z0-9._+-]*' ! -newerct "@$1" -printf '%f\n'
  names=("${reply[@]}")
  [ ${#names[@]} -gt 0 ] || return 0
  __gpu_tasks pending; old=("${reply[@]}")
  __gpu_tasks running; old+=("${reply[@]}")
  for file in "${old[@]}"; do __gpu_strip "$file"; there[${REPLY#????}]=1; done
  for file in 'done'/*-* failed/*-*; do there[${file#*/???-}]=1; done
  old=()
  for file in "${names[@]}"; do
    if [ -z "${there[${file%.call}]-}" ] && __gpu_is_full "000-${file%.call}"; then old+=("calls/$file"); fi
  done
  [ ${#old[@]} -eq 0 ] || printf '%s\n' "${old[@]}" | command xargs -d '\n' rm -f -- 2>/dev/null
  return 0
}

__gpu_sift() { # the caller's names: into its batch those that may be forgotten, into back those that are newer or needed
  local name IFS=/
  batch=() back=()
  case "${#needed[@]}/${#newer[@]}/${names[*]}" in
    *.try* | *[!/A-Za-z0-9._+-]*) ;;
    0/0/*) batch=("${names[@]}"); return ;; # a test for each of many names would take seconds
  esac
  for name in "${names[@]}"; do
    case $name in *[!A-Za-z0-9._+-]* | *.try*) __gpu_is_full "$name" || continue ;; esac
    if [ -n "${newer[${name#????}]-}${needed[${name#????}]-}" ]; then back+=("$name"); else batch+=("$name"); fi
  done
}

__gpu_needed() { # into the caller's needed: the ids that waiting and running tasks ask for; each record is read once
  local file id text rest running=() IFS
  __gpu_tasks running; running=("${reply[@]}") # these may have to wait once more
  __gpu_tasks pending; running+=("${reply[@]}")
  __gpu_tasks running # and what has started meanwhile
  for file in "${running[@]}" "${reply[@]}"; do
    __gpu_strip "$file"; id=${REPLY#????}
    if [ -n "${asked[$id]-}" ]; then continue; fi
    asked[$id]=1
    __gpu_record "records/$id.json" || continue
    text=${REPLY%%'"after":'*}
    [ "$text" != "$REPLY" ] || continue
    rest=${REPLY:${#text}+8}
    IFS=$' ",[\n'
    set -f
    for id in ${rest%%]*}; do
      if __gpu_is_full "000-$id"; then needed[$id]=1; fi
    done
    set +f
    IFS=$' \t\n'
  done
}

__gpu_remove() { # the caller's batch from its state; docs/spool.md, "Forgetting", says in which order and why
  local own name result=0
  [ ${#batch[@]} -gt 0 ] || return 0
  if [ -n "$dry" ]; then printf "$state/%s\n" "${batch[@]}"; count=$((count + ${#batch[@]})); return 0; fi
  __gpu_nonce 12; own=$state/.removing-$before-$REPLY
  command mkdir -- "$own" 2>/dev/null || { __gpu_fail '%s/%s cannot be made; check that you may write there' "$PWD" "$own"; return; }
  # Whoever retries one of them in this moment wins or loses this rename.
  if ! printf "$state/%s\n" "${batch[@]}" | command xargs -d '\n' mv -f -t "$own" -- 2>/dev/null; then
    for name in "${batch[@]}"; do
      [ ! -e "$own/$name" ] && [ -e "$state/$name" ] || continue
      __gpu_fail '%s/%s could not be moved; check that you may write there' "$state" "$name"; result=1
      break
    done
  fi
  __gpu_finish "$own" "$before" && return "$result"
}

__gpu_finish() { # OWN BEFORE: forget what was taken into that directory, of tasks that had settled before that moment
  local own=$1 name id names=() ids=() back=() result=0 stuck=''
  typeset -A newer
  names=("$own"/[0-9]*); names=("${names[@]##*/}")
  # The rename does not tell what came before it: a task may have been retried and have ended again. That left a record.
  __gpu_lines find records -maxdepth 1 -name '*.try[0-9]*.json' ! -name '*[!A-Za-z0-9._+-]*' -newerct "@$2" -printf '%f\n'
  for name in "${reply[@]}"; do
    name=${name%.json}
    if __gpu_is_claim "$name"; then newer[${name%.try*}]=1; fi
  done
  __gpu_needed
  __gpu_sift
  names=("${batch[@]}") ids=("${batch[@]#????}")
  if ! if [ ${#ids[@]} -gt 0 ]; then
    printf 'records/%s.json\n' "${ids[@]}"
    printf 'records/%s.tries.json\n' "${ids[@]}"
    for id in "${ids[@]}"; do printf '%s' "${papers[$id]-}"; done
    printf 'logs/%s.log\n' "${ids[@]}"
    if [ -d calls ]; then printf 'calls/%s.call\n' "${ids[@]}"; printf 'calls/%s.result\n' "${ids[@]}"; fi
  fi | command xargs -r -d '\n' rm -f -- 2>/dev/null; then
    batch=()
    for name in "${names[@]}"; do
      __gpu_left "${name#????}" || { batch+=("$name"); continue; }
      back+=("$name") stuck=$REPLY
    done
    [ -z "$stuck" ] || { __gpu_fail '%s cannot be removed; check that you may write there' "$stuck"; result=1; }
  fi
  # Where another one of that name is by now, that one stays.
  [ ${#back[@]} -eq 0 ] || printf "$own/%s\n" "${back[@]}" | command xargs -d '\n' mv -n -t "${own%/*}" -- 2>/dev/null
  # The tasks themselves last: what is cut off before is finished by the next one.
  if [ ${#batch[@]} -gt 0 ]; then
    printf "$own/%s\n" "${batch[@]}" | command xargs -d '\n' rm -f -- 2>/dev/null || { __gpu_fail '%s cannot be emptied; check that you may write there' "$own"; result=1; }
    printf "${own%/*}/%s\n" "${batch[@]}"
    count=$((count + ${#batch[@]}))
    if [ -t 2 ]; then printf '\r\033[K%s forgotten' "$count" >&2; fi
  fi
  command rmdir -- "$own" 2>/dev/null
  return "$result"
}

__gpu_left() { # ID: whether something that belongs to it is still there, REPLY
  local IFS=$'\n'
  # shellcheck disable=SC2086 # lines are words here
  for REPLY in "records/$1.json" "records/$1.tries.json" "logs/$1.log" "calls/$1.call" "calls/$1.result" ${papers[$1]-}; do
    if [ -e "$REPLY" ] || [ -L "$REPLY" ]; then return 0; fi
  done
  return 1
}

__gpu_cut_off() { # NOW: finish the removals from the caller's state that were cut off ten minutes ago or longer
  local left moment own result=0
  for left in "$state"/.removing-*; do
    moment=${left#*/.removing-}; moment=${moment%-*}
    case $moment in *[!0-9.]* | *.*.* | .* | *.) continue ;; *.*) ;; *) continue ;; esac
    [ -d "$left" ] && [ ! -L "$left" ] || continue
    own=$(command stat -c %Z -- "$left" 2>/dev/null) || continue
    [ $(($1 - own)) -ge 600 ] || continue
    __gpu_nonce 12; own=$state/.removing-$moment-$REPLY
    if __gpu_move "$left" "$own"; then __gpu_finish "$own" "$moment" || result=1; fi
  done
  return "$result"
}

__gpu_collect() { # NOW: remove the snapshots that no record names and that nobody has used for a week; docs/spool.md, "Snapshots"
  local file key nonce taken unneeded='' keys=() found=() freed=0 result=0
  [ -d snapshots ] && [ ! -L snapshots ] || return 0
  # What was cut off: half a pack after a day, half a removal after ten minutes.
  command find snapshots -maxdepth 1 -type f -name '.[0-9a-f]*' ! -newermt "@$(($1 - 86400))" -delete 2>/dev/null
  for file in snapshots/.removing-*.tgz; do
    [ -z "$(command find "$file" -maxdepth 0 -newerct "@$(($1 - 600))" -printf yes 2>/dev/null)" ] || continue
    key=${file##*-}; key=${key%.tgz}
    __gpu_is_key "$key" && { __gpu_move_new "$file" "snapshots/$key.tgz" || command rm -f -- "$file" 2>/dev/null; }
  done
  __gpu_lines find snapshots -maxdepth 1 -type f -name '*.tgz' ! -name '.*' ! -newermt "@$(($1 - 604800))" -printf '%f\n'
  for file in "${reply[@]}"; do
    if __gpu_is_key "${file%.tgz}"; then keys+=("${file%.tgz}"); fi
  done
  __gpu_named_keys "${keys[@]}" || return
  for key in "${reply[@]}"; do
    __gpu_nonce 12; taken=snapshots/.removing-$REPLY-$key.tgz
    __gpu_move "snapshots/$key.tgz" "$taken" && found+=("$taken")
  done
  keys=("${found[@]##*-}"); keys=("${keys[@]%.tgz}")
  # Who has used one since has touched it before, or finds it gone: it is looked at once more behind the rename.
  __gpu_named_keys "${keys[@]}" || { result=1; reply=(); }
  unneeded=" ${reply[*]} "
  for taken in "${found[@]}"; do
    key=${taken##*-}; key=${key%.tgz}
    : <"$taken" # on NFS an opened file is asked for anew
    case $unneeded in
      *" $key "*)
        if [ -z "$(command find "$taken" -maxdepth 0 -newermt "@$(($1 - 604800))" -printf yes 2>/dev/null)" ]; then
          command rm -f -- "snapshots/$key.json" "$taken" 2>/dev/null && freed=$((freed + 1)) || result=1
          continue
        fi ;;
    esac
    __gpu_move_new "$taken" "snapshots/$key.tgz" || command rm -f -- "$taken" 2>/dev/null
  done
  [ "$freed" -eq 0 ] || __gpu_say '%s snapshots forgotten' "$freed"
  [ "$result" -eq 0 ] || __gpu_fail '%s cannot be removed; check that you may write there' "$PWD/snapshots"
}

__gpu_is_key() { [ ${#1} -eq 64 ] && case $1 in *[!0-9a-f]*) false ;; esac; } 2>/dev/null # TEXT: whether it names a snapshot

__gpu_named_keys() { # KEY…: reply = those that no record names; fails where the records cannot be read
  local named ended
  reply=()
  [ $# -gt 0 ] || return 0
  named=$(printf '%s\n' "$@" | command grep -rhoFf - --include='*.json' records/ 2>/dev/null)
  ended=$?
  [ "$ended" -le 1 ] || return 1
  for REPLY in "$@"; do
    case $'\n'$named$'\n' in *$'\n'"$REPLY"$'\n'*) ;; *) reply+=("$REPLY") ;; esac
  done
}

# --- the keep-alive ------------------------------------------------------------------------------------------------

__gpu_keepalive() {
  local verb=${1:-status}
  [ $# -eq 0 ] || shift
  case $verb in
    on | status) [ $# -eq 0 ] || { __gpu_usage '%s takes no argument' "$verb"; return; } ;;
    off) ;;
    *) __gpu_usage "there is no '%s'; gpu_keepalive on, off [WHY] or status" "$verb"; return ;;
  esac
  __gpu_enter || return
  case $verb in
    status) __gpu_kept_status; return ;;
    off)
      __gpu_flag keepalive-off "$@" || return
      __gpu_put 'keep-alive is off; gpu_keepalive on ends it\n' ;;
    on)
      if __gpu_who keepalive-off; then
        __gpu_lift keepalive-off || return
        __gpu_put 'keep-alive is on\n'
      else
        __gpu_put 'keep-alive was not switched off\n'
      fi ;;
  esac
  __gpu_keepalive_seen "$verb"
}

__gpu_keepalive_seen() { # on|off: what the living agents have made of it within some seconds
  local node left=() next=() start now limit pause=0.2
  __gpu_living; left=("${reply[@]}")
  if [ ${#left[@]} -eq 0 ]; then __gpu_say 'no agent is alive now'; return 0; fi
  __gpu_patience; limit=$((REPLY < 6 ? REPLY : 6))
  __gpu_ms; start=$REPLY
  while :; do
    __gpu_ms; now=$(((REPLY - start) / 1000))
    next=()
    for node in "${left[@]}"; do
      if __gpu_kept "$node" "$1"; then __gpu_put '%s: %s\n' "$node" "$REPLY"
      elif [ "$now" -lt "$limit" ]; then next+=("$node")
      else __gpu_put '%s: still %s; gpu_keepalive status shows when it has obeyed\n' "$node" "$REPLY"
      fi
    done
    left=("${next[@]}")
    [ ${#left[@]} -gt 0 ] || break
    command sleep "$pause"
    case $pause in 0.2) pause=0.5 ;; *) pause=1 ;; esac
  done
}

__gpu_kept() { # NODE on|off: whether its page shows that it obeys; REPLY = "1 holding, 1 off (a task has it)"
  local reason='' states='' said='' word late=0 told=0 busy=''
  typeset -A counts
  __gpu_each "$1" __gpu_count_kept
  while [ -n "$states" ]; do
    word=${states%%,*} states=${states#*,}
    __gpu_tr "$word"; said+="${said:+, }${counts[$word]} $REPLY"
    if [ "$word" = off ]; then said+=${reason:+ ($reason)}; fi
  done
  if [ -n "$said" ]; then REPLY=$said; else __gpu_tr 'no idle GPU'; fi
  if [ "$2" = off ]; then [ "$late" -eq 0 ]; else [ "$told" -eq 0 ]; fi
}

__gpu_count_kept() { # KIND FIELD…: into __gpu_kept's variables
  local word=${3-}
  case $1 in
    gpu) busy=$4; return ;;
    keepalive) [ "$word" != off ] || { [ "${9:--}" != - ] && [ "$busy" != busy ]; } || return 0 ;;
    *) return ;;
  esac
  case $word in
    holding | starting | yielding | 'backing off') late=$((late + 1)) ;;
    failed) ;;
    *) word=off; [ "$9" = - ] || reason=$9 ;;
  esac
  [ "$8" != people ] || told=$((told + 1)) # switched off by gpu_keepalive, as it was when the page was written
  if [ -z "${counts[$word]-}" ]; then states+="$word,"; fi
  counts[$word]=$((${counts[$word]-0} + 1))
}

__gpu_report() {
  local days=30 by=day now first file files=() text age=''
  while [ $# -gt 0 ]; do
    case $1 in
      --by-gpu) by=gpu ;;
      --days=*) days=${1#*=} ;;
      --days) days=${2-}; [ $# -lt 2 ] || shift ;;
      *) __gpu_usage 'there is no option %s; gpu_report [--days N] [--by-gpu]' "$1"; return ;;
    esac
    shift
    case $days in '' | *[!0-9]* | ?????*) days=0 ;; esac
    [ $((10#$days)) -gt 0 ] || { __gpu_usage 'how many days? gpu_report --days 7'; return; }
  done
  days=$((10#$days))
  __gpu_enter || return
  __gpu_lines find ledger -maxdepth 1 -type f -readable -name '[!.]*.tsv' ! -name '*[!A-Za-z0-9._+-]*' -size -65536k
  files=("${reply[@]}")
  __gpu_clock control; now=$REPLY
  __gpu_day $((now - (days - 1) * 86400)); first=$REPLY
  if [ ${#files[@]} -gt 0 ]; then
    text=$(__gpu_sums "$by" "$first" "${files[@]}") || { __gpu_fail 'awk could not read %s/ledger; is awk installed here?' "$PWD"; return; }
  fi
  if [ -z "$text" ]; then
    __gpu_plural "$days" day
    __gpu_say 'nothing was counted in the last %s; agents count while they live, and write it down each minute' "$REPLY"
    return 0
  fi
  __gpu_tame "$text"
  printf '%s\n' "$REPLY"
  # As far as the living agent that wrote least lately; where none lives, as far as the last one came.
  __gpu_living
  for file in "${reply[@]}"; do
    file=$(command stat -c %Y -- "ledger/$file.tsv" 2>/dev/null) || continue
    if [ -z "$age" ] || [ $((now - file)) -gt "$age" ]; then age=$((now - file)); fi
  done
  if [ -n "$age" ]; then
    __gpu_age $((age > 0 ? age : 0)); __gpu_put 'counted until %s ago; agents write it down each minute\n' "$REPLY"
  else
    age=$(command stat -c %Y -- "${files[@]}" 2>/dev/null | command sort -n | command tail -n 1)
    __gpu_age $((age > 0 && now > age ? now - age : 0)); __gpu_put 'counted until %s ago; no agent is alive\n' "$REPLY"
  fi
}

__gpu_day() { # SECONDS since 1970: REPLY = 2026-11-23, local
  if [ -n "${ZSH_VERSION-}" ]; then strftime -s REPLY %Y-%m-%d "$1"; else printf -v REPLY '%(%Y-%m-%d)T' "$1"; fi
}

__gpu_sums() { # day|gpu FIRST_DAY FILE…: the table, nothing where no line counts; FILEs as gpu_queue/keepalive/ledger.py writes them
  # shellcheck disable=SC2016 # awk's own $; the dialect is what mawk, busybox and gawk have in common
  command awk -v by="$1" -v first="$2" '
    function number(text) { return length(text) < 24 && text ~ /^[0-9]+(\.[0-9]+)?$/ }
    function energy(key, kind,   name) {  # kWh; unmetered seconds belong to no kind, so all kinds at work may lack some
      name = key SUBSEP kind
      if (!partial[name]) return sprintf("%.2f", joules[name] / 3600000)
      if (joules[name] == 0) { unknown = 1; return "-" }
      least = 1
      return sprintf(">%.2f", joules[name] / 3600000)
    }
    function row(key, title) {
      printf form, title, \
        hours[key, 2] / 3600, hours[key, 1] / 3600, hours[key, 3] / 3600, energy(key, 2), energy(key, 1), energy(key, 3)
    }
    function count(key,   kind) {
      for (kind = 1; kind <= 3; kind++) {
        hours[key, kind] += $(4 + kind)
        joules[key, kind] += $(7 + kind)
        if ($11 + 0 > 0 && $(4 + kind) + 0 > 0) partial[key, kind] = 1
      }
      if (NF < 13) return  # from before light fillers were told apart: the time is the task'"'"'s, the energy theirs
      hours[key, 2] += $12
      joules[key, 1] += $13
      if ($11 + 0 > 0 && $12 + 0 > 0) partial[key, 1] = 1
    }
    BEGIN { FS = "\t" }
    NF < 11 || NF == 12 || length($1) != 10 || $1 !~ /^[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]$/ || $1 "" < first "" { next }
    $2 == "" || $3 !~ /^[0-9]+$/ || length($3) > 6 { next }
    {
      sub(/\r$/, "", $NF)
      for (i = 5; i <= 13 && i <= NF; i++) if (!number($i)) next
      key = $1
      if (by == "gpu") {
        host = FILENAME
        sub(/^ledger\//, "", host); sub(/\.tsv$/, "", host); sub(/-[0-9a-f]+$/, "", host)  # each boot is a node of its own
        key = host "\t" $2
        if (!(key in last) || $1 "" >= last[key]) {
          last[key] = $1
          label = host " GPU " $3 "  " substr($4, 1, 40)
          gsub(/[\001-\037\177]/, "?", label)
          titles[key] = label
          order[key] = host sprintf("\t%06d\t", $3) $2
        }
      } else {
        titles[key] = order[key] = key
      }
      if (!(key in known)) { known[key] = 1; keys[++total] = key }
      count(key)
      count("")
    }
    END {
      if (!total) exit
      wide = 10
      for (i = 1; i <= total; i++) {
        if (length(titles[keys[i]]) > wide) wide = length(titles[keys[i]])
        for (j = i; j > 1 && order[keys[j]] < order[keys[j - 1]]; j--) { key = keys[j]; keys[j] = keys[j - 1]; keys[j - 1] = key }
      }
      printf "%-" wide "s   GPU-hours                          kWh\n", ""
      printf "%-" wide "s %10s %10s %10s   %10s %10s %10s\n", by == "gpu" ? "GPU" : "day", "tasks", "keep-alive", "idle", "tasks", "keep-alive", "idle"
      form = "%-" wide "s %10.2f %10.2f %10.2f   %10s %10s %10s\n"
      for (i = 1; i <= total; i++) row(keys[i], titles[keys[i]])
      row("", "total")
      if (unknown) print "-  not measured: the GPU told neither energy nor power"
      if (least) print ">  at least so much: part of it was not measured"
    }' "${@:3}" 2>/dev/null
}

# --- Chinese -------------------------------------------------------------------------------------------------------

__gpu_chinese() { # FORMAT: REPLY = it in Chinese, with the same words in the same order; as it is where there is none
  case $1 in
    'JOB_ID is not set; say which instance: export JOB_ID=NAME or gpu_use NAME (gpu_list shows them)') REPLY='没有设置 JOB_ID；请指定实例：export JOB_ID=名称，或 gpu_use 名称（gpu_list 列出所有实例）' ;;
    "JOB_ID '%s' cannot be a directory's name; use one without / and without - in front") REPLY="JOB_ID '%s' 不能用作目录名；请使用不含 / 且不以 - 开头的名称" ;;
    'there is no instance %s in %s; gpu_submit or ./submit.sh %s makes it, gpu_list shows the others') REPLY='没有实例 %s（在 %s 中）；gpu_submit 或 ./submit.sh %s 会创建它，gpu_list 列出其他实例' ;;
    'cannot enter %s; it must be a directory that you may read and write') REPLY='无法进入 %s；它必须是您可读写的目录' ;;
    '%s has no PROTOCOL file, so it is no spool; gpu_submit makes it one') REPLY='%s 中没有 PROTOCOL 文件，因此不是队列目录；gpu_submit 会把它建成队列' ;;
    '%s: an agent was asked for and has not begun yet (./submit.sh --list %s); gpu_submit may be used already') REPLY='%s：已申请 agent，尚未启动（./submit.sh --list %s）；现在就可以使用 gpu_submit' ;;
    'cannot make the spool %s; check that you may write there and that it is not full') REPLY='无法创建队列 %s；请检查您是否可以在那里写入，以及存储是否已满' ;;
    "%s speaks protocol '%s', this client speaks 1; use the client.sh that came with its agents") REPLY="%s 使用协议 '%s'，本客户端使用协议 1；请使用与其 agent 一起提供的 client.sh" ;;
    'which task? a name, a part of it, or its six digits; gpu_status shows them') REPLY='哪个任务？请给出名称、名称的一部分或六位编号；gpu_status 会列出' ;;
    "'%s' fits %s tasks, and nothing was done; name one of them:") REPLY="'%s' 符合 %s 个任务，未做任何操作；请指明其中一个：" ;;
    "no task in %s is called '%s'; gpu_status and gpu_logs show what there is") REPLY="在 %s 中没有名为 '%s' 的任务；gpu_status 和 gpu_logs 会列出现有任务" ;;
    'it takes the directory gpu_queue that lies beside client.sh; there is none in %s') REPLY='需要 client.sh 旁边的目录 gpu_queue；%s 中没有' ;;
    'it takes a Python 3.10 or newer: none among%s') REPLY='需要 3.10 或更新的 Python，以下都不是：%s' ;;
    'which script? gpu_submit FILE… [PRIORITY]; gpu_help shows the options') REPLY='哪个脚本？gpu_submit 文件… [优先级]；gpu_help 列出所有选项' ;;
    '--name is for one script') REPLY='--name 只能用于一个脚本' ;;
    "quote the command: gpu_run '%s'; if %s is its priority: gpu_run %s --priority %s") REPLY="请给命令加引号：gpu_run '%s'；如果 %s 是优先级：gpu_run %s --priority %s" ;;
    "one command, in quotes: gpu_run 'python train.py --epochs 10' [PRIORITY]") REPLY="一条命令，加引号：gpu_run 'python train.py --epochs 10' [优先级]" ;;
    'the command is empty') REPLY='命令为空' ;;
    '%s; nothing was submitted') REPLY='%s；未提交任何任务' ;;
    'there is no option %s; gpu_help shows them') REPLY='没有选项 %s；gpu_help 列出所有选项' ;;
    'all and --queue %s do not go together; type either gpu_%s --queue %s or gpu_%s all') REPLY='all 和 --queue %s 不能同时使用；请输入 gpu_%s --queue %s 或 gpu_%s all 其中之一' ;;
    '%s needs a value') REPLY='%s 需要一个值' ;;
    "--priority '%s' is no priority; 000 to 999, smaller runs first") REPLY="--priority '%s' 不是优先级；应为 000 到 999，数字越小越优先" ;;
    '%s: %s; nothing was submitted') REPLY='%s：%s；未提交任何任务' ;;
    '--after %s: it was dropped by hand and has no id before it runs') REPLY='--after %s：它是手动放入的，运行之前没有编号' ;;
    '--after names too many tasks; have one task wait for some of them, and this one for that') REPLY='--after 列出的任务过多；请让一个任务等待其中一部分，再让本任务等待那个任务' ;;
    '%s: queued as %s, priority %s, asks for %s') REPLY='%s：已排队，编号 %s，优先级 %s，申请 %s' ;;
    '%s/%s could not be written, so it is not queued; %s') REPLY='%s/%s 无法写入，因此没有排队；%s' ;;
    'cannot write into %s/control; %s') REPLY='无法写入 %s/control；%s' ;;
    '%s: its agent is alive but has not answered for 90 s; gpu_status shows what became of it') REPLY='%s：agent 存活，但 90 秒内没有回答；gpu_status 会显示结果' ;;
    'client.sh is not at %s any more; its first lines are the manual') REPLY='client.sh 已不在 %s；它的开头几行就是手册' ;;
    'one instance: gpu_use NAME') REPLY='只能指定一个实例：gpu_use 名称' ;;
    'instance %s in %s') REPLY='实例 %s，位于 %s' ;;
    'instance %s does not exist yet in %s; gpu_submit or ./submit.sh %s makes it') REPLY='实例 %s 在 %s 中还不存在；gpu_submit 或 ./submit.sh %s 会创建它' ;;
    'there is no %s yet; gpu_submit makes it, or set QUEUE_ROOT to where the queues lie') REPLY='还没有 %s；gpu_submit 会创建它，或者把 QUEUE_ROOT 设为队列所在的目录' ;;
    'there is no option %s; gpu_status [--all] [--queues] [--watch] [--plain] [--json]') REPLY='没有选项 %s；gpu_status [--all] [--queues] [--watch] [--plain] [--json]' ;;
    'and %s that stopped or went silent before') REPLY='另有 %s 更早停止或失去音讯' ;;
    'no agent is alive; start one with gpu-queue run %s') REPLY='没有存活的 agent；用 gpu-queue run %s 启动一个' ;;
    'no agent is alive; start one with ./submit.sh %s') REPLY='没有存活的 agent；用 ./submit.sh %s 启动一个' ;;
    '%s running') REPLY='%s 个运行中' ;;
    '%s waiting') REPLY='%s 个等待中' ;;
    '%s failed') REPLY='%s 个失败' ;;
    '%s done') REPLY='%s 个完成' ;;
    'paused%s; gpu_resume ends it') REPLY='已暂停%s；gpu_resume 可恢复' ;;
    'draining%s; gpu_resume ends it') REPLY='正在排空%s；gpu_resume 可恢复' ;;
    'kept served by at most %s allocations at a time; next: %s') REPLY='保持服务：同时最多 %s 个资源分配；下一个：%s' ;;
    'kept served no longer%s; ./submit.sh --keep begins anew') REPLY='不再保持服务%s；用 ./submit.sh --keep 重新开始' ;;
    'kept served no longer: no allocation is submitted any more') REPLY='不再保持服务：不会再提交资源分配' ;;
    'keep-alive is off%s; gpu_keepalive on ends it') REPLY='保活已关闭%s；gpu_keepalive on 可恢复' ;;
    'keep-alive is off%s; gpu_keepalive on ends it\n') REPLY='保活已关闭%s；gpu_keepalive on 可恢复\n' ;;
    'has ended') REPLY='已结束' ;;
    'try %s') REPLY='第 %s 次' ;;
    '%s  stopped %s ago') REPLY='%s  %s 前已停止' ;;
    '%s  speaks another version of the protocol; use the client that came with it') REPLY='%s  使用另一版本的协议；请使用与之配套的客户端' ;;
    '%s  last sign of life %s ago: its agent seems to be gone') REPLY='%s  最后一次音讯在 %s 前：agent 似乎已不在' ;;
    'ends in %s') REPLY='%s 后结束' ;;
    'as of %s ago') REPLY='%s 前的状态' ;;
    'note: %s') REPLY='注意：%s' ;;
    'look at: %s') REPLY='请查看：%s' ;;
    '%s of %s free') REPLY='空闲 %s / %s' ;;
    '%s without an agent') REPLY='%s没有 agent' ;;
    'GPU %s %s') REPLY='GPU %s %s' ;;
    'timed out') REPLY='超时' ;;
    'a note') REPLY='有注意事项' ;;
    'silent') REPLY='没有音讯' ;;
    'of another version') REPLY='版本不同' ;;
    'preparing') REPLY='准备' ;;
    'keep-alive %s on GPU %s: %s') REPLY='保活%s，GPU %s：%s' ;;
    'keep-alive') REPLY='保活' ;;
    'RUNNING, though no agent says so') REPLY='运行中（没有 agent 说明）' ;;
    '… and %s more') REPLY='… 还有 %s 个' ;;
    'on %s, try %s, has ended') REPLY='在 %s，第 %s 次，已结束' ;;
    'on %s, try %s') REPLY='在 %s，第 %s 次' ;;
    '%s; %s more like it') REPLY='%s；另有 %s 个同样的任务' ;;
    '… %s more like it') REPLY='… 另有 %s 个同样的任务' ;;
    '… and %s others; gpu_status --all shows them') REPLY='… 另有 %s 个任务；gpu_status --all 全部显示' ;;
    'FAILED in the last day: %s') REPLY='最近一天失败：%s' ;;
    'cancelled while it waited') REPLY='等待时被取消' ;;
    'cancelled while it waited, or never started') REPLY='等待时被取消，或从未启动' ;;
    'exit status %s') REPLY='退出状态 %s' ;;
    '%s ago') REPLY='%s 前' ;;
    '… %s more') REPLY='… 还有 %s 个' ;;
    '%s was dropped by hand and has no log before it runs') REPLY='%s 是手动放入的，运行之前没有日志' ;;
    "no task is called '%s'; gpu_logs shows the newest logs, gpu_status what waits and runs") REPLY="没有名为 '%s' 的任务；gpu_logs 列出最新的日志，gpu_status 列出等待和运行中的任务" ;;
    'there are no logs yet; gpu_status shows what waits and runs') REPLY='还没有日志；gpu_status 列出等待和运行中的任务' ;;
    '%s (%s) has not started yet%s') REPLY='%s (%s) 尚未启动%s' ;;
    "--rank '%s' is no rank; 0 is the first node of a task over several") REPLY="--rank '%s' 不是 rank；0 是多节点任务的第一个节点" ;;
    'gpu_tail follows one log: --rank N') REPLY='gpu_tail 只跟踪一个日志：--rank N' ;;
    '%s (%s) has no rank %s') REPLY='%s (%s) 没有 rank %s' ;;
    'it has a log for each of its nodes; this is that of rank 0; others: --rank 1 …, or --rank all') REPLY='它的每个节点各有一个日志；这是 rank 0 的；其他的：--rank 1 …，或 --rank all' ;;
    '%s (%s) has no log; gpu_explain %s says what is known of it') REPLY='%s (%s) 没有日志；gpu_explain %s 说明已知的情况' ;;
    'a new try') REPLY='新的一次运行' ;;
    '%s has failed; gpu_explain %s says how') REPLY='%s 已失败；gpu_explain %s 说明原因' ;;
    '%s (%s) is in no directory of the queue any more') REPLY='%s (%s) 已不在队列的任何目录中' ;;
    'it waits: %s') REPLY='正在等待：%s' ;;
    'files dropped by hand have no id yet and are not waited for') REPLY='手动放入的文件还没有编号，不会等待它们' ;;
    '%s was dropped by hand and has no id before it runs; wait for it then') REPLY='%s 是手动放入的，运行之前没有编号；请在运行后再等待' ;;
    'waiting for %s') REPLY='正在等待 %s' ;;
    '%s: it is in no directory of the queue any more') REPLY='%s：已不在队列的任何目录中' ;;
    'gpu_wait: after %s s not ended: %s; gpu_status shows them') REPLY='gpu_wait：%s 秒后仍未结束：%s；gpu_status 会列出' ;;
    'which task? gpu_explain TASK; gpu_status shows them') REPLY='哪个任务？gpu_explain 任务；gpu_status 会列出' ;;
    '%s (%s) has ended on %s, try %s%s; an agent moves it on\n') REPLY='%s (%s) 已在 %s 上结束，第 %s 次%s；agent 会继续处理\n' ;;
    '  rank %s runs on %s, GPU %s; gpu_tail %s --rank %s follows its log\n') REPLY='  rank %s 在 %s 上运行，GPU %s；gpu_tail %s --rank %s 跟踪其日志\n' ;;
    '%s (%s) runs on %s, try %s%s; gpu_tail %s follows its log\n') REPLY='%s (%s) 正在 %s 上运行，第 %s 次%s；gpu_tail %s 跟踪其日志\n' ;;
    '%s (%s) is done%s\n') REPLY='%s (%s) 已完成%s\n' ;;
    'the end of %s\n') REPLY='%s 的末尾\n' ;;
    '%s runs already, on %s; gpu_stop %s ends it') REPLY='%s 已在 %s 上运行；gpu_stop %s 可停止' ;;
    '%s could not be moved; gpu_status shows where it is') REPLY='%s 无法移动；gpu_status 显示它在哪里' ;;
    'it has ended already: %s') REPLY='它已经结束：%s' ;;
    '%s is no regular file; it is ignored and stays where it is') REPLY='%s 不是普通文件；它被忽略并留在原处' ;;
    'pending/%s is there already; give one of them another name') REPLY='pending/%s 已经存在；请给其中一个改名' ;;
    '%s could not be moved to failed/; check that you may write there') REPLY='%s 无法移到 failed/；请检查您是否可以在那里写入' ;;
    '%s is on node %s, which speaks %s; use the client that came with it') REPLY='%s 在节点 %s 上，它使用 %s；请使用与之配套的客户端' ;;
    '%s could not be stopped in three rounds; gpu_status shows where it is, gpu_pause keeps it from starting') REPLY='%s 三轮之内未能停止；gpu_status 显示它在哪里，gpu_pause 可阻止它启动' ;;
    '%s: no agent is alive there; moved to %s/%s, and should it still run, it ends itself within a minute\n') REPLY='%s：那里没有存活的 agent；已移到 %s/%s，如果它仍在运行，会在一分钟内自行结束\n' ;;
    '%s could not be moved to %s/; check that you may write there') REPLY='%s 无法移到 %s/；请检查您是否可以在那里写入' ;;
    'nothing has failed') REPLY='没有失败的任务' ;;
    '%s is no regular file; it stays where it is') REPLY='%s 不是普通文件；它留在原处' ;;
    'retried %s') REPLY='已重新排队：%s' ;;
    '%s could not be moved to pending/; check that you may write there') REPLY='%s 无法移到 pending/；请检查您是否可以在那里写入' ;;
    'cannot write %s/%s; check that you may write there and that the storage is not full') REPLY='无法写入 %s/%s；请检查您是否可以在那里写入，以及存储是否已满' ;;
    'cannot remove %s/%s; check that you may write there') REPLY='无法删除 %s/%s；请检查您是否可以在那里写入' ;;
    'it takes no argument') REPLY='它不带参数' ;;
    'there is no option %s; gpu_shutdown [--wait]') REPLY='没有选项 %s；gpu_shutdown [--wait]' ;;
    'no agent is alive in %s, so there is nothing to shut down') REPLY='%s 中没有存活的 agent，因此没有可关闭的' ;;
    '%s: no agent is alive there') REPLY='%s：那里没有存活的 agent' ;;
    '%s: that agent is gone, and another one serves there by now; gpu_shutdown ends it') REPLY='%s：那个 agent 已不在，现由另一个 agent 服务；gpu_shutdown 可结束它' ;;
    'there is no option %s; gpu_forget NODE [--force]') REPLY='没有选项 %s；gpu_forget 节点 [--force]' ;;
    'one node at a time: gpu_forget NODE [--force]') REPLY='一次一个节点：gpu_forget 节点 [--force]' ;;
    'which node is dead? gpu_forget NODE [--force]; gpu_status shows them') REPLY='哪个节点已失效？gpu_forget 节点 [--force]；gpu_status 会列出' ;;
    '%s speaks %s; use the client that came with it') REPLY='%s 使用 %s；请使用与之配套的客户端' ;;
    '%s gave a sign of life %s ago; gpu_shutdown ends agents, and if you know that it is dead: gpu_forget %s --force') REPLY='%s 在 %s 前还有音讯；结束 agent 用 gpu_shutdown，如果您确定它已失效：gpu_forget %s --force' ;;
    '%s (%s) gave a sign of life on %s %s ago; if you know that it is dead: gpu_forget %s --force') REPLY='%s (%s) 在 %s 上 %s 前还有音讯；如果您确定它已失效：gpu_forget %s --force' ;;
    '%s could not be renamed; check that you may write there') REPLY='%s 无法改名；请检查您是否可以在那里写入' ;;
    'nodes/%s could not be put away; check that you may write there') REPLY='nodes/%s 无法归档；请检查您是否可以在那里写入' ;;
    'forgotten %s; it had no task\n') REPLY='已遗忘 %s；它没有任务\n' ;;
    'forgotten %s; it had %s\n') REPLY='已遗忘 %s；它有 %s\n' ;;
    'no agent is alive in %s; the next one moves them on: ./submit.sh %s') REPLY='%s 中没有存活的 agent；下一个 agent 会继续处理：./submit.sh %s' ;;
    '%s (%s) runs again, on %s\n') REPLY='%s (%s) 重新运行，在 %s 上\n' ;;
    'the agents have not moved all of them on yet; gpu_status shows what became of them') REPLY='agent 还没有处理完全部任务；gpu_status 会显示结果' ;;
    '%s was put away already') REPLY='%s 已经归档' ;;
    "no node is called '%s'; gpu_status shows them") REPLY="没有名为 '%s' 的节点；gpu_status 会列出" ;;
    "'%s' fits %s nodes, and nothing was done: %s") REPLY="'%s' 符合 %s 个节点，未做任何操作：%s" ;;
    'there is no option %s; gpu_clean --older-than 7d [--dry-run]') REPLY='没有选项 %s；gpu_clean --older-than 7d [--dry-run]' ;;
    'how old? gpu_clean --older-than 7d [--dry-run]') REPLY='多久以前？gpu_clean --older-than 7d [--dry-run]' ;;
    '%s would be forgotten') REPLY='将会遗忘 %s' ;;
    '%s forgotten') REPLY='已遗忘 %s' ;;
    '%s/%s cannot be made; check that you may write there') REPLY='%s/%s 无法创建；请检查您是否可以在那里写入' ;;
    '%s/%s could not be moved; check that you may write there') REPLY='%s/%s 无法移动；请检查您是否可以在那里写入' ;;
    '%s cannot be removed; check that you may write there') REPLY='%s 无法删除；请检查您是否可以在那里写入' ;;
    '%s cannot be emptied; check that you may write there') REPLY='%s 无法清空；请检查您是否可以在那里写入' ;;
    '%s takes no argument') REPLY='%s 不带参数' ;;
    "there is no '%s'; gpu_keepalive on, off [WHY] or status") REPLY="没有 '%s'；gpu_keepalive on、off [原因] 或 status" ;;
    'no agent is alive now') REPLY='现在没有存活的 agent' ;;
    '%s: still %s; gpu_keepalive status shows when it has obeyed\n') REPLY='%s：仍为%s；gpu_keepalive status 会显示何时生效\n' ;;
    'there is no option %s; gpu_report [--days N] [--by-gpu]') REPLY='没有选项 %s；gpu_report [--days N] [--by-gpu]' ;;
    'how many days? gpu_report --days 7') REPLY='多少天？gpu_report --days 7' ;;
    'awk could not read %s/ledger; is awk installed here?') REPLY='awk 无法读取 %s/ledger；这里装了 awk 吗？' ;;
    'nothing was counted in the last %s; agents count while they live, and write it down each minute') REPLY='最近 %s 没有统计；agent 在存活期间统计，每分钟写下一次' ;;
    'serving') REPLY='服务中' ;;
    'paused') REPLY='已暂停' ;;
    'draining') REPLY='排空中' ;;
    'leaving') REPLY='退出中' ;;
    'stopped') REPLY='已停止' ;;
    'starting') REPLY='启动中' ;;
    'busy') REPLY='在用' ;;
    'idle') REPLY='空闲' ;;
    'foreign') REPLY='他人' ;;
    'lost') REPLY='失联' ;;
    'unknown') REPLY='未知' ;;
    'running') REPLY='运行' ;;
    'clearing') REPLY='清理' ;;
    'ending') REPLY='结束中' ;;
    'settling') REPLY='收尾' ;;
    'ended') REPLY='已结束' ;;
    'WAITING') REPLY='等待' ;;
    'PRIO') REPLY='优先' ;;
    'GPUS') REPLY='GPU' ;;
    'FOR') REPLY='已等' ;;
    'WHY') REPLY='原因' ;;
    'on') REPLY='开启' ;;
    'off') REPLY='关闭' ;;
    '%s task') REPLY='%s 个任务' ;;
    '%s GPU') REPLY='%s 张 GPU' ;;
    '%s node') REPLY='%s 个节点' ;;
    '%s waiting task') REPLY='%s 个等待中的任务' ;;
    '%s day') REPLY='%s 天' ;;
    '%s (%s) has waited for %s: %s\n') REPLY='%s (%s) 已等待 %s：%s\n' ;;
    '%s (%s) has waited for %s:\n') REPLY='%s (%s) 已等待 %s：\n' ;;
    '%s waits: %s\n') REPLY='%s 正在等待：%s\n' ;;
    '%s waits:\n') REPLY='%s 正在等待：\n' ;;
    ', whose last sign of life was %s ago') REPLY='，其最后音讯在 %s 前' ;;
    'not heard of') REPLY='没有音讯' ;;
    'not heard of for %s') REPLY='已 %s 没有音讯' ;;
    'its task is taken over in %s if it stays silent') REPLY='若继续没有音讯，它的任务将在 %s 后被接管' ;;
    'its %s tasks are taken over in %s if it stays silent') REPLY='若继续没有音讯，它的 %s 个任务将在 %s 后被接管' ;;
    'its task is taken over in %s: its batch job %s has ended') REPLY='它的任务将在 %s 后被接管：它的作业 %s 已结束' ;;
    'its %s tasks are taken over in %s: its batch job %s has ended') REPLY='它的 %s 个任务将在 %s 后被接管：它的作业 %s 已结束' ;;
    '1 task gives signs of life there and may go on') REPLY='其中 1 个任务仍有音讯，可以继续运行' ;;
    '%s tasks give signs of life there and may go on') REPLY='其中 %s 个任务仍有音讯，可以继续运行' ;;
    'no agent is alive to take it over; start one with ./submit.sh %s') REPLY='没有存活的 agent 来接管；用 ./submit.sh %s 启动一个' ;;
    '%s watches it: %s') REPLY='%s 正在观察它：%s' ;;
    'gpu_forget %s gives it up at once, should it be dead') REPLY='如果它已失效，gpu_forget %s 可立即放弃它' ;;
    '%s (%s) was cancelled while it waited, after try %s; gpu_retry %s queues it again\n') REPLY='%s (%s) 在等待时被取消（在第 %s 次运行之后）；gpu_retry %s 可重新排队\n' ;;
    '%s (%s) was cancelled while it waited, or never started; gpu_retry %s queues it again\n') REPLY='%s (%s) 在等待时被取消，或从未启动；gpu_retry %s 可重新排队\n' ;;
    '%s (%s) has failed: %s; gpu_retry %s queues it again\n') REPLY='%s (%s) 已失败：%s；gpu_retry %s 可重新排队\n' ;;
    'succeeded') REPLY='成功' ;;
    'cancelled') REPLY='已取消' ;;
    'timeout') REPLY='超时' ;;
    'refused') REPLY='被拒绝' ;;
    'requeued') REPLY='已重新排队' ;;
    'again') REPLY='再次运行' ;;
    'saved') REPLY='已保存' ;;
    'warned') REPLY='已提醒' ;;
    '  it was run again %s times, because it asked for that or had saved\n') REPLY='  已再次运行 %s 次：它要求这样，或已保存进度\n' ;;
    '  an agent of %s serves it in %s; to use that one: export QUEUE_ROOT=%s') REPLY='  有 %s 的 agent 在 %s 中服务；要使用它：export QUEUE_ROOT=%s' ;;
    '  … and %s more') REPLY='  … 还有 %s 个' ;;
    '%s  dead for %s') REPLY='%s  已失效 %s' ;;
    '%s (try %s)') REPLY='%s（第 %s 次）' ;;
    '%s ignored: directories, links and whatever else is no regular file are not run') REPLY='%s 个被忽略：目录、链接等非普通文件不会运行' ;;
    '%s skipped: dot-files, *~, *.tmp and *.swp are not run') REPLY='%s 个被跳过：以点开头的文件、*~、*.tmp 和 *.swp 不会运行' ;;
    '%s was dropped by hand, has no id yet and is not waited for') REPLY='%s 是手动放入的，还没有编号，不会等待它' ;;
    '%s: expected a text file of KEY=value lines that you may read, at most 64 KiB') REPLY='%s：应为您可读的文本文件，每行 KEY=value，至多 64 KiB' ;;
    '%s: it belongs to uid %s; expected a file of yours, of root, or of whoever owns client.sh') REPLY='%s：它属于 uid %s；应为您自己、root 或 client.sh 所有者的文件' ;;
    '%s: mode %s lets others write it, and it says where scripts go; chmod go-w %s') REPLY='%s：权限 %s 允许他人写入，而它决定脚本送往何处；chmod go-w %s' ;;
    'Go ahead? [y/N] ') REPLY='继续吗？[y/N] ' ;;
    'dropped by hand') REPLY='手动放入' ;;
    'gpu_priority TASK… PPP; PPP is 000 to 999, smaller runs first') REPLY='gpu_priority 任务… PPP；PPP 为 000 到 999，数字越小越优先' ;;
    'no agent serves %s in %s yet; start one with ./submit.sh %s') REPLY='还没有 agent 服务 %s（在 %s 中）；用 ./submit.sh %s 启动一个' ;;
    "no task fits '%s'; gpu_status and gpu_logs show what there is") REPLY="没有任务符合 '%s'；gpu_status 和 gpu_logs 会列出现有任务" ;;
    "no task in %s fits '%s'; gpu_status and gpu_logs show what there is") REPLY="在 %s 中没有任务符合 '%s'；gpu_status 和 gpu_logs 会列出现有任务" ;;
    'no task in %s is in the queue %s; gpu_status --queues shows their whole names') REPLY='在 %s 中没有属于队列 %s 的任务；gpu_status --queues 显示队列的完整名字' ;;
    'nothing waits') REPLY='没有等待的任务' ;;
    'nothing was done') REPLY='未做任何操作' ;;
    'there is no option %s; gpu_wait [TASK…] [--queue Q] [--timeout 2h]') REPLY='没有选项 %s；gpu_wait [任务…] [--queue Q] [--timeout 2h]' ;;
    'which task? gpu_cancel TASK…; gpu_status shows what waits') REPLY='哪个任务？gpu_cancel 任务…；gpu_status 列出等待的任务' ;;
    'which task? gpu_retry TASK… or gpu_retry all') REPLY='哪个任务？gpu_retry 任务…，或 gpu_retry all' ;;
    'which task? gpu_stop TASK… or gpu_stop all; gpu_status shows them') REPLY='哪个任务？gpu_stop 任务…，或 gpu_stop all；gpu_status 会列出' ;;
    'paused; gpu_resume ends it\n') REPLY='已暂停；gpu_resume 可恢复\n' ;;
    'draining; gpu_resume ends it\n') REPLY='正在排空；gpu_resume 可恢复\n' ;;
    '%s (%s) waits again\n') REPLY='%s (%s) 重新等待\n' ;;
    'keep-alive is off; gpu_keepalive on ends it\n') REPLY='保活已关闭；gpu_keepalive on 可恢复\n' ;;
    'keep-alive is on\n') REPLY='保活已开启\n' ;;
    'keep-alive was not switched off\n') REPLY='保活并未关闭\n' ;;
    'counted until %s ago; agents write it down each minute\n') REPLY='统计到 %s 前；agent 每分钟写下一次\n' ;;
    'counted until %s ago; no agent is alive\n') REPLY='统计到 %s 前；没有存活的 agent\n' ;;
    "--%s '%s' cannot be understood; for example %s") REPLY="无法理解 --%s '%s'；例如 %s" ;;
    '%s is known only on the node, so there is no link to its log; gpu_logs shows it') REPLY='%s 只有在节点上才知道，因此没有建立指向其日志的链接；gpu_logs 会显示日志' ;;
    '%s is missing, so there is no link to its log, %s') REPLY='%s 不存在，因此没有建立指向其日志的链接；日志是 %s' ;;
    '%s is not followed; gpu_logs shows its log') REPLY='不支持 %s；gpu_logs 会显示日志' ;;
    '%s is taken for its priority; as its argument: gpu_submit %s -- %s') REPLY='%s 被当作优先级；如果是参数：gpu_submit %s -- %s' ;;
    '%s is there already and stays as it is; its output goes to %s') REPLY='%s 已经存在，保持不变；输出写到 %s' ;;
    '%s tasks') REPLY='%s 个任务' ;;
    '%s tasks, at most %s of them at once') REPLY='%s 个任务，同时至多 %s 个' ;;
    '%s, a link to its log, could not be made; the log is %s') REPLY='%s（指向日志的链接）无法创建；日志是 %s' ;;
    '%s, array %s: queued as %s tasks, %s to %s, priority %s, each asks for %s') REPLY='%s，数组 %s：已排队 %s 个任务，编号 %s 至 %s，优先级 %s，每个申请 %s' ;;
    '%s: %s; nothing was submitted; for arguments of %s: %s') REPLY='%s：%s；未提交任何任务；如果是 %s 的参数：%s' ;;
    'nobody is mailed yet; gpu_wait waits for its end') REPLY='目前不发送邮件；gpu_wait 可等待它结束' ;;
    ' on each of %s nodes (%s)') REPLY='，%s 个节点各一份（%s）' ;;
    ', %s each (%s)') REPLY='，每张 %s（%s）' ;;
    ', at most %s (%s)') REPLY='，至多 %s（%s）' ;;
    '; %s is called so by %s') REPLY='；%s 的名称来自 %s' ;;
    '; its arguments: %s') REPLY='；参数：%s' ;;
    '; in a copy of snapshot %s') REPLY='；在快照 %s 的副本中运行' ;;
    'code: %s') REPLY='代码：%s' ;;
    'commit %s') REPLY='提交 %s' ;;
    ', changed since') REPLY='，之后有改动' ;;
    'snapshot %s of %s') REPLY='快照 %s（%s）' ;;
    '%s snapshots forgotten') REPLY='已遗忘 %s 个快照' ;;
    'are these scripts, or %s with arguments? nothing was submitted; type %s or %s') REPLY='这些都是脚本，还是 %s 带参数？未提交任何任务；请输入 %s 或 %s' ;;
    'arguments: %s') REPLY='参数：%s' ;;
    'asks for %s') REPLY='申请 %s' ;;
    'is %s the priority, or an argument of %s? nothing was submitted; type %s or %s') REPLY='%s 是优先级，还是 %s 的参数？未提交任何任务；请输入 %s 或 %s' ;;
    'is no script') REPLY='不是脚本' ;;
    'it waits for %s, which is not in this queue') REPLY='它等待 %s，而该任务不在本队列中' ;;
    'its tasks run one at a time, as they are in queue %s; %%%s does not count') REPLY='任务都在队列 %s 中，因此逐个运行；%%%s 不起作用' ;;
    'line %s') REPLY='第 %s 行' ;;
    'only options and #GPUQ lines were read (the rest takes a Python 3.8 or newer, and gpu_queue beside client.sh); the node reads all of it') REPLY='只读取了选项和 #GPUQ 行（其余部分需要 Python 3.8 或更新版本，以及 client.sh 旁边的 gpu_queue）；节点会读取全部' ;;
    'it waits for another node: no agent that is alive has GPU %s') REPLY='它将等待其他节点：存活的 agent 都没有 GPU %s' ;;
    'it waits for more nodes: of the agents that are alive %s can run its part, and it needs %s') REPLY='它将等待更多节点：存活的 agent 中有 %s 个能运行它的一部分，而它需要 %s 个' ;;
    'it waits for another agent: none that is alive has both its GPUs and so much time left') REPLY='它将等待其他 agent：存活的 agent 中没有一个既有这些 GPU 又剩余足够的时间' ;;
    'it waits for another node: no agent that is alive has a GPU of %s') REPLY='它将等待其他节点：存活的 agent 都没有显存 %s 的 GPU' ;;
    'it waits for another node: no agent that is alive has %s GPUs of %s, the most is %s') REPLY='它将等待其他节点：存活的 agent 都没有 %s 张显存 %s 的 GPU，最多 %s 张' ;;
    'it waits for another node: no agent that is alive has %s GPUs, the most is %s') REPLY='它将等待其他节点：存活的 agent 都没有 %s 张 GPU，最多 %s 张' ;;
    'it waits for another agent: none that is alive lives as long as its time, the longest has %s left') REPLY='它将等待其他 agent：存活的 agent 剩余时间都不够，最长还有 %s' ;;
    'note: %s: %s') REPLY='注意：%s：%s' ;;
    'priority %s; nothing was queued\n') REPLY='优先级 %s；未排队任何任务\n' ;;
    'the arguments are too long for a record; put them into a file') REPLY='参数过长，无法写入记录；请把它们放进文件' ;;
    'there is no option %s; gpu_help shows them, and what is for the script stands behind --') REPLY='没有选项 %s；gpu_help 列出所有选项，给脚本的参数写在 -- 之后' ;;
    'what its script says') REPLY='脚本所写的资源' ;;
    '#GPUQ knows no %s; expected --gpus, --nodes, --memory, --queue, --time, --retries, --signal, --notify or --snapshot') REPLY='#GPUQ 没有 %s；应为 --gpus、--nodes、--memory、--queue、--time、--retries、--signal、--notify 或 --snapshot' ;;
    '#GPUQ %s has no value') REPLY='#GPUQ %s 没有值' ;;
    '%s is missing: an agent of this queue makes it again within seconds, and so may you') REPLY='%s 不存在：此队列的 agent 几秒内会重新创建，您也可以创建' ;;
    '%s should be a directory, and is none: move it away, and it is made again') REPLY='%s 应为目录，但不是：请移走它，它会重新创建' ;;
    'you may not write into %s') REPLY='您没有写入 %s 的权限' ;;
    'check that the storage is not full') REPLY='请检查存储是否已满' ;;
    'there is no such file') REPLY='没有这个文件' ;;
    'is a directory') REPLY='是目录' ;;
    'is no regular file') REPLY='不是普通文件' ;;
    'is empty') REPLY='是空文件' ;;
    'cannot be read') REPLY='无法读取' ;;
    'is a binary, no script') REPLY='是二进制文件，不是脚本' ;;
    'has %s bytes; a script has at most 16777216') REPLY='有 %s 字节；脚本至多 16777216 字节' ;;
    'asks for what cannot be: %s') REPLY='申请了无法满足的：%s' ;;
    'no GPU') REPLY='0 张 GPU' ;;
    '1 GPU') REPLY='1 张 GPU' ;;
    '%s to %s GPUs') REPLY='%s 到 %s 张 GPU' ;;
    '%s GPUs') REPLY='%s 张 GPU' ;;
    'GPUs %s') REPLY='GPU %s' ;;
    'GPU %s') REPLY='GPU %s' ;;
    'the default') REPLY='默认' ;;
    ', duty %s%%') REPLY='，占空比 %s%%' ;;
    ' (not regulated: no utilisation reading)') REPLY='（未调节：没有利用率读数）' ;;
    ', holds %s') REPLY='，占用 %s' ;;
    ', %s kWh today') REPLY='，今天 %s kWh' ;;
    'holding') REPLY='保持' ;;
    'calibrating') REPLY='校准中' ;;
    'yielding') REPLY='让出中' ;;
    'nothing waits or runs in the last %s, and no agent serves them; to delete one with its records and logs: rm -r %s') REPLY='最后 %s 个实例没有等待或运行中的任务，也没有 agent；要连同记录和日志删除其中一个：rm -r %s' ;;
    'done %s\n') REPLY='已完成 %s\n' ;;
    'failed %s\n') REPLY='已失败 %s\n' ;;
    'retried %s\n') REPLY='已重新排队 %s\n' ;;
    '%s has priority %s\n') REPLY='%s 的优先级为 %s\n' ;;
    'it has ended already: %s (%s), in %s/') REPLY='它已经结束：%s (%s)，在 %s/ 中' ;;
    'cancelled %s\n') REPLY='已取消 %s\n' ;;
    '%s (%s) is done\n') REPLY='%s (%s) 已完成\n' ;;
    '%s (%s) has failed\n') REPLY='%s (%s) 已失败\n' ;;
    ', %s of which had been cancelled') REPLY='，其中 %s 个是被取消的' ;;
    'resumed\n') REPLY='已恢复\n' ;;
    'no idle GPU') REPLY='没有空闲的 GPU' ;;
    'instance') REPLY='实例' ;;
    'waiting') REPLY='等待' ;;
    'agents') REPLY='agent' ;;
    'STARTING') REPLY='正在启动' ;;
    'on %s') REPLY='在 %s' ;;
    'backing off') REPLY='退避中' ;;
    'another queue') REPLY='其他队列' ;;
    'kept for a task') REPLY='为任务预留' ;;
    'QUEUES') REPLY='队列' ;;
    'BUSY') REPLY='忙碌' ;;
    'IDLE') REPLY='空闲' ;;
    'shared') REPLY='共享' ;;
    'Queue %s: ') REPLY='队列 %s：' ;;
    ', Pending=%s, Running=%s, Completed=%s, Failed=%s') REPLY='，等待=%s，运行=%s，完成=%s，失败=%s' ;;
    'failed %s times; rests until %s (%s)') REPLY='已失败 %s 次；退避到 %s（还有 %s）' ;;
    '… and %s more; gpu_status --queues shows all of them') REPLY='……还有 %s 个；gpu_status --queues 显示全部' ;;
    'no agent tells of a serial queue; gpu_submit --queue NAME makes one\n') REPLY='没有 agent 报告串行队列；gpu_submit --queue 名称 会创建一个\n' ;;
    'Available=%s') REPLY='可用=%s' ;;
    ', User Python Processes=%s') REPLY='，用户 Python 进程=%s' ;;
    ', Running Tasks=%s') REPLY='，运行任务=%s' ;;
    'Running Task (Queue %s): ') REPLY='运行任务（队列 %s）：' ;;
    'Running Task: ') REPLY='运行任务：' ;;
    'GPU %s: %s') REPLY='GPU %s：%s' ;;
    'left to others') REPLY='留给他人' ;;
    'used by somebody else') REPLY='有他人在用' ;;
    'with another Python process of yours') REPLY='有您的其他 Python 进程' ;;
    'with too little free memory') REPLY='可用显存不足' ;;
    'above max_util') REPLY='利用率高于 max_util' ;;
  esac
}

__gpu_manual() { # gpu_help in Chinese
  printf '%s\n' 'client.sh：通过共享目录提交、查看和控制 GPU 任务。在 bash（4.2 以上）或 zsh 中 source。

  export JOB_ID=train-exp1            # 队列的哪个实例；也可以：gpu_use train-exp1
  source /path/to/client.sh
  gpu_submit train.sh                 # 以及 gpu_status、gpu_logs、gpu_stop……

实例
  gpu_use [ID]                        显示或切换实例              gpu_list    所有实例
提交；任务的全名写到标准输出，每行一个（终端除外）；给人看的话写到标准错误
  gpu_submit 文件… [优先级]           把脚本排队；优先级 000-999，数字越小越优先，默认 500
  gpu_submit 文件 [--] 参数…          把带参数的脚本排队；-- 之后的都是参数
  gpu_run "命令" [优先级]             把一行命令排队
    --gpus N|N-M   --memory 20G   --queue Q   --time 4h   --retries N     需要什么（也可写成脚本里的 #GPUQ 行）
    --nodes N      在 N 个节点上同时启动，--gpus 按每个节点计               （docs/zh-CN/gangs.md）
    --signal USR1@120             在结束前这么久提醒它                    （all:：它的所有捕获该信号的进程）
    --notify LABEL[:failed]   结束时通知谁（也可写成 #GPUQ 行；docs/zh-CN/notify.md）
    --after 任务   --name 名称    --priority PPP                          --after 可以重复
    --array 0-9%2  每个序号一个任务，同时两个                --dry-run    说明申请了什么、为什么，不排队
    --snapshot     在工作目录树此刻的副本中运行（docs/zh-CN/snapshots.md）；--no-snapshot：不论脚本怎么写都不用副本
  gpu_load 文件… [--dry-run]          把实验文件（.yaml）的各次运行或命令文件的各块排队；再次载入：新增或改动的
    --again  已结束的也再排   --multi、--single  块的 GPU   --shared-queues  各文件共用队列   --work-dir 目录
查看
  gpu_status [--all] [--watch]        节点及其 GPU，什么在等待、为什么，什么失败了；--plain、--json：给程序用
  gpu_status --queues                 全部串行队列：忙碌或空闲，各有多少等待、运行、完成、失败
  gpu_logs [任务] [--rank N|all]      最新的日志；给出任务则显示它每次运行的日志；--rank：多节点任务中某个节点的日志
  gpu_tail [任务] [--rank N]          跟踪日志直到任务结束：0 完成，1 失败
  gpu_wait [任务…] [--timeout 2h]     直到它们结束：0 全部完成，1 有失败，124 超时
  gpu_explain 任务                    它为什么等待、在哪里运行、怎样结束
  gpu_report [--days N] [--by-gpu]    任务、保活和空闲的 GPU 小时与能耗，按天或按 GPU
控制
  gpu_cancel 任务…  gpu_priority 任务… PPP       等待中的任务
  gpu_stop 任务…|all                  停止运行中的，取消等待中的
  gpu_retry 任务…|all                 失败的任务重新排队
    --queue Q：该串行队列的全部任务；--yes：不询问。它们和 gpu_wait 也接受名称的通配符：
    gpu_cancel "seed*"。在终端里，涉及多个任务时先说明要做什么再询问。
  gpu_pause [原因]  gpu_drain [原因]  不再启动新任务；drain：任务结束后 agent 也退出
  gpu_resume                          撤销以上两者
  gpu_shutdown [--wait]               结束 agent；--wait：等运行中的任务结束之后
  gpu_keepalive [status]              各节点上用什么让空闲的 GPU 保持忙碌
  gpu_keepalive off [原因]  gpu_keepalive on     让空闲的 GPU 空闲；恢复
  gpu_forget 节点 [--force]           该节点已失效：它的任务现在就转到别处，而不是 15 分钟以后
  gpu_clean --older-than 7d [--dry-run]          遗忘已结束的任务，连同记录和日志
  gpu_help                            本说明

“任务”可以是全名、编号、六位随机码、脚本名（带或不带后缀），或其中的一部分。符合多个任务时会列出它们，什么都不做；
gpu_tail 取最新的，gpu_logs 取最新的有日志的，gpu_explain 在同名任务中取最新的。
-- 之后的都是名称，即使它像选项那样开头；在 gpu_submit 文件 -- 之后的是脚本的参数。
每个错误是标准错误上的一行；用法错误的状态是 2，其他是 1。

设置：JOB_ID；QUEUE_ROOT（默认 ~/gpu_queue）；NO_COLOR；GPU_QUEUE_PATIENCE：多少秒没有音讯的节点算作不在
（本地文件系统 10，网络文件系统 40）。JOB_ID 和 QUEUE_ROOT 也可以写在本文件旁边或 ~/.config/gpu-queue 里的
gpu-queue.conf 中，QUEUE_ROOT 还可以写在旁边 submit.sh 的开头；环境变量优先（docs/zh-CN/settings.md）。'
}

# --- completion ----------------------------------------------------------------------------------------------------

__gpu_queue_names() { # reply = the serial queues that have a token, or that the first waiting tasks were submitted to
  local file name records=()
  typeset -A known
  __gpu_tasks pending
  for file in "${reply[@]:0:500}"; do records+=("records/${file#pending/????}.json"); done
  [ ${#records[@]} -eq 0 ] || __gpu_lines grep -hoa -e '"queue": *"[A-Za-z0-9._+-]*"' -- "${records[@]}"
  [ ${#records[@]} -gt 0 ] || reply=()
  records=("${reply[@]}") reply=()
  for file in "${records[@]}" queues/*.[0-9]*; do
    case $file in
      queues/*) name=${file#queues/}; name=${name%.free}; name=${name%.*} ;;
      *) name=${file%\"}; name=${name##*\"} ;;
    esac
    case $name in '' | *[!A-Za-z0-9._+-]*) continue ;; esac
    [ -n "${known[$name]-}" ] || reply+=("$name")
    known[$name]=1
  done
}

__gpu_candidates() { # COMMAND, or the option before, WORD: one a line
  local states state file plain titles=() nonces=() fulls=()
  case $1 in
    gpu_keepalive) printf '%s\n' on off status; return 0 ;;
    gpu_use) __gpu_home; __gpu_cd "$REPLY" || return 0
      for file in */; do
        case $file in *[[:cntrl:]]*) ;; *) __gpu_put '%s\n' "${file%/}" ;; esac
      done
      return 0 ;;
    gpu_forget) __gpu_enter 2>/dev/null || return 0
      __gpu_node_names
      for file in "${reply[@]}"; do printf '%s\n' "$file"; done
      return 0 ;;
    --queue) __gpu_enter 2>/dev/null || return 0
      __gpu_queue_names
      for file in "${reply[@]}"; do printf '%s\n' "$file"; done
      return 0 ;;
    gpu_cancel | gpu_priority) states=pending ;;
    gpu_stop | gpu_wait) states='pending running' ;;
    gpu_retry) states=failed ;;
    gpu_explain | --after) states='pending running done failed' ;;
    gpu_logs | gpu_tail) states=logs ;;
    *) return 0 ;;
  esac
  case $1 in gpu_stop | gpu_retry) printf 'all\n' ;; esac
  __gpu_enter 2>/dev/null || return 0
  # By the shell's own globbing, as far as names in the directory tell: there may be very many.
  __gpu_plain "$2"; plain=$REPLY
  for state in $states; do
    case $state in
      logs) titles+=(logs/????????T?????????-??????-"$plain"*.log) ;;
      *) __gpu_titled "$state" "$plain*" || :; titles+=("${reply[@]}") ;;
    esac
    case $2 in *[!A-Za-z0-9._+-]*) continue ;; [0-9a-f]*) ;; *) continue ;; esac
    case $state in
      logs) nonces+=(logs/????????T?????????-"$2"*-?*.log) ;;
      running) nonces+=(running/*/???-????????T?????????-"$2"*-?*) fulls+=(running/*/"$2"*) ;;
      *) nonces+=("$state"/???-????????T?????????-"$2"*-?*) fulls+=("$state/$2"*) ;;
    esac
    case $state/$2 in logs/0 | logs/00 | logs/000 | logs/000-*) file=${2#00}; file=${file#0}; fulls+=(logs/"${file#-}"*.log) ;; esac
  done
  __gpu_offer title "$2" "${titles[@]}"
  __gpu_offer nonce "$2" "${nonces[@]}"
  __gpu_offer full "$2" "${fulls[@]}"
}

__gpu_offer() { # KIND WORD PATH…: what begins with the word, one a line: of very many the first, and what is spelled otherwise
  local kind=$1 begun=$2 file name word common='' count=0 read=0 before='*/' # than these, so that Tab goes on as far as all are alike
  typeset -A seen
  shift 2
  case $kind in title) before='*????????T?????????-??????-' ;; nonce) before='*????????T?????????-' ;; esac
  for file in "$@"; do
    # shellcheck disable=SC2254 # a pattern is meant
    [ "$count" -lt 200 ] || case $file in $before"$common"*) continue ;; esac
    name=${file##*/}
    case $file in logs/*) __gpu_unranked "${name%.log}"; name=000-$REPLY ;; esac
    case $name in *.try* | *=*) __gpu_strip "$name"; name=$REPLY ;; esac
    case $kind in nonce) word=${name:23:6} ;; full) word=$name ;; *) word=${name:30} ;; esac
    case $kind/$word in title/*_*) # the record is read, of the first
      if [ "$read" -lt 200 ]; then read=$((read + 1)); __gpu_title "$name"; word=$REPLY; fi ;;
    esac
    case $word in "$begun"*) ;; *) continue ;; esac
    [ "$count" -lt 200 ] || case $word in "$common"*) continue ;; esac
    [ -z "${seen[$word]-}" ] && __gpu_is_full "$name" || continue
    printf '%s\n' "$word"
    seen[$word]=1 count=$((count + 1))
    [ "$count" -gt 1 ] || common=$word
    while case $word in "$common"*) false ;; esac; do common=${common%?}; done
  done
}

__gpu_words() { # COMMAND WORD [BEFORE [quoted]]: the options and candidates that begin with WORD; BEFORE is the word before
  local options='' line
  case $1 in
    gpu_submit | gpu_run) options='--gpus --nodes --memory --queue --time --retries --signal --notify --after --name --priority --array --snapshot --no-snapshot --dry-run' ;;
    gpu_load) options='--dry-run --again --yes --shared-queues --multi --single --work-dir' ;;
    gpu_status) options=$'--all\n--queues\n--watch\n--plain\n--json' ;;
    gpu_wait) options='--timeout --queue' ;;
    gpu_cancel | gpu_stop | gpu_retry | gpu_priority) options='--queue --yes' ;;
    gpu_shutdown) options=--wait ;;
    gpu_logs | gpu_tail) options=--rank ;;
    gpu_report) options='--days --by-gpu' ;;
    gpu_forget) options=--force ;;
    gpu_clean) options='--older-than --dry-run' ;;
  esac
  case $1/${3-} in
    gpu_submit/--after | gpu_run/--after | */--queue) set -- "$3" "$2" '' "${4-}" ;;
    gpu_submit/--dry-run | gpu_run/--dry-run | */--snapshot | */--no-snapshot) ;;
    gpu_submit/--[a-z]* | gpu_run/--[a-z]* | */--timeout | */--rank) return 0 ;; # a number, or a name of one's own
  esac
  case $2 in
    -*) for line in $options; do case $line in "$2"*) printf '%s\n' "$line" ;; esac; done ;;
    *)
      __gpu_candidates "$1" "$2" | while IFS= read -r line; do
        case $line in "$2"*) ;; *) continue ;; esac
        REPLY=$line
        [ -z "${4-}" ] || __gpu_quote "$line"
        printf '%s\n' "$REPLY"
      done ;;
  esac
}

__gpu_complete_bash() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    COMPREPLY+=("$line")
  done <<END
$(__gpu_guest words "$1" "$2" "${3-}" quoted 2>/dev/null)
END
}

__gpu_complete_zsh() {
  local -a found
  # shellcheck disable=SC2154,SC2296,SC2206 # zsh's own words and flags
  found=(${(f)"$(__gpu_guest words "${words[1]}" "${words[CURRENT]}" "${words[CURRENT-1]}" 2>/dev/null)"})
  # shellcheck disable=SC2154 # zsh's own
  case $service/${words[CURRENT-1]} in gpu_submit/--dry-run | gpu_submit/--snapshot | gpu_submit/--no-snapshot | gpu_submit/--) _files ;; gpu_submit/--*) ;; gpu_submit/* | gpu_load/*) _files ;; esac
  if [ ${#found} -gt 0 ]; then compadd -- "${found[@]}"; fi
}

__gpu_register() {
  local commands='gpu_use gpu_submit gpu_run gpu_load gpu_status gpu_logs gpu_tail gpu_wait gpu_explain gpu_cancel gpu_priority gpu_stop gpu_retry gpu_shutdown gpu_forget gpu_clean gpu_keepalive gpu_report'
  if [ -n "${ZSH_VERSION-}" ]; then
    if typeset -f compdef >/dev/null; then eval "compdef __gpu_complete_zsh $commands"; fi
  else
    case $- in *i*) eval "complete -F __gpu_complete_bash $commands; complete -o default -F __gpu_complete_bash gpu_submit gpu_load" ;; esac
  fi
}
__gpu_register || :
unset -f __gpu_register

# Where this file lies, for gpu_help and for the settings beside it.
if [ -n "${ZSH_VERSION-}" ]; then
  # The file that is being read.  %x, the older way, spells a Chinese path with \M-^ where the locale is C.
  zmodload zsh/parameter 2>/dev/null
  # shellcheck disable=SC2154,SC2296 # zsh's own
  __gpu_source=${functions_source[gpu_help]:-${(%):-%x}}
else
  __gpu_source=${BASH_SOURCE[0]-}
fi
case $__gpu_source in /*) ;; *) __gpu_source=$PWD/$__gpu_source ;; esac
[ ! -L "$__gpu_source" ] || __gpu_source=$(command readlink -f -- "$__gpu_source") || : # a link to it is no copy
if [ -n "${ZSH_VERSION-}" ]; then
  # shellcheck disable=SC2296 # so does its %q
  eval "__gpu_file() { REPLY=${(qq)__gpu_source}; }"
else
  eval "__gpu_file() { REPLY=$(printf '%q' "$__gpu_source"); }"
fi
unset __gpu_source

if [ -n "${__gpu_aliases-}" ]; then
  unset __gpu_aliases
  if [ -n "${ZSH_VERSION-}" ]; then setopt aliases; else shopt -s expand_aliases; fi
fi
