# Common to ways; each sources this file.  (A way of your own finds it as "$GQ_LIB".)
# shellcheck shell=bash
#
#   way_main VERB WORD…        run the function way_VERB; 100 where there is none.  The last line of a way.
#   way_refuse TEXT…           a setting or an argument is wrong: tell it, and end with 100
#   way_bounded SECONDS WORD…  run a program, at most so long; 124 where it was cut off, 125-127 where it could not be started
#   way_ids ID…                end with 100 unless each is one word that is no option
#   way_filled TEXT            print it with the number of GPUs for $GPUS or ${GPUS}; nothing else is filled in, nothing is run
#   way_split TEXT             WORDS = its words, as a shell would split and unquote them; nothing is expanded or run.  1: a quote is open
#   way_quoted TEXT            print it as one word of a shell
#   way_word RAW TABLE         print the contract's word for a platform's: TABLE has lines `word: RAW RAW…`; `unknown` where none has it
#   way_line ID WORD RAW NONCE NAME   a line of `states`; control characters become blanks

way_main() {
  local verb=${1-}
  case $verb in
    detect | shape | prelude | render | submit | states | cancel | exec) "way_$verb" "${@:2}" ;;
    *)
      printf '%s: no verb %q; expected detect, shape, prelude, render, submit, states, cancel or exec\n' "${0##*/}" "$verb" >&2
      exit 100
      ;;
  esac
}

way_refuse() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 100
}

way_bounded() {
  timeout --foreground -k 5 "$@" </dev/null
}

way_ids() {
  local id
  for id in "$@"; do
    [[ $id =~ ^[A-Za-z0-9_./:@+=][A-Za-z0-9_./:@+=-]{0,254}$ ]] || way_refuse "id '$id': expected what submit printed"
  done
}

way_filled() {
  local text=$1 dollar=$
  text=${text//"${dollar}{GPUS}"/$GQ_GPUS}
  printf %s "${text//"${dollar}GPUS"/$GQ_GPUS}"
}

way_split() {
  local text=$1 char quote='' word='' is_word='' at
  WORDS=()
  for ((at = 0; at < ${#text}; at++)); do
    char=${text:at:1}
    # shellcheck disable=SC1003
    case $quote:$char in
      \':\' | '":"') quote='' ;;
      \':*) word+=$char ;;
      '":\')
        case ${text:at+1:1} in ['"\$`']) at=$((at + 1)) char=${text:at:1} ;; esac
        word+=$char
        ;;
      '":'*) word+=$char ;;
      :[\'\"]) quote=$char is_word=1 ;;
      ':\') at=$((at + 1)) word+=${text:at:1} is_word=1 ;;
      :[[:space:]])
        [[ -z $is_word ]] || WORDS+=("$word")
        word='' is_word=''
        ;;
      *) word+=$char is_word=1 ;;
    esac
  done
  [[ -z $is_word ]] || WORDS+=("$word")
  [[ -z $quote ]]
}

way_quoted() {
  if [[ $1 =~ ^[A-Za-z0-9_./:@%+=,-]+$ ]]; then
    printf %s "$1"
  else
    printf "'%s'" "${1//\'/\'\\\'\'}"
  fi
}

way_word() {
  local word raws
  while IFS=: read -r word raws; do
    [[ " $raws " != *" $1 "* ]] || { printf %s "${word// /}" && return; }
  done <<<"$2"
  printf unknown
}

way_line() {
  local field line=''
  for field in "$1" "$2" "$3" "$4" "$5"; do line+=${field//[[:cntrl:]]/ }$'\t'; done
  printf '%s\n' "${line%?}"
}
