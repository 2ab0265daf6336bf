# shellcheck shell=bash disable=SC2015
# client.sh: submit, watch and steer GPU jobs through a shared directory.  Source it from bash (4.2 or newer) or zsh.
#
#   export JOB_ID=train-exp1            # which instance of the queue; also: gpu_use train-exp1
#   source /path/to/client.sh
#   gpu_submit train.sh                 # and gpu_status, gpu_logs, gpu_stop …
#
# Instances
#   gpu_use [ID]                        show or switch the instance          gpu_list    all instances
# Submitting; the tasks' full names go to stdout, one a line, words for people to stderr
#   gpu_submit FILE… [PRIORITY]         queue scripts; PRIORITY 000-999, smaller runs first, 500 if nothing is said
#   gpu_run 'COMMAND' [PRIORITY]        queue one command line
#     --gpus N|N-M   --memory 20G   --queue Q   --time 4h   --retries N     what it needs (also as #GPUQ lines in it)
#     --after TASK   --name NAME    --priority PPP                          --after may be repeated
# Watching
#   gpu_status [--watch]                nodes, what waits in run order, what runs, how many are done
#   gpu_logs [TASK]                     the newest logs; with TASK the logs of all its tries
#   gpu_tail [TASK]                     follow a log until its task has ended: 0 done, 1 failed
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
# Every failure is one line on stderr; the status is 2 for wrong usage, else 1.
#
# Settings: JOB_ID; QUEUE_ROOT (default ~/gpu_queue); NO_COLOR; GPU_QUEUE_PATIENCE, the seconds after which a node
# without a sign of life counts as gone (10 on local filesystems, 40 on network ones).
#
# It needs nothing but coreutils, find and xargs, gpu_report also awk.  Each command runs in a subshell that first puts all
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
  # A shell forgets an interrupt when the program that it waits for has just ended by itself.  And it must be seen to end by
  # it, or the loop that we are in goes on: an interactive shell's subshell would only exit, zsh's with status 1.
  # shellcheck disable=SC2016 # of that shell
  trap 'exec sh -c '\''kill -s INT "$$"'\' INT
  unset GLOBIGNORE CDPATH POSIXLY_CORRECT
  IFS=$' \t\n'
  case ${LC_ALL:-${LC_MESSAGES:-${LANG-}}} in [zZ][hH]*) __gpu_zh=yes ;; *) __gpu_zh='' ;; esac
  LC_ALL=C; export LC_ALL # names are bytes
  umask 077
  __gpu_verb=$1; __gpu_last_ms=0
  shift
  "__gpu_$__gpu_verb" "$@"
}

__gpu_tr() { # FORMAT: REPLY = the same for printf in this shell's language
  REPLY=$1
  [ -z "$__gpu_zh" ] || __gpu_chinese "$1"
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
  local format=$1 word words=() REPLY
  shift
  for word in "$@"; do
    case $word in *[![:print:]]*) word=${word:0:4096}; __gpu_tame "${word//[[:cntrl:]]/?}"; word=$REPLY ;; esac
    words+=("$word")
  done
  __gpu_tr "$format"
  # shellcheck disable=SC2059 # the format is ours
  printf "$REPLY" "${words[@]}"
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

# --- the spool -----------------------------------------------------------------------------------------------------

__gpu_home() { # the directory of all instances
  REPLY=${QUEUE_ROOT:-${HOME-}/gpu_queue}
  case $REPLY in /*) ;; *) REPLY=$PWD/$REPLY ;; esac
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
      return
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
    [ "${1-}" = make ] || { __gpu_fail '%s has no PROTOCOL file, so it is no spool; gpu_submit makes it one' "$spool"; return; }
    __gpu_make && number=1 || { __gpu_fail 'cannot make the spool %s; check that you may write there and that it is not full' "$spool"; return; }
  fi
  [ "$number" = 1 ] || __gpu_fail "%s speaks protocol '%s', this client speaks 1; use the client.sh that came with its agents" "$spool" "$number"
}

__gpu_make() { # the spool in the current directory: PROTOCOL last, it says that the rest is there
  __gpu_nonce 12
  command mkdir -p pending running 'done' failed records logs control nodes/gone ledger queues gangs events &&
    __gpu_write ".PROTOCOL.$REPLY" $'1\n' && command mv -T -f -- ".PROTOCOL.$REPLY" PROTOCOL
} 2>/dev/null

__gpu_listed() { # DIRECTORY NAME: asked by listing; on NFS a look at the name itself may be wrong for a minute
  local entry
  for entry in "$1"/*; do
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
    REPLY=$(command stat -c "%${2:+.9}Y" -- "$file" 2>/dev/null)
    command rm -f -- "$file"
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

__gpu_full() { # STATE: reply = the paths of that state's tasks in run order; false if a name must be looked at to tell
  # By the shell's own globbing alone: looking at ten thousand names one by one takes it a fifth of a second.
  reply=("$1"/*[!A-Za-z0-9._+-]* "$1"/*.try*)
  [ ${#reply[@]} -eq 0 ] || return
  reply=("$1"/[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-?*)
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

__gpu_wishes() { # ARGUMENT…: into the caller's names, queue, yes
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
}

__gpu_meant() { # STATES GROUP…: reply = the paths of what the caller's names and queue mean: a pattern, all and a queue
  local states=$1 name found=() is_part='' # those in STATES, any other name one in the first GROUP that has it
  shift
  # shellcheck disable=SC2086 # states are words
  if [ -n "$queue" ]; then
    __gpu_of_queue $states
    [ ${#reply[@]} -gt 0 ] || { __gpu_fail 'no task in %s is in the queue %s' "${states// //}" "$queue"; return; }
    found+=("${reply[@]}")
  fi
  for name in "${names[@]}"; do
    case $name in
      all) name='*' ;;
      *[*?[]*)
        # A script may be called so.
        # shellcheck disable=SC2086 # as above
        __gpu_find "$name" $states
        if [ -z "$is_part" ] && [ ${#reply[@]} -eq 1 ]; then found+=("${reply[0]}"); continue; fi ;;
      *)
        __gpu_one "$name" "$@" || return
        found+=("$REPLY"); continue ;;
    esac
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

__gpu_fitting() { # PATTERN STATE…: reply = the paths of the tasks whose titles fit it
  local pattern=$1 state file name found=()
  shift
  for state in "$@"; do
    # Ids carry what the first kind of pattern says, so that the names in the directory tell; of others the titles do.
    case $pattern in
      *[!]A-Za-z0-9._+*?!^[-]*)
        __gpu_tasks "$state"
        for file in "${reply[@]}"; do
          __gpu_title "$file"
          # shellcheck disable=SC2254 # a pattern is meant
          case $REPLY in $pattern) found+=("$file") ;; esac
        done ;;
      *) __gpu_tasks "$state" "????????T?????????-??????-$pattern"; found+=("${reply[@]}") ;;
    esac
    [ "$state" = pending ] || continue
    __gpu_drops
    for file in "${reply[@]}"; do
      name=${file#pending/}
      # shellcheck disable=SC2254 # as above
      case ${name#[0-9][0-9][0-9][-_]} in $pattern) found+=("$file") ;; esac
    done
  done
  reply=("${found[@]}")
}

__gpu_of_queue() { # STATE…: reply = the paths of their tasks that are in the caller's queue, as record or script says
  local state file id tasks=() sheets=() found=()
  typeset -A given its says
  for state in "$@"; do
    __gpu_tasks "$state"; tasks+=("${reply[@]}")
    [ "$state" != pending ] || { __gpu_drops; tasks+=("${reply[@]}"); }
  done
  for file in "${tasks[@]}"; do __gpu_strip "$file"; sheets+=("records/${REPLY#????}.json"); done
  # Three programs for thousands of files.
  __gpu_with '"queue": *"' "${sheets[@]}"; for file in "${reply[@]}"; do given[$file]=1; done
  __gpu_with "\"queue\": *\"${queue//./[.]}\"" "${sheets[@]}"; for file in "${reply[@]}"; do its[$file]=1; done
  __gpu_with '^#GPUQ.*--queue' "${tasks[@]}"; for file in "${reply[@]}"; do says[$file]=1; done
  for file in "${tasks[@]}"; do
    __gpu_strip "$file"; id=records/${REPLY#????}.json
    if [ -n "${its[$id]-}" ]; then found+=("$file"); continue; fi
    [ -z "${given[$id]-}" ] && [ -n "${says[$file]-}" ] && __gpu_read "$file" 65536 || continue
    __gpu_lane "$REPLY"
    if [ "$REPLY" = "$queue" ]; then found+=("$file"); fi
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

__gpu_pages() { # [gone/]: reply = the nodes whose pages are there, the newest first; beats = when, in the server's seconds
  local i pages=() order=-n # by one listing: thousands of dead nodes cost a moment
  __gpu_lines find "nodes/${1-}" -maxdepth 1 -type f -name '[!.]*.json' ! -name '*[!A-Za-z0-9._+-]*' -printf '%T@ %f\n'
  pages=("${reply[@]}"); reply=() beats=()
  for ((i = ${#pages[@]} - 1; i >= 0; i--)); do
    REPLY=${pages[i]%%.*}
    __gpu_number "$REPLY" || REPLY=0
    beats+=("$REPLY"); REPLY=${pages[i]#* }; reply+=("${REPLY%.json}")
  done
}

__gpu_each() { # NODE VERB: VERB with the fields of each line of its page, as far as a page goes
  local line verb=$2 left=3000 IFS=$'\n'
  __gpu_read "nodes/$1.tsv" || return 1
  set -f # no fork, and no read for each line; an empty field would be lost, so there is none
  for line in $REPLY; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || break
    __gpu_tame "${line:0:4096}"
    IFS=$'\t'
    # shellcheck disable=SC2086 # fields are words
    "$verb" $REPLY
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

__gpu_lay_out() { # KIND FIELD…: a line for people; with the caller's is_gone only what may still be so of a dead node
  local words
  case $1 in
    wait) # name code english chinese; most lines are of these
      [ -z "$is_gone" ] || return 0
      told=$((told + 1)) words=$4
      [ -z "$__gpu_zh" ] || words=$5
      printf '  waits %s: %s\n' "$2" "$words"
      return 0 ;;
    agent) # protocol node incarnation state default-gpus left-s code english chinese
      words=''
      if __gpu_number "$7" && [ "$5" != stopped ]; then __gpu_age "$7"; words=", ends in $REPLY"; fi
      [ -n "$is_gone" ] || printf 'node %s  %s%s\n' "$3" "$5" "$words"
      __gpu_sentence "$9" "${10}"
      case $REPLY in '' | -) ;; *) printf '  %s\n' "$REPLY" ;; esac
      return 0 ;;
    note) [ -z "$2" ] || printf '  note: %s\n' "$2"; return 0 ;;
    try) # claim stage gpus seconds limit-s ending name
      __gpu_try_words "$4" "$5" "$6" "$7"
      printf '  %-8s %s  %s\n' "$3" "$2" "$REPLY"
      return 0 ;;
  esac
  [ -z "$is_gone" ] || return 0
  case $1 in
    gpu) # index uuid state utilization used total power name problem
      busy=$4
      __gpu_size "$6"; words=$REPLY
      __gpu_size "$7"
      set -- "$2" "$4" "${5/#-/?}" "$words" "$REPLY" "$8" "$9${10:+  ${10}}"
      if __gpu_number "$6"; then printf '  GPU %-2s %-8s %3s%%  %6s of %-6s  %4s W  %s\n' "${@:1:6}" "${7%  -}"
      else printf '  GPU %-2s %-8s %3s%%  %6s of %-6s  %s\n' "${@:1:5}" "${7%  -}"
      fi ;;
    keepalive)
      if __gpu_keeps "$@"; then printf '         keep-alive %s\n' "$REPLY"; fi ;;
    watch) # node tries beating silent-s left-s
      __gpu_watch_words "$3" "$4" "$5" "$6"
      printf '  watches %s: %s\n' "$2" "$REPLY" ;;
    waiting)
      if __gpu_number "$2" && [ "$2" -gt "$told" ]; then printf '  … and %s more wait\n' $(($2 - told)); fi ;;
  esac
}

__gpu_try_words() { # GPUS SECONDS LIMIT ENDING: REPLY = "GPU 0,1  3m20s of 4h00m  (stopped)"
  local words="GPU $1"
  if __gpu_number "$2"; then __gpu_age "$2"; words+="  $REPLY"; fi
  if __gpu_number "$3"; then __gpu_age "$3"; words+=" of $REPLY"; fi
  [ "${4:--}" = - ] || words+="  ($4)"
  REPLY=$words
}

__gpu_watch_words() { # TRIES BEATING SILENT LEFT: what becomes of a silent node's tasks
  local words tasks
  __gpu_number "$1" && __gpu_number "$2" && __gpu_number "$3" && __gpu_number "$4" || { REPLY='not heard of'; return 0; }
  __gpu_age "$3"; words="not heard of for $REPLY"
  if [ "$1" -gt 0 ]; then
    if [ "$1" = 1 ]; then tasks='its task is'; else tasks="its $1 tasks are"; fi
    __gpu_age "$4"; words+="; $tasks taken over in $REPLY if it stays silent"
  fi
  if [ "$2" -gt 0 ]; then
    if [ "$2" = 1 ]; then tasks='1 task gives'; else tasks="$2 tasks give"; fi
    words+="; $tasks signs of life there and may go on"
  fi
  REPLY=$words
}

__gpu_keeps() { # keepalive FIELD…: REPLY = what it does with a GPU, in words; false where nothing is to be said
  # index state duty-percent held-bytes open spent-wh off-by reason; the caller's busy is the state of the GPU above
  [ "$3" != off ] || { [ "${9:--}" != - ] && [ "$busy" != busy ]; } || return 1
  local words=$3
  if __gpu_number "$4"; then
    words+=", duty $4%"
    [ "$6" != open ] || words+=' (not regulated: no utilisation reading)'
  fi
  if __gpu_number "$5" && [ "$5" -gt 0 ]; then __gpu_size "$5"; words+=", holds $REPLY"; fi
  if __gpu_number "$7" && [ "$7" -gt 0 ]; then
    REPLY=$(($7 + 1000)); words+=", $((REPLY / 1000 - 1)).${REPLY:${#REPLY}-3:2} kWh today"
  fi
  [ "${9:--}" = - ] || words+=", $9"
  REPLY=$words
}

# --- what a task asks for (docs/spool.md, "The record", rules 1 to 6; gpu_queue/spool/directives.py says the same) ----

__gpu_check() { # OPTION VALUE: fails, with the reason in REPLY, where nobody could obey it
  local form example
  case $1 in
    gpus) form='^[0-9]{1,4}(-[0-9]{1,4})?$' example='2 or 1-4' ;;
    memory) form='^[0-9]+(\.[0-9]+)? *[kmgtKMGT]?([iI]?[bB])?$' example='20G or 512M' ;;
    time) form='^([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?[dhmsDHMS])+)$' example='90s, 30m, 4h or 1d12h' ;;
    queue) form='^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}$' example='car: letters, digits, . _ + -' ;;
    retries) form='^[0-9]{1,4}$' example=2 ;;
    sbatch-time) form='^ *([0-9]{1,12}-)?[0-9]{1,12}(:[0-9]{1,12}){0,2} *$' example='30, 4:00:00 or 1-12:00:00' ;;
  esac
  REPLY="--${1#sbatch-} '$2' cannot be understood; for example $example"
  [[ $2 =~ $form ]] || return 1
  [ "$1" != gpus ] || { [ "$((10#${2%-*}))" -le "$((10#${2#*-}))" ] && [ "$((10#${2#*-}))" -le 1024 ]; }
}

__gpu_needs() { # TEXT [GIVEN]: REPLY = "<N or N-M> <devices or -> <rule> <words for people>"; or fails: "<word> <reason>"
  local text=${1:0:65536} given=${2-} IFS=$'\n' count='' duration='' sbatch='' slurm='' each='' tasks='' here='' lane='' words
  local value devices=, named=0 hides='' most=''
  set -f # the lines are split by IFS: no fork and no temporary file
  __gpu_head || { set +f; return 1; }
  if [ -z "$duration" ] && [ -n "$slurm" ] && ! __gpu_check sbatch-time "$slurm"; then
    REPLY="time #SBATCH $REPLY"
  elif [ -n "$given" ]; then REPLY="$given - given --gpus $given"
  elif [ -n "$count" ]; then REPLY="$count - gpuq #GPUQ --gpus $count"
  elif [ -n "$sbatch" ] && [ "${sbatch%% *}" -gt 1024 ]; then
    REPLY="gpus ${sbatch#* } is no number of GPUs that a task can have; at most 1024"
  elif [ -n "$sbatch" ]; then REPLY="${sbatch%% *} - sbatch ${sbatch#* }"
  elif case $text in *CUDA_VISIBLE_DEVICES=*) __gpu_body __gpu_visible ;; *) false ;; esac; then
    devices=${devices#,}; devices=${devices%,}
    REPLY="$named ${devices:--} cuda_visible_devices CUDA_VISIBLE_DEVICES=${devices:-$hides}"
  elif case $text in *--nproc[_-]per[_-]node*) __gpu_body __gpu_launcher nproc_per_node ;; *) false ;; esac; then :
  elif case $text in *--num[_-]processes*) __gpu_body __gpu_launcher num_processes ;; *) false ;; esac; then :
  elif case $text in *--num[_-]gpus*) __gpu_body __gpu_launcher num_gpus ;; *) false ;; esac; then :
  else REPLY='1 - default the default'
  fi
  set +f
  case $REPLY in time* | gpus*) return 1 ;; esac
  # Normal form: no leading zeros, N-N as N.
  count=${REPLY%% *} words=${REPLY#* }
  value=$((10#${count#*-})) count=$((10#${count%-*}))
  [ "$count" = "$value" ] || count=$count-$value
  REPLY="$count $words"
}

__gpu_lane() { # TEXT: REPLY = the serial queue that its #GPUQ lines name
  local text=$1 IFS=$'\n' count='' duration='' sbatch='' slurm='' each='' tasks='' here='' lane=''
  set -f
  __gpu_head || lane='' # it will be refused
  set +f
  REPLY=$lane
}

__gpu_head() { # into __gpu_needs's count, duration, sbatch ("<count> <words>") and slurm (a time) what its text says
  local line
  for line in $text; do
    line=${line%$'\r'}
    case $line in
      '#GPUQ' | '#GPUQ'[[:space:]]*) __gpu_gpuq "$line" || return ;;
      '#SBATCH'[[:space:]-]*) __gpu_sbatch "$line" ;; # sbatch asks for no blank before the first option
      '#'*) ;;
      *[![:space:]]*) break ;;
    esac
  done
  if [ -z "$sbatch" ] && [ -n "$each" ]; then
    tasks=${tasks:-${here:-1}}
    sbatch="$((${each%% *} * tasks)) ${each#* }, tasks: $tasks"
  fi
}

__gpu_gpuq() { # LINE of directives: into the caller's count, duration, lane
  local IFS=$' \t' name value line=${1#'#GPUQ'}
  # shellcheck disable=SC2086 # directives are words
  set -- ${line%%'#'*}
  while [ $# -gt 0 ]; do
    name=${1%%=*}
    case $name in
      --gpus | --memory | --queue | --time | --retries) ;;
      *) REPLY="option #GPUQ knows no $name; expected --gpus, --memory, --queue, --time or --retries"; return 1 ;;
    esac
    case $1 in
      *=*) value=${1#*=}; shift ;;
      *)
        [ $# -gt 1 ] || { REPLY="missing #GPUQ $name has no value"; return 1; }
        value=$2; shift 2 ;;
    esac
    case $value in \"*\" | \'*\') value=${value#?}; value=${value%?} ;; esac
    __gpu_check "${name#--}" "$value" || { REPLY="${name#--} #GPUQ $REPLY"; return 1; }
    case $name in --gpus) count=$value ;; --time) duration=$value ;; --queue) lane=$value ;; esac
  done
}

__gpu_sbatch() { # LINE: its options one by one to __gpu_slurm, as getopt_long and directives.py tell them apart
  local word option='' # that waits for its argument
  __gpu_tokens "${1#'#SBATCH'}"
  for word in "${reply[@]}"; do
    if [ -n "$option" ]; then __gpu_slurm "$option" "$word"; option=''; continue; fi
    case $word in
      --*=*) __gpu_slurm "${word%%=*}" "${word#*=}" ;;
      --account | --acctg-freq | --array | --batch | --bb | --bbf | --begin | --chdir | --checkpoint | --checkpoint-dir | \
        --cluster | --cluster-constraint | --clusters | --comment | --conn-type | --constraint | --container | \
        --container-id | --context | --core-spec | --cores-per-socket | --cpu-bind | --cpu-freq | --cpus-per-gpu | \
        --cpus-per-task | --deadline | --delay-boot | --dependency | --distribution | --error | --exclude | --export | \
        --export-file | --extra | --extra-node-info | --geometry | --gid | --gpu-bind | --gpu-freq | --gpus | \
        --gpus-per-node | --gpus-per-socket | --gpus-per-task | --gres | --gres-flags | --hint | --input | --job-name | \
        --jobid | --kill-on-invalid-dep | --licenses | --mail-type | --mail-user | --mcs-label | --mem | --mem-bind | \
        --mem-per-cpu | --mem-per-gpu | --mem-update | --mincpus | --network | --nodefile | --nodelist | --nodes | \
        --ntasks | --ntasks-per-core | --ntasks-per-gpu | --ntasks-per-node | --ntasks-per-socket | --ntasks-per-tres | \
        --open-mode | --output | --partition | --power | --prefer | --priority | --profile | --qos | --reservation | \
        --resources | --runtime | --segment | --signal | --sockets-per-node | --switches | --tasks | --tasks-per-node | \
        --thread-spec | --threads-per-core | --time | --time-min | --tmp | --tres-bind | --tres-per-task | --uid | \
        --wait-all-nodes | --wckey | --workdir | --wrap) option=$word ;;
      --*) ;;
      -*)
        word=${word#-}; word=${word#"${word%%[!HOQVWhsv]*}"} # flags
        case $word in
          [ABCDFGJLMNSabcdeimnopqtwx]) option=-$word ;;
          [ABCDFGJLMNSabcdeimnopqtwx]*) __gpu_slurm "-${word:0:1}" "${word:1}" ;;
        esac ;;
    esac
  done
}

__gpu_tokens() { # TEXT: reply = its words by sbatch's rules, where \ counts in '' too and # begins a comment anywhere
  local rest='' more=$1 word='' begun='' quote='' piece
  reply=()
  while :; do
    # A piece at a time: each of the steps below copies the rest.
    if [ ${#rest} -lt 2 ]; then rest+=${more:0:256}; more=${more:256}; fi
    case $quote in
      '') piece=${rest%%[[:space:]\\\"\'#]*} ;;
      \") piece=${rest%%[\\\"]*} ;;
      *) piece=${rest%%[\\\']*} ;;
    esac
    if [ -n "$piece" ]; then word+=$piece; rest=${rest:${#piece}}; begun=1; fi
    case $rest in
      '') [ -n "$more" ] || break ;;
      '#'*) break ;;
      \\) if [ -z "$more" ]; then rest='' begun=1; fi ;; # what it escapes comes with the next piece
      \\*) word+=${rest:1:1}; rest=${rest:2}; begun=1 ;;
      [\"\']*) if [ -n "$quote" ]; then quote=''; else quote=${rest:0:1}; fi; rest=${rest:1}; begun=1 ;;
      *) if [ -n "$begun" ]; then reply+=("$word"); fi; word='' begun='' rest=${rest:1} ;;
    esac
  done
  if [ -n "$begun" ]; then reply+=("$word"); fi
}

__gpu_slurm() { # OPTION VALUE: into __gpu_needs's sbatch, slurm, each (--gpus-per-task), tasks, here (per node)
  local said="#SBATCH $1 $2"
  case $1 in --*) said="#SBATCH $1=$2" ;; esac
  case $1 in
    --gpus | -G | --gpus-per-node) if __gpu_gres '' "$2"; then sbatch="$REPLY $said"; fi ;;
    --gres)
      if __gpu_gres gres "$2"; then sbatch="$REPLY $said"
      else case $sbatch in "${sbatch%% *} #SBATCH --gres="*) sbatch='' ;; esac # it stands in the place of an earlier one
      fi ;;
    --gpus-per-task) if __gpu_gres '' "$2"; then each="$REPLY $said"; fi ;;
    --ntasks | -n | --tasks) if __gpu_tally "$2"; then tasks=$REPLY; fi ;;
    --ntasks-per-node | --tasks-per-node) if __gpu_tally "$2"; then here=$REPLY; fi ;;
    --time | -t)
      case $2 in
        -1 | [Ii][Nn][Ff][Ii][Nn][Ii][Tt][Ee] | [Uu][Nn][Ll][Ii][Mm][Ii][Tt][Ee][Dd]) slurm='' ;;
        *) slurm=${2:-$slurm} ;;
      esac ;;
  esac
}

__gpu_tally() { # TEXT: REPLY = its number, from 9999 on all alike
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  REPLY=${1#"${1%%[!0]*}"}
  case $REPLY in '') REPLY=0 ;; ?????*) REPLY=9999 ;; esac
}

__gpu_gres() { # KIND LIST (a100:2,2080ti:1; of the kind gres gpu:a100:2,shard:1): REPLY = its GPUs; fails: it tells of none
  local IFS=, item total=''
  for item in $2; do
    if [ -n "$1" ]; then
      item=${item#gres[/:]}
      case $item in
        gpu) item=1 ;;
        gpu[:=]*) item=${item#gpu?} ;;
        *) continue ;;
      esac
    fi
    if ! __gpu_tally "${item##*[:=]}"; then
      case $item in '' | *: | [!A-Za-z0-9]* | *[!A-Za-z0-9_.:-]*) continue ;; esac
      REPLY=1 # a type alone
    fi
    total=$((total + REPLY))
  done
  REPLY=$total
  [ -n "$total" ]
}

__gpu_body() { # VERB…: VERB for every line of $text that is no comment, then whether it found anything
  local line # the rest is __gpu_needs's: text, what is found, IFS, set -f
  for line in $text; do
    case ${line#"${line%%[![:space:]]*}"} in
      '#'*) ;;
      *) "$@" "$line" ;;
    esac
  done
  [ -n "$hides$most" ] || [ "$named" -gt 0 ]
}

__gpu_visible() { # LINE: adds its literal lists of CUDA_VISIBLE_DEVICES to what __gpu_needs has found
  local rest=" $1" before value device IFS=,
  while case $rest in *CUDA_VISIBLE_DEVICES=*) true ;; *) false ;; esac; do
    before=${rest%%CUDA_VISIBLE_DEVICES=*}; rest=${rest#*CUDA_VISIBLE_DEVICES=}
    case $before in *[[:space:]\;\&\|\(]) ;; *) continue ;; esac
    case $rest in
      \"*\"*) value=${rest#?}; value=${value%%\"*} ;;
      \'*\'*) value=${rest#?}; value=${value%%\'*} ;;
      *) value=${rest%%[[:space:]\;\&\|\)]*} ;;
    esac
    value=${value#"${value%%[![:space:]]*}"}; value=${value%"${value##*[![:space:]]}"}
    case $value in
      '' | -1) hides=\'$value\'; continue ;;
      *[!0-9,]* | ,* | *,,* | *[0-9][0-9][0-9][0-9][0-9]*) continue ;;
    esac
    for device in $value; do
      device=$((10#$device))
      case $devices in *",$device,"*) ;; *) devices+=$device,; named=$((named + 1)) ;; esac
    done
  done
}

__gpu_launcher() { # OPTION LINE: the largest literal number that is given to it, spelled with _ or -
  local rest=" $2" before value option="--${1//_/[_-]}"
  # shellcheck disable=SC2295 # the option is a pattern
  while case $rest in *$option*) true ;; *) false ;; esac; do
    before=${rest%%$option*}; rest=${rest#*$option}
    case $before in *[[:space:]]) ;; *) continue ;; esac
    case $rest in
      =*) rest=${rest#=} ;;
      [[:space:]]*) rest=${rest#"${rest%%[![:space:]]*}"} ;;
      *) continue ;;
    esac
    rest=${rest#[\"\']}; value=${rest%%[!0-9]*}
    rest=${rest#"$value"}; rest=${rest#[\"\']}
    case $value in '' | ?????*) continue ;; esac
    case $rest in
      '' | [[:space:]\;\&\|\)\\]*)
        if [ -z "$most" ] || [ $((10#$value)) -gt $((10#$most)) ]; then most=$value; fi
        REPLY="$most - $1 --$1 $most"
        ;;
    esac
  done
}

__gpu_asks() { # NEEDS: "2 GPUs (torchrun …)" from what __gpu_needs says
  local count=${1%% *} rest=${1#* } devices words
  devices=${rest%% *}; rest=${rest#* }; words=${rest#* }
  case $count in
    0) count='no GPU' ;;
    1) count='1 GPU' ;;
    *-*) count="${count%-*} to ${count#*-} GPUs" ;;
    *) count="$count GPUs" ;;
  esac
  case $devices in
    -) ;;
    *,*) count="GPUs $devices" ;;
    *) count="GPU $devices" ;;
  esac
  REPLY="$count ($words)"
}

# --- submitting ----------------------------------------------------------------------------------------------------

__gpu_submit() {
  local files=() texts=() asks=() needs='' name='' priority='' given='' after='' file index
  __gpu_options "$@" || return
  # A number at the end is a priority, unless a file is called so.
  index=$((${#files[@]} - 1))
  if [ "$index" -ge 0 ] && [ ! -e "${files[index]}" ] && __gpu_is_priority "${files[index]}"; then
    priority=$((10#${files[index]}))
    files=("${files[@]:0:$index}")
  fi
  [ ${#files[@]} -gt 0 ] || { __gpu_usage 'which script? gpu_submit FILE… [PRIORITY]; gpu_help shows the options'; return; }
  [ -z "$name" ] || [ ${#files[@]} -eq 1 ] || { __gpu_usage '--name is for one script'; return; }
  for file in "${files[@]}"; do # everything is looked at before anything is queued
    __gpu_take "$file" || return
  done
  __gpu_finish_submit
}

__gpu_run() {
  local files=() texts=() asks=() needs='' name='' priority='' given='' after='' command
  __gpu_options "$@" || return
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
  __gpu_needs "${texts[0]}" "$given" || { __gpu_fail '%s; nothing was submitted' "${REPLY#* }"; return; }
  asks=("$REPLY")
  __gpu_finish_submit
}

__gpu_is_priority() { case $1 in [0-9] | [0-9][0-9] | [0-9][0-9][0-9]) ;; *) return 1 ;; esac; }

__gpu_options() { # ARGUMENT…: into the caller's files, needs, name, priority, given (GPUs), after (names)
  local option value
  while [ $# -gt 0 ]; do
    case $1 in
      --) shift; files+=("$@"); return 0 ;;
      --?*) option=${1%%=*} ;;
      *) files+=("$1"); shift; continue ;;
    esac
    case $option in
      --gpus | --memory | --queue | --time | --retries | --name | --after | --priority) ;;
      *) __gpu_usage 'there is no option %s; gpu_help shows them' "$option"; return ;;
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
        [ "$option" != --gpus ] || given=$value
        needs+="${needs:+, }\"${option#--}\": \"$value\"" ;;
    esac
  done
}

__gpu_take() { # FILE: look at it; into the caller's texts and asks
  local file=$1 why='' text
  if [ ! -e "$file" ]; then why='there is no such file'
  elif [ -d "$file" ]; then why='is a directory'
  elif [ ! -f "$file" ]; then why='is no regular file'
  elif [ ! -s "$file" ]; then why='is empty'
  else
    __gpu_read "$file"
    case $? in 1) why='cannot be read' ;; 2) why='is a binary, no script' ;; esac
    text=$REPLY
    if [ ${#text} -ge 1048576 ]; then # bash reads no more of it
      REPLY=$(command stat -L -c %s -- "$file" 2>/dev/null)
      [ "${REPLY:-0}" -le 16777216 ] || why="has $REPLY bytes; a script has at most 16777216"
    fi
    [ -n "$why" ] || __gpu_needs "$text" "$given" || why="asks for what cannot be: ${REPLY#* }"
  fi
  [ -z "$why" ] || { __gpu_fail '%s: %s; nothing was submitted' "$file" "$why"; return; }
  texts+=("$text") asks+=("$REPLY")
}

__gpu_finish_submit() { # publish the caller's texts, some hundred at a time: a command line has its limits
  local cwd=$PWD from=0 default=1
  priority=$((${priority:-500} + 1000)); priority=${priority#1}
  __gpu_enter make || return
  __gpu_after || return
  case " ${asks[*]} " in *' - default '*) __gpu_default; default=$REPLY ;; esac
  while [ "$from" -lt ${#files[@]} ]; do
    __gpu_publish "$from" $((from + 200)) || return
    from=$((from + 200))
  done
  # Many files in one call may have stamps ahead of the clock; the next call must not get lower ones.
  __gpu_ms
  from=$((__gpu_last_ms - REPLY))
  if [ "$from" -gt 0 ]; then from=$((from + 1001)); command sleep "$((from / 1000 - 1)).${from:${#from}-3}"; fi
  __gpu_somebody || __gpu_say 'no agent serves %s yet; start one with ./submit.sh %s' "$JOB_ID" "$JOB_ID"
}

__gpu_somebody() { # whether there may be an agent: it is asked after every submission, and starts no process
  local file incarnation left=20
  for file in nodes/*.json; do
    left=$((left - 1)) file=${file#nodes/}
    [ "$left" -gt 0 ] || return 0
    __gpu_state "${file%.json}"
    case $REPLY in stopped | none | 'protocol '*) ;; *) return 0 ;; esac
  done
  return 1
}

__gpu_default() { # REPLY = the GPUs that a script gets which says nothing, as the newest living agent has it; else 1
  local fields=()
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then REPLY=1
  elif __gpu_read "nodes/${reply[0]}.tsv" 4096; then __gpu_fields "${REPLY%%$'\n'*}"; REPLY=${fields[5]-}
  else __gpu_record "nodes/${reply[0]}.json" && __gpu_field "$REPLY" default_gpus || REPLY=1
  fi
  case $REPLY in '' | *[!0-9]* | ?????*) REPLY=1 ;; esac
}

__gpu_after() { # what --after named becomes ids in the caller's needs
  local rest=$after ids=''
  while [ -n "$rest" ]; do
    __gpu_one "${rest%%$'\n'*}" 'pending running' 'done failed' || return
    __gpu_strip "$REPLY"
    __gpu_is_full "$REPLY" || { __gpu_fail '--after %s: it was dropped by hand and has no id before it runs' "$REPLY"; return; }
    ids+="${ids:+, }\"${REPLY#????}\""
    rest=${rest#*$'\n'}
  done
  [ -z "$ids" ] || needs+="${needs:+, }\"after\": [$ids]"
  # A record has at most 64 KiB, and some of that is for the names of the script and its directory.
  [ ${#needs} -le 49152 ] || __gpu_fail '--after names too many tasks; have one task wait for some of them, and this one for that'
}

__gpu_publish() { # FROM TO: these of the caller's files: records, then scripts, synced, then the rename that commits
  local index=$1 stage='' title id stamp me file script record scripts=() records=() fulls=() where=0 lost=()
  { [ -d pending ] && [ -d records ]; } || command mkdir -p -- pending records 2>/dev/null # somebody has tidied up
  __gpu_me
  __gpu_json "${REPLY%@*}"; me="\"user\": $REPLY"
  __gpu_json "${HOSTNAME:-${HOST:-}}"; me+=", \"host\": $REPLY"
  __gpu_json "$cwd"; me="\"cwd\": $REPLY, $me"
  if [ ${#files[@]} -gt 1 ]; then
    __gpu_nonce 12; stage=pending/.$REPLY
    command mkdir -- "$stage" 2>/dev/null || { __gpu_unwritten "$stage"; return; }
  fi
  while [ "$index" -lt "$2" ] && [ "$index" -lt ${#files[@]} ]; do
    file=${files[index]}
    title=${name:-${file##*/}}
    __gpu_stamp; stamp=$REPLY
    __gpu_nonce 6; id=$stamp-$REPLY
    __gpu_safe_name "$title"; id+=-$REPLY
    record="{\"protocol\": 1, \"id\": \"$id\""
    __gpu_json "$title"; record+=", \"name\": $REPLY"
    if [ -n "$file" ]; then
      case $file in /*) ;; *) file=$cwd/${file#./} ;; esac
      __gpu_json "$file"; record+=", \"path\": $REPLY"
    fi
    record+=", $me, \"submitted_at\": \"${stamp:0:4}-${stamp:4:2}-${stamp:6:5}:${stamp:11:2}:${stamp:13:2}Z\""
    record+="${needs:+, \"needs\": {$needs\}}}"
    script=pending/.$id
    if [ -n "$stage" ]; then script=$stage/$priority-$id; fi
    fulls+=("$priority-$id") scripts+=("$script") records+=("records/$id.json")
    __gpu_write "records/$id.json" "$record"$'\n' && __gpu_script "$script" "${texts[index]}" "$file" ||
      { __gpu_unwritten "$script"; return; }
    index=$((index + 1))
  done
  __gpu_sync "${records[@]}" "${scripts[@]}" || { __gpu_unwritten "$script"; return; }
  if [ -z "$stage" ]; then
    __gpu_move "$script" "pending/${fulls[0]}" || where=1
  else
    __gpu_move_all pending "${scripts[@]}" || where=1
    command rmdir -- "$stage" 2>/dev/null
  fi
  for ((index = 0; index < ${#fulls[@]}; index++)); do
    id=${fulls[index]#????} file=${files[$1 + index]}
    # Not in pending/ after an error: perhaps an agent was faster.
    if [ "$where" -ne 0 ] && ! __gpu_where "$id"; then lost+=("${fulls[index]}"); continue; fi
    printf '%s\n' "${fulls[index]}"
    __gpu_asks "${asks[$1 + index]/#1 - default /$default - default }"
    title=${name:-${file##*/}} stamp=${id#*-}
    __gpu_say '%s: queued as %s, priority %s, asks for %s' "$title" "${stamp%%-*}" "$priority" "$REPLY"
  done
  [ ${#lost[@]} -gt 0 ] || return 0
  scripts=() records=() # of the others are in use
  for script in "${lost[@]}"; do
    if [ -z "$stage" ]; then scripts+=("pending/.${script#????}"); else scripts+=("$stage/$script"); fi
    records+=("records/${script#????}.json")
  done
  __gpu_unwritten "pending/${lost[0]}"
}

__gpu_sync() { # FILE…: on the disk; many at the same time, so that a journal writes them together
  if [ $# -le 8 ]; then command sync -- "$@" 2>/dev/null
  else printf '%s\n' "$@" | command xargs -d '\n' -P 8 -n $((($# + 7) / 8)) sync -- 2>/dev/null # our own names: no newline
  fi
}

__gpu_script() { # TARGET TEXT FILE: the script as it is; one that was not read whole is copied
  if [ ${#2} -lt 1048576 ]; then __gpu_write "$1" "$2"; else command cat -- "$3" >"$1" 2>/dev/null; fi
}

__gpu_unwritten() { # PATH: take back the caller's records and scripts that are not committed
  command rm -f -- "${scripts[@]}" 2>/dev/null
  [ ${#fulls[@]} -eq 0 ] || command rm -f -- "${records[@]}" 2>/dev/null
  [ -z "$stage" ] || command rmdir -- "$stage" 2>/dev/null
  __gpu_advice "$1" records/x
  __gpu_fail '%s/%s could not be written, so it is not queued; %s' "$PWD" "$1" "$REPLY"
}

__gpu_advice() { # PATH…: REPLY = what to do where one of them could not be written, by what can be seen there
  local directory
  for directory in "${@%/*}"; do
    case $directory in pending/.*) directory=pending ;; esac
    REPLY="$PWD/$directory"
    if [ ! -e "$directory" ] && [ ! -L "$directory" ]; then
      REPLY+=' is missing: an agent of this queue makes it again within seconds, and so may you'
    elif [ -L "$directory" ] || [ ! -d "$directory" ]; then
      REPLY+=' should be a directory, and is none: move it away, and it is made again'
    elif [ ! -w "$directory" ]; then
      REPLY="you may not write into $REPLY"
    else
      continue
    fi
    return 0
  done
  REPLY='check that the storage is not full'
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

__gpu_list() {
  local root spool mark
  __gpu_home; root=$REPLY
  __gpu_cd "$root" || { __gpu_fail 'there is no %s yet; gpu_submit makes it, or set QUEUE_ROOT to where the queues lie' "$root"; return; }
  printf '  %-24s %8s %8s %8s\n' instance waiting running agents
  for spool in */; do
    spool=${spool%/}
    __gpu_cd "$root/$spool" && [ -e PROTOCOL ] || continue
    mark=' '
    if [ "$spool" = "${JOB_ID-}" ]; then mark='*'; fi
    __gpu_count
    __gpu_put '%s %-24s %8s %8s %8s\n' "$mark" "$spool" "$waiting" "$running" "$agents"
  done
}

__gpu_count() { # of this spool: waiting, running, agents
  __gpu_tasks pending; waiting=${#reply[@]}
  __gpu_drops "$waiting"; waiting=$((waiting + ${#reply[@]}))
  __gpu_tasks running; running=${#reply[@]}
  __gpu_living; agents=${#reply[@]}
}

__gpu_beat() { # NODE NOW: REPLY = seconds since its beat; whether that is a living agent
  REPLY=$(command stat -c %Y -- "nodes/$1.json" 2>/dev/null) || REPLY=0
  REPLY=$(($2 - REPLY))
  [ "$REPLY" -le 90 ]
}

__gpu_status() {
  local bold='' red='' plain='' text
  case ${1-} in
    '' | --watch) ;;
    *) __gpu_usage 'there is no option %s; gpu_status [--watch]' "$1"; return ;;
  esac
  if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m'; fi
  __gpu_enter || return
  if [ -z "${1-}" ]; then __gpu_picture; return; fi
  while :; do # Ctrl-C ends it
    text=$(__gpu_picture)
    if [ -t 1 ]; then printf '\033[H\033[2J'; fi
    printf '%s\n\n' "$text"
    command sleep 2
  done
}

__gpu_picture() {
  local flag file node text now incarnation alive=0 state count skipped ignored priority id nonce title stopped='' old=0 told is_gone busy=''
  local i quiet=0 more=0 near=() fields
  typeset -A ages
  __gpu_put "$bold%s$plain  %s\n" "$JOB_ID" "$PWD"
  for flag in paused draining keepalive-off; do
    __gpu_who "$flag" || continue
    text=gpu_resume state=$flag
    if [ "$flag" = keepalive-off ]; then text='gpu_keepalive on' state='keep-alive is off'; fi
    __gpu_put "$red%s$plain%s; %s ends it\n" "$state" "${REPLY:+: $REPLY}" "$text"
  done
  __gpu_clock control; now=$REPLY
  __gpu_pages
  for ((i = 0; i < ${#reply[@]}; i++)); do # of those that are silent the newest
    node=${reply[i]}; ages[$node]=$((now - beats[i]))
    if [ "${ages[$node]}" -gt 90 ]; then quiet=$((quiet + 1)); fi
    if [ "$quiet" -gt 20 ]; then more=$((more + 1)); else near+=("$node"); fi
  done
  [ ${#near[@]} -eq 0 ] || __gpu_lines printf '%s\n' "${near[@]}"
  for node in "${reply[@]}"; do
    __gpu_state "$node"
    state=$REPLY REPLY=${ages[$node]}
    case $state in
      'protocol '*) __gpu_put '\nnode %s speaks %s; use the client that came with it\n' "$node" "$state"; continue ;;
    esac
    if [ "$REPLY" -le 90 ] && [ "$state" != stopped ]; then
      alive=$((alive + 1))
      printf '\n'; told=0 is_gone=''
      __gpu_each "$node" __gpu_lay_out ||
        __gpu_put 'node %s  %s\n  its agent is of another version, whose page cannot be shown\n' "$node" "$state"
      continue
    fi
    if [ "$state" = stopped ] && [ "$REPLY" -gt 86400 ]; then old=$((old + 1)); continue; fi
    __gpu_age "$REPLY"
    if [ "$state" = stopped ]; then stopped+="node $node  stopped $REPLY ago"$'\n'; continue; fi
    __gpu_put "\nnode %s  ${red}last beat %s ago: its agent seems to be gone$plain\n" "$node" "$REPLY"
    is_gone=yes
    __gpu_each "$node" __gpu_lay_out
  done
  if [ "$more" -gt 0 ]; then
    __gpu_plural "$more" node
    printf "\n${red}and %s more without a sign of life$plain\n" "$REPLY"
  fi
  more=0
  __gpu_dead
  if [ "$old" -gt 0 ]; then __gpu_plural "$old" node; stopped+="${stopped:+and }$REPLY gone for more than a day"$'\n'; fi
  if [ "$more" -gt 0 ]; then __gpu_plural "$more" node; stopped+="and $REPLY more gone"$'\n'; fi
  [ -z "$stopped" ] || printf '\n%s' "$stopped"
  __gpu_tasks pending
  count=${#reply[@]}
  printf '\n%swaiting%s %s\n' "$bold" "$plain" "$count"
  for file in "${reply[@]:0:20}"; do
    __gpu_split "$file"
    printf '  %s  %s  %s\n' "$priority" "$nonce" "$title"
  done
  [ ${#reply[@]} -le 20 ] || printf '  … and %s more\n' $((${#reply[@]} - 20))
  __gpu_drops "$count"; skipped=${REPLY% *} ignored=${REPLY#* }
  [ ${#reply[@]} -eq 0 ] || printf '%sdropped by hand%s %s\n' "$bold" "$plain" "${#reply[@]}"
  for file in "${reply[@]:0:20}"; do
    file=${file#pending/}
    __gpu_put '  settling or waiting  %s\n' "$file"
  done
  [ "$ignored" -eq 0 ] || printf '  %s ignored: directories, links and whatever else is no regular file are not run\n' "$ignored"
  [ "$skipped" -eq 0 ] || printf '  %s skipped: dot-files, *~, *.tmp and *.swp are not run\n' "$skipped"
  __gpu_tasks running
  printf '%srunning%s %s\n' "$bold" "$plain" "${#reply[@]}"
  for file in "${reply[@]}"; do
    __gpu_split "$file"
    node=${file#running/}; node=${node%/*} text=${file##*.try}
    case $text in *=*) count=', has ended' ;; *) count='' ;; esac
    __gpu_put '  %s  %s  %s  on %s, try %s%s\n' "$priority" "$nonce" "$title" "$node" "${text%%.*}" "$count"
  done
  # Counted by an unsorted listing: a hundred thousand names take a moment, sorted by a shell they take a second.
  for state in 'done' failed; do
    count=$(command ls -U -- "$state" 2>/dev/null | command wc -l)
    printf '%s%s%s %s\n' "$bold" "$state" "$plain" $((count))
  done
  [ "$alive" -gt 0 ] || __gpu_put "\n${red}no agent is alive$plain; start one with ./submit.sh %s\n" "$JOB_ID"
}

__gpu_dead() { # nodes that were put away: into the caller's stopped, old and more; ten pages are looked at
  local node i text incarnation seen=0 pages=()
  __gpu_pages gone/; pages=("${reply[@]}")
  for ((i = 0; i < ${#pages[@]}; i++)); do
    node=${pages[i]}
    if [ $((now - beats[i])) -gt 86400 ]; then old=$((old + ${#pages[@]} - i)); break; fi
    if [ "$seen" -eq 10 ]; then more=$((more + 1)); continue; fi
    if [ -e "nodes/$node.json" ]; then continue; fi # it has come back
    seen=$((seen + 1))
    __gpu_state "gone/$node"
    if [ "$REPLY" = stopped ]; then
      __gpu_age $((now - beats[i])); stopped+="node $node  stopped $REPLY ago"$'\n'
    else
      text=$(command date -d "@${beats[i]}" '+%Y-%m-%d %H:%M:%S' 2>/dev/null)
      stopped+="node $node  dead since $text"$'\n'
    fi
  done
}

__gpu_logs_of() { # ID: reply = the logs of its tries in order; pipes and links are none
  local file numbered=() number=1 found=()
  if __gpu_is_script "logs/$1.log"; then found=("logs/$1.log"); fi
  numbered=(logs/"$1".try*.log)
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
      __gpu_strip "000-${file%.log}"
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
    __gpu_strip "000-${file%.log}"
    file=${paths[${REPLY#????}]-}
    if [ -n "$file" ]; then REPLY=$file; return 0; fi
  done
  REPLY=${paths[$best]}
}

__gpu_shown() { # PATH in the spool: whole, as one can paste it
  __gpu_quote "$PWD/$1"
}

__gpu_why() { # NAME in pending/: reply = why it waits, as each living node says; REPLY = the same in one line;
  local node said=() joined='' fields # what of it does not change by the second into the caller's same
  same=''
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then REPLY="no agent is alive; start one with ./submit.sh $JOB_ID"; return 1; fi
  for node in "${reply[@]}"; do
    __gpu_line "$node" wait "$1" || continue
    __gpu_fields "$REPLY"
    __gpu_sentence "${fields[1]}" "${fields[2]}"
    said+=("$node: $REPLY"); joined+="${joined:+; }$node: $REPLY"
    case ${fields[0]} in
      backoff | not_started | lifetime) same+="$node ${fields[0]};" ;; # the same reason with less time left
      *) same+="$node $REPLY;" ;;
    esac
  done
  reply=("${said[@]}"); REPLY=$joined
}

__gpu_logs() {
  local file task priority id nonce title same i
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
  __gpu_logs_of "$id"
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

__gpu_begin_ticks() { # tick = how 30 ms pass without a fork: a descriptor from which nothing comes, or zsh's own; or none
  tick=none
  __gpu_is_local || return 0
  if [ -n "${ZSH_VERSION-}" ]; then
    if zmodload zsh/zselect 2>/dev/null; then tick=zsh; fi
  elif eval 'exec {line}<> <(:)' 2>/dev/null; then # open for writing as well, so it never ends; bash --posix could not parse it
    tick=$line
  fi
}

__gpu_tail() {
  local priority id nonce title log='' shown=0 size pause=0.2 absent=0 task why='' turn=0 full tick=''
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
    __gpu_logs_of "$id"
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
    [ ${#ids[@]} -gt 0 ] || { __gpu_fail 'no task in %s is in the queue %s' 'pending running' "$queue"; return; }
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
    case $file in *[*?[]*)
      __gpu_find "$file" pending running 'done' failed
      if [ -n "$is_part" ] || [ ${#reply[@]} -ne 1 ]; then # else a script is called so
        __gpu_fitting "$file" pending running
        [ ${#reply[@]} -gt 0 ] || __gpu_fitting "$file" 'done' failed # it may have been quick
        id=$file left=("${reply[@]}")
        for fitting in "${left[@]}"; do __gpu_wait_for "$fitting"; done
        [ ${#left[@]} -gt 0 ] || { __gpu_fail "no task fits '%s'; gpu_status and gpu_logs show what there is" "$id"; return; }
        left=()
        continue
      fi ;;
    esac
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
    done/*) printf 'done %s\n' "${1#*/}" ;;
    failed/*) printf 'failed %s\n' "${1#*/}"; result=1 ;;
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

__gpu_explain() {
  local task file nodes=() gone=() same
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
  if __gpu_why "$file" && [ ${#reply[@]} -gt 0 ]; then __gpu_put '%s\n' "${reply[@]}"; return 0; fi
  __gpu_nodes; nodes=("${reply[@]}")
  if [ ${#nodes[@]} -gt 0 ]; then
    __gpu_json "$file"
    __gpu_post explain ", \"tasks\": [$REPLY]" "${nodes[@]}" || return
    __gpu_await "$REPLY" "${nodes[@]}"
  fi
  [ ${#gone[@]} -lt ${#nodes[@]} ] || __gpu_put 'no agent is alive; start one with ./submit.sh %s\n' "$JOB_ID"
}

__gpu_explain_running() { # PATH of a claim
  local priority id nonce title try node=${1#running/} claim=${1##*/} now where='' fields
  node=${node%%/*} claim=${claim%%=*}
  __gpu_called "$1"; __gpu_try "$1"; try=$REPLY
  __gpu_clock control; now=$REPLY
  if __gpu_beat "$node" "$now"; then
    if __gpu_line "$node" try "$claim"; then
      __gpu_fields "$REPLY"
      __gpu_try_words "${fields[1]}" "${fields[2]}" "${fields[3]}" "${fields[4]}"
      where=", ${REPLY/  /, for }"
    fi
  elif [ -e "nodes/$node.json" ]; then
    __gpu_age "$REPLY"; where=", whose last beat was $REPLY ago"
    __gpu_watched "$node"; where+="; $REPLY"
  fi
  case $1 in *=*) __gpu_put '%s (%s) has ended on %s, try %s%s; an agent moves it on\n' "$title" "$nonce" "$node" "$try" "$where"; return ;; esac
  __gpu_put '%s (%s) runs on %s, try %s%s; gpu_tail %s follows its log\n' "$title" "$nonce" "$node" "$try" "$where" "$nonce"
}

__gpu_watched() { # NODE that is silent: REPLY = what becomes of its tasks, as a living node says
  local node fields
  __gpu_living
  if [ ${#reply[@]} -eq 0 ]; then REPLY="no agent is alive to take it over; start one with ./submit.sh $JOB_ID"; return; fi
  for node in "${reply[@]}"; do
    __gpu_line "$node" watch "$1" || continue
    __gpu_fields "$REPLY"
    __gpu_watch_words "${fields[0]}" "${fields[1]}" "${fields[2]}" "${fields[3]}"
    REPLY="$node watches it: $REPLY"
    return
  done
  REPLY="gpu_forget $1 gives it up at once, should it be dead"
}

__gpu_try() { REPLY=${1##*.try}; REPLY=${REPLY%%.*}; } # NAME of a claim or of what belongs to it: the try's number

__gpu_explain_end() { # PATH in done/ or failed/
  local priority id nonce title file number=0 last='' outcome='' reason='' to=''
  __gpu_called "$1"
  for file in records/"$id".try*.json; do
    __gpu_try "$file"
    case $REPLY in '' | *[!0-9]*) continue ;; esac
    if [ "$REPLY" -ge "$number" ]; then number=$REPLY last=$file; fi
  done
  if [ -n "$last" ] && __gpu_record "$last"; then
    file=$REPLY
    __gpu_field "$file" outcome && outcome=$REPLY
    __gpu_field "$file" reason && reason=$REPLY
    __gpu_field "$file" to && to=$REPLY
  fi
  case $1 in
    done/*) __gpu_put '%s (%s) is done%s\n' "$title" "$nonce" "${outcome:+: $outcome}" ;;
    *)
      outcome="has failed${outcome:+: $outcome}${reason:+, $reason}"
      [ -n "$last" ] || outcome='has failed: cancelled while it waited, or never started'
      [ "$to" != pending ] || outcome="was cancelled while it waited, after try $number" # that one went back to pending/
      __gpu_put '%s (%s) %s; gpu_retry %s queues it again\n' "$title" "$nonce" "$outcome" "$nonce" ;;
  esac
  __gpu_logs_of "$id"
  [ ${#reply[@]} -gt 0 ] || return 0
  file=${reply[${#reply[@]} - 1]}
  __gpu_shown "$file"
  __gpu_put 'the end of %s\n' "$REPLY"
  __gpu_end "$file"
}

# --- steering ------------------------------------------------------------------------------------------------------

__gpu_cancel() {
  local names=() queue='' yes='' file waiting=() result=0
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
    [ -n "${missing[$file]-}" ] || printf 'cancelled %s\n' "${file#pending/}"
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
    *) __gpu_fail 'it has ended already: %s' "$1" ;;
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
  printf 'cancelled %s\n' "$file"
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
  local names=() queue='' yes='' file new waiting=() result=0 last
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

__gpu_priority_one() { # PATH in pending/
  local task=$1 file
  __gpu_reranked "${task#pending/}"; file=$REPLY
  [ "$task" != "pending/$file" ] || { __gpu_put '%s\n' "$file"; return 0; }
  ! __gpu_listed pending "$file" || { __gpu_fail 'pending/%s is there already; give one of them another name' "$file"; return; }
  if __gpu_move_new "$task" "pending/$file"; then __gpu_put '%s\n' "$file"; return 0; fi
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
    if __gpu_is_full "$REPLY" && [ -n "${there[pending/$REPLY]-}" ]; then __gpu_put '%s\n' "$REPLY"
    else __gpu_priority_one "$file" || result=1
    fi
  done
  return "$result"
}

__gpu_stop() {
  local names=() queue='' yes='' task ids=() nodes=() waiting=() chosen=() result=0
  __gpu_wishes "$@" || return
  [ -n "${names[*]}$queue" ] || { __gpu_usage 'which task? gpu_stop TASK… or gpu_stop all; gpu_status shows them'; return; }
  __gpu_enter || return
  __gpu_meant 'pending running' 'pending running' 'done failed' || return
  for task in "${reply[@]}"; do
    case $task in done/* | failed/*) __gpu_moved_on "$task"; result=1 ;; *) chosen+=("$task") ;; esac
  done
  __gpu_ask 'gpu_stop ends %s tasks, and cancels those that wait:' "${chosen[@]}" || return
  case " ${names[*]} " in
    *' all '*)
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
  [ ${#waiting[@]} -eq 0 ] || { __gpu_plural ${#waiting[@]} 'waiting task'; printf 'cancelled %s\n' "$REPLY"; }
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
  local names=() queue='' yes='' tasks=() start file cancelled=0 counted=''
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
  if [ "${names[*]}" = all ] || [ ${#tasks[@]} -gt 1 ]; then
    counted=yes
    __gpu_tried # before an agent tries them again
    for file in "${tasks[@]}"; do
      [ -n "${tried[${file#failed/????}]-}" ] || cancelled=$((cancelled + 1))
    done
  fi
  for ((start = 0; start < ${#tasks[@]}; start += 500)); do
    __gpu_move_all pending "${tasks[@]:$start:500}" || __gpu_still_failed || return
  done
  printf '%s\n' "${tasks[@]#failed/}"
  [ -n "$counted" ] || return 0
  __gpu_plural ${#tasks[@]} task
  if [ "$cancelled" -gt 0 ]; then REPLY+=", $cancelled of which had been cancelled"; fi
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

__gpu_pause() { __gpu_enter && __gpu_flag paused "$@" && printf 'paused; gpu_resume ends it\n'; }

__gpu_drain() { __gpu_enter && __gpu_flag draining "$@" && printf 'draining; gpu_resume ends it\n'; }

__gpu_resume() {
  [ $# -eq 0 ] || { __gpu_usage 'it takes no argument'; return; }
  __gpu_enter || return
  __gpu_lift paused draining || return
  printf 'resumed\n'
}

__gpu_shutdown() {
  local wait=false nodes=() gone=() node meant=' ' incarnation
  case ${1-} in '') ;; --wait) wait=true ;; *) __gpu_usage 'there is no option %s; gpu_shutdown [--wait]' "$1"; return ;; esac
  __gpu_enter || return
  __gpu_nodes; nodes=("${reply[@]}")
  [ ${#nodes[@]} -gt 0 ] || { __gpu_fail 'no agent is alive in %s, so there is nothing to shut down' "$JOB_ID"; return; }
  __gpu_post shutdown ", \"wait\": $wait" "${nodes[@]}" || return
  __gpu_await "$REPLY" "${nodes[@]}"
  for node in "${gone[@]}"; do
    __gpu_state "$node"
    case $REPLY/$meant in
      stopped/* | none/* | *" $node/$incarnation "*) __gpu_say '%s: no agent is alive there' "$node" ;;
      *) __gpu_say '%s: that agent is gone, and another one serves there by now; gpu_shutdown ends it' "$node" ;;
    esac
  done
  [ ${#gone[@]} -lt ${#nodes[@]} ]
}

__gpu_forget() {
  local wanted='' force='' node file now age state incarnation claims=() ended=() priority id nonce title
  for file in "$@"; do
    case $file in
      --force) force=yes ;;
      -*) __gpu_usage 'there is no option %s; gpu_forget NODE [--force]' "$file"; return ;;
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
          pending/*) printf '%s (%s) waits again\n' "$title" "$nonce" ;;
          *) printf '%s (%s) is %s\n' "$title" "$nonce" "${REPLY%%/*}" ;;
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
  [ -n "$dry" ] || __gpu_papers
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
  __gpu_plural "$count" task
  if [ -n "$dry" ]; then __gpu_say '%s would be forgotten' "$REPLY"; else __gpu_say '%s forgotten' "$REPLY"; fi
  return "$result"
}

__gpu_papers() { # into the caller's papers: by id the records and logs of tries that have their number in their names
  local file name number
  __gpu_lines find records logs -maxdepth 1 -name '*.try[0-9]*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].*' ! -name '*[!A-Za-z0-9._+-]*'
  for file in "${reply[@]}"; do
    name=${file#*/} number=${file##*.try}
    case ${number%%.*} in *[!0-9]*) continue ;; esac
    papers[${name%.try*}]+=$file$'\n'
  done
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
  for REPLY in "records/$1.json" "records/$1.tries.json" "logs/$1.log" ${papers[$1]-}; do
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
      printf 'keep-alive is off; gpu_keepalive on ends it\n' ;;
    on)
      if __gpu_who keepalive-off; then
        __gpu_lift keepalive-off || return
        printf 'keep-alive is on\n'
      else
        printf 'keep-alive was not switched off\n'
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
  local reason='' states='' word late=0 told=0 busy=''
  typeset -A counts
  __gpu_each "$1" __gpu_count_kept
  REPLY=''
  while [ -n "$states" ]; do
    word=${states%%,*} states=${states#*,}
    REPLY+="${REPLY:+, }${counts[$word]} $word"
    if [ "$word" = off ]; then REPLY+=${reason:+ ($reason)}; fi
  done
  REPLY=${REPLY:-no idle GPU}
  if [ "$2" = off ]; then [ "$late" -eq 0 ]; else [ "$told" -eq 0 ]; fi
}

__gpu_count_kept() { # KIND FIELD…: into __gpu_kept's variables
  local word=${3-}
  case $1 in gpu) busy=$4; return ;; keepalive) __gpu_keeps "$@" || return 0 ;; *) return ;; esac
  case $word in
    holding | starting | yielding | 'backing off') late=$((late + 1)) ;;
    failed) ;;
    *) word=off; [ "$9" = - ] || reason=$9 ;;
  esac
  [ "$8" != people ] || told=$((told + 1)) # switched off by gpu_keepalive, as it was when the page was written
  if [ -z "${counts[$word]-}" ]; then states+="$word,"; fi
  counts[$word]=$((${counts[$word]-0} + 1))
}

__gpu_kept_status() {
  local node nodes=() busy=''
  if __gpu_who keepalive-off; then __gpu_put 'keep-alive is off%s; gpu_keepalive on ends it\n' "${REPLY:+: $REPLY}"
  else printf 'keep-alive is on\n'
  fi
  __gpu_living; nodes=("${reply[@]}")
  for node in "${nodes[@]}"; do
    printf '\nnode %s\n' "$node"
    __gpu_each "$node" __gpu_lay_out_gpu
  done
  [ ${#nodes[@]} -gt 0 ] || printf 'no agent is alive; start one with ./submit.sh %s\n' "$JOB_ID"
}

__gpu_lay_out_gpu() { case $1 in gpu | keepalive) is_gone='' __gpu_lay_out "$@" ;; esac; }

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
    __gpu_age $((age > 0 ? age : 0)); printf 'counted until %s ago; agents write it down each minute\n' "$REPLY"
  else
    age=$(command stat -c %Y -- "${files[@]}" 2>/dev/null | command sort -n | command tail -n 1)
    __gpu_age $((age > 0 && now > age ? now - age : 0)); printf 'counted until %s ago; no agent is alive\n' "$REPLY"
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
    }
    BEGIN { FS = "\t" }
    NF < 11 || length($1) != 10 || $1 !~ /^[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]$/ || $1 "" < first "" { next }
    $2 == "" || $3 !~ /^[0-9]+$/ || length($3) > 6 { next }
    {
      sub(/\r$/, "", $11)
      for (i = 5; i <= 11; i++) if (!number($i)) next
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
    '%s task') REPLY='%s 个任务' ;;
  esac
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
  local states file priority id nonce title read=0
  typeset -A seen
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
  if [ "$states" = logs ]; then
    reply=()
    for file in logs/*.log; do reply+=("000-${file#logs/}"); done
    set -- "$1" "$2" "${reply[@]}"
  else
    # shellcheck disable=SC2086 # a list of words
    __gpu_find "" $states
    set -- "$1" "$2" "${reply[@]}"
  fi
  file=$2
  shift 2
  for id in "$@"; do
    __gpu_split "${id%.log}"
    __gpu_is_full "$priority-$id" || continue
    case $title in *_*) # the record is read; of very many titles a person reads the first
      if [ "$read" -lt 200 ]; then read=$((read + 1)); __gpu_title "$priority-$id"; title=$REPLY; fi ;;
    esac
    set -- "$title"
    case $file in [0-9a-f]*) set -- "$title" "$nonce" "$priority-$id" ;; esac
    for title in "$@"; do
      [ -n "${seen[$title]-}" ] || printf '%s\n' "$title"
      seen[$title]=1
    done
  done
}

__gpu_words() { # COMMAND WORD [BEFORE [quoted]]: the options and candidates that begin with WORD; BEFORE is the word before
  local options='' line
  case $1 in
    gpu_submit | gpu_run) options='--gpus --memory --queue --time --retries --after --name --priority' ;;
    gpu_status) options=--watch ;;
    gpu_wait) options='--timeout --queue' ;;
    gpu_cancel | gpu_stop | gpu_retry | gpu_priority) options='--queue --yes' ;;
    gpu_shutdown) options=--wait ;;
    gpu_report) options='--days --by-gpu' ;;
    gpu_forget) options=--force ;;
    gpu_clean) options='--older-than --dry-run' ;;
  esac
  case $1/${3-} in
    gpu_submit/--after | gpu_run/--after | */--queue) set -- "$3" "$2" '' "${4-}" ;;
    gpu_submit/--[a-z]* | gpu_run/--[a-z]* | */--timeout) return 0 ;; # a number, or a name of one's own
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
  case $service/${words[CURRENT-1]} in gpu_submit/--*) ;; gpu_submit/*) _files ;; esac
  if [ ${#found} -gt 0 ]; then compadd -- "${found[@]}"; fi
}

__gpu_register() {
  local commands='gpu_use gpu_submit gpu_run gpu_status gpu_logs gpu_tail gpu_wait gpu_explain gpu_cancel gpu_priority gpu_stop gpu_retry gpu_shutdown gpu_forget gpu_clean gpu_keepalive gpu_report'
  if [ -n "${ZSH_VERSION-}" ]; then
    if typeset -f compdef >/dev/null; then eval "compdef __gpu_complete_zsh $commands"; fi
  else
    case $- in *i*) eval "complete -F __gpu_complete_bash $commands; complete -o default -F __gpu_complete_bash gpu_submit" ;; esac
  fi
}
__gpu_register || :
unset -f __gpu_register

# Where this file lies, for gpu_help.
if [ -n "${ZSH_VERSION-}" ]; then
  # The file that is being read.  %x, the older way, spells a Chinese path with \M-^ where the locale is C.
  zmodload zsh/parameter 2>/dev/null
  # shellcheck disable=SC2154,SC2296 # zsh's own
  __gpu_source=${functions_source[gpu_help]:-${(%):-%x}}
else
  __gpu_source=${BASH_SOURCE[0]-}
fi
case $__gpu_source in /*) ;; *) __gpu_source=$PWD/$__gpu_source ;; esac
eval "__gpu_file() { REPLY=$(printf '%q' "$__gpu_source"); }"
unset __gpu_source

if [ -n "${__gpu_aliases-}" ]; then
  unset __gpu_aliases
  if [ -n "${ZSH_VERSION-}" ]; then setopt aliases; else shopt -s expand_aliases; fi
fi
