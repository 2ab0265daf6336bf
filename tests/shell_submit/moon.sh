# A way that somebody else wrote: to the moon.  Its jobs are files in $MOON, one line each: word|nonce|name.
# $MOON_MOOD says what goes wrong.
case $1 in
  detect) [ -d "$MOON" ] && echo "the moon, by rocket" ;;
  shape) echo "${WAY_MOON_SHAPE:-one}" ;;
  prelude) echo 'export GPU_QUEUE_ALLOCATION=moon:$MOON_JOB' ;;
  render)
    case $GQ_GPUS in all) echo "moon: GPUS all: expected a number" >&2 && exit 100 ;; esac
    printf 'launch --gpus %s --nodes %s --seconds %s%s -- bash %q\n' \
      "$GQ_GPUS" "$GQ_NODES" "${GQ_SECONDS:-none}" "${WAY_MOON_ROCKET:+ --rocket $WAY_MOON_ROCKET}" "$GQ_START"
    ;;
  submit)
    echo "moon: the platform's own words, on two lines:" >&2
    echo "  $MOON_MOOD" >&2
    case $MOON_MOOD in
      refuses) exit 1 ;;
      "takes one") [ ! -e "$MOON/m1" ] || exit 1 ;;
      full) exit 75 ;;
      lost) exit 111 ;;
      crashes) kill -KILL $$ ;;
      mute) exit 0 ;;
      hangs) exec sleep 600 ;;
    esac
    id=m$(($(ls "$MOON" | wc -l) + 1))
    printf 'queued|%s|%s\n' "$GQ_NONCE" "$GQ_NAME" >"$MOON/$id"
    cp "$2" "$MOON/../sent-$id"
    [ "$MOON_MOOD" != slow ] || exit 111
    echo "$id"
    ;;
  states)
    [ "$MOON_MOOD" != silent ] || exit 111
    cd "$MOON" || exit 111
    for id in *; do
      [ -e "$id" ] || continue
      IFS='|' read -r word nonce name <"$id"
      case $2 in
        --name) [ "$name" = "$3" ] || continue ;;
        --prefix) [ "${name#"$3"}" != "$name" ] || continue ;;
        *) case " ${*:2} " in *" $id "*) ;; *) continue ;; esac ;;
      esac
      printf '%s\t%s\tthe moon says %s\t%s\t%s\n' "$id" "$word" "$word" "$nonce" "$name"
    done
    ;;
  cancel) for id in "${@:2}"; do sed -i 's/^[a-z]*/ended/' "$MOON/$id"; done ;;
  exec) echo "a shell in $2" ;;
  *) exit 100 ;;
esac
