#!/bin/sh
# The parent of one try: starts the script, beats for its claim, ends it when it must end, says how it ended.
#
#   sh shim.sh AGENT_PID <pipe 7<orders
#
# - It begins as launcher.py leaves it: own session, cwd /, output to /dev/null, the try's lock on descriptor 9.  That
#   lock is held exactly as long as this process lives; whatever else is started here closes it (9>&-).
# - It may wait long before its agent writes a byte into the pipe.  Then descriptor 7, a file in the try's directory
#   whatever that is called by now, says which try it is for (launcher.orders): the variables q_claim q_try q_log q_cwd
#   q_beat_s q_fence_s q_grace_s q_leave_s q_umask q_timed q_saves q_header q_at q_python q_heed, those of the script's
#   environment, the program as $@, and q_whole at its end.  A pipe that ends before: the agent is gone, or needs no
#   shim; nothing was started, and it dies without a word.
# - q_log is a descriptor of the agent's, /proc/AGENT_PID/fd/N: of the regular file that it has found or made without
#   following a link, which is more than a shell can say.  Only the process that becomes the script opens it, once.
#   What keeps that process from becoming the script is told as a why, and its status is not the script's.
# - The script gets a process group of its own: "kill 0" in it ends what it has started, and not its supervisor.  A shell
#   gives one by job control, for which dash and busybox want a terminal.  They have one, that nobody sees (its slave is
#   descriptor 6, its master 5), until the script has been forked; then the session has none again, and we get a HUP,
#   which says nothing.
# - q_timed: descriptor 8 is a pipe whose end the kernel tells by ALRM, a few seconds after the start, whatever becomes of
#   the agent.  Until then there is no timer of its own, so that a short try costs none.
# - q_try is the try's directory on this machine.  Read: why, requeue (its script asks to be run again), warned (it was
#   told to leave; if it ends well then, or with status q_saves, it has saved).  Written: pid, status, reason, why (requeue, lost, fenced,
#   nostart), each one line; beat and gone are its own.  A why that is there stays: the first reason counts.  The pid is
#   there when the log has been opened: the agent may close it.
# - It starts the script only if its claim is listed and nobody has said why it should end.
# - Every BEAT_S a process of its own touches the claim and lists its directory; a hung server holds that process
#   only, and there is never a second one.  Lost: two good listings 2 s apart lack the claim.  Fenced: the last good
#   touch began FENCE_S ago (0: never).  TERM from outside without a why: requeue.  Then TERM to all of the try's
#   processes, and KILL after GRACE_S, or LEAVE_S where the shim was told TERM.  Any other signal that can be caught only
#   makes it look at its clock; it is caught and not ignored, for what a shell ignores its children must ignore.  None is
#   passed on: whoever signals all processes of a job (Slurm's --signal) has reached the script.
# - At the end: status, and, if its parent is still AGENT_PID, exit: the agent makes the final move, and writes the
#   last line of the log.  Else, or if there is a why, it ends what is left of the try; and without its agent it renames
#   the claim itself: by its why, or again, or saved, as gpu_queue/again.py has it.
#
# One process waits: the death of the script and that of the running "sleep" both raise CHLD.  So a try costs two forks,
# script and sleep, a short one the first alone.
# Traps only take notes, and the loop in q_main does what is due: in dash and busybox a trap within a trap changes the
# outcome of the command that it comes after, and a step in which a test went wrong may end a task.
# In bash the loop looks, up to every 90 ms, instead of waiting.  For bash's "wait" jumps out at a signal also between
# waitpid and its own notes, and the status of the script is lost; it runs the CHLD trap in its midst, and a jump out of
# that damages its memory; and "trap - CHLD" crashes it if a death is still to be told (5.2).
# A shell that cannot fork ends.  Then the script ends too, and the try is lost: nobody runs on unwatched.  (Going on
# after "command eval" was tried: dash and busybox come out of it with a damaged list of jobs.)
# Its own output is /dev/null, and it never has the log open: no process that ends a try may hold it.  Whoever closes a
# file of a hung server waits for the server, a child that only sends its own output elsewhere as well: timer, beat and
# signals hung with it, and the fence was none.
# Names begin with q_: a plain name may be exported in the task's environment, and setting it would change that.
#
# Called by traps only (2317, 2329); A && B || C is meant as it works (2015); there are no blanks in what grep says
# (2013); what is set nowhere here the orders set (1091, 2154):
# shellcheck disable=SC2317,SC2329,SC2015,SC2013,SC1091,SC2154

q_clock() { # tenths of seconds since boot; no clock that can be set
	read -r q_up q_line </proc/uptime
	q_line=${q_up#*.}
	q_now=$((${q_up%.*} * 10 + ${q_line%?}))
}

q_stat() { # PID: its state, parent and session, from behind the name, which may contain anything
	# A shell reads /proc byte by byte, 0.1 ms a file: not for what is not there, and not more than needed.
	[ -e "/proc/$1" ] || return 1
	read -r q_line <"/proc/$1/stat" || return 1
	# shellcheck disable=SC2086  # split on purpose: these are numbers
	set -- ${q_line##*) }
	q_state=$1 q_parent=$2 q_session=$4
}

q_running() { # PID: whether it is a child of ours that has not ended
	q_stat "${1:-none}" && [ "$q_parent" = $$ ] && [ "$q_state" != Z ]
}

q_listed() { # 0: the claim is there; 1: it is not; 2: cannot tell, for even the permanent file is missing
	q_seen=2
	for q_entry in "${q_claim%/*}"/*; do
		case $q_entry in
		"$q_claim") return 0 ;;
		*/node) q_seen=1 ;;
		esac
	done
	[ $q_seen -eq 1 ] || q_put_away || return 2
	return 1
}

q_put_away() { # whether peers took this node for dead: its directory is not listed, but that of a living one is
	q_seen=1
	for q_entry in "${q_claim%/*/*}"/*; do
		[ "$q_entry" != "${q_claim%/*}" ] || return 1
		! [ -e "$q_entry/node" ] || q_seen=0
	done
	return $q_seen
}

q_beat() { # touch alone succeeds on a missing file, and a listing alone proves no life
	q_clock
	# A script that another user dropped (--allow-group) is not ours to touch; that this node reaches the storage, its
	# permanent file shows as well.  What is taken away meanwhile is missed in the listing.  One that was killed (it
	# hung, and the try ends) has no successor, which would hang as well.
	touch -c -- "$q_claim" || { [ $? -lt 128 ] && touch -c -- "${q_claim%/*}/node"; } || return
	q_listed
	case $? in
	0) printf '%s\n' "$q_now" >"$q_try/beat" ;;
	1) q_really_gone && : >"$q_try/gone" ;;
	esac
}

q_really_gone() { # one listing may miss an entry
	sleep 2 8>&- 9>&-
	q_listed
	[ $? -eq 1 ]
}

q_because() { # WHY: never over another one
	set -C
	printf '%s\n' "$1" >"$q_try/why"
	set +C
	q_why=$1
}

q_nap() { # SECONDS
	sleep "$1" >/dev/null 8>&- 9>&- &
	q_timer=$!
}

q_end() { # WHY GRACE_S: the try is to end; the timer's death wakes us for what comes next
	q_because "$1"
	q_clock
	q_kill_at=$((q_now + $2 * 10))
	q_signal TERM
	! q_running "$q_timer" || kill -s KILL "$q_timer"
}

q_step() { # what is due now, by what is so, not by what has happened
	q_running "$q_child" || { q_over=1 && return; }
	if [ -z "$q_kill_at" ]; then
		if [ -n "$q_asked" ]; then q_end requeue "$q_leave_s"; elif [ -e "$q_try/gone" ]; then q_end lost "$q_grace_s"; fi
	fi
	! q_running "$q_timer" || return
	q_clock
	if [ -z "$q_kill_at" ]; then
		read -r q_line <"$q_try/beat" && q_good=$q_line
		[ "$q_fence_s" -eq 0 ] || [ $((q_now - q_good)) -lt $((q_fence_s * 10)) ] || q_end fenced "$q_grace_s"
	elif [ "$q_now" -ge "$q_kill_at" ]; then
		q_signal KILL
	fi
	if [ -n "$q_kill_at" ]; then
		q_nap 1
	else
		q_nap "$q_beat_s"
		q_running "$q_beater" || {
			q_beat >/dev/null 8>&- 9>&- &
			q_beater=$!
		}
	fi
}

q_deaf() { # from now on no death of a child breaks a wait off
	[ -n "$q_bash" ] || trap - CHLD
}

q_marked() { # adds to q_found the processes that carry this claim in their environment
	# Claim names are [A-Za-z0-9._+=-] only, so this is a sound pattern; the directory may hold anything.
	for q_entry in $(LC_ALL=C grep -lsz "^GPU_QUEUE_CLAIM=.*/${q_claim##*/}\$" /proc/[0-9]*/environ 8>&- 9>&-); do
		q_entry=${q_entry#/proc/}
		q_found="$q_found ${q_entry%/environ}"
	done
}

q_family() { # adds to q_found the script, the rest of our session, and all descendants, marked or not
	q_grew=1
	while [ -n "$q_grew" ]; do
		q_grew=''
		for q_entry in /proc/[0-9]*; do
			q_pid=${q_entry#/proc/}
			case " $$ $q_found " in *" $q_pid "*) continue ;; esac
			q_stat "$q_pid" && [ "$q_state" != Z ] || continue
			case " $q_found " in *" $q_parent "*) q_session=$$ q_parent='' ;; esac
			[ "$q_session" = $$ ] || continue
			[ "$q_parent" != $$ ] || [ "$q_pid" = "$q_child" ] || continue # timer, beat and the like
			q_found="$q_found $q_pid" q_grew=1
		done
	done
}

q_kill() { # SIGNAL: to those found, to each once: many programs take a second TERM for "at once"
	for q_pid in $q_found; do
		case " $q_told " in *" $q_pid "*) continue ;; esac
		kill -s "$1" "$q_pid"
		q_told="$q_told $q_pid"
	done
}

q_signal() { # SIGNAL: to all of the try, in the background: to read the environment of a process may hang with it
	(
		q_found='' q_told=''
		q_family
		q_kill "$1"
		q_marked
		q_family
		q_kill "$1"
	) >/dev/null 8>&- 9>&- &
}

q_left() { # whether anything of the try is left
	q_found=''
	q_marked
	q_family
	[ -n "$q_found" ]
}

q_clear() { # ends what has outlived the script
	q_left || return
	q_told=''
	q_kill TERM
	for q_line in 0.1 0.2 0.7 1 1 1 1; do # fractions are no POSIX
		sleep "$q_line" 8>&- 9>&- || sleep 1 8>&- 9>&-
		q_left || return
	done
	q_told=''
	q_kill KILL
}

q_answer() { # STATUS: into q_why and q_named what the claim's name is to say
	q_named=$1
	case $q_why in stopped | nostart) return ;; esac
	if [ -e "$q_try/requeue" ] || [ -L "$q_try/requeue" ]; then
		case $1:$q_why in 0:* | *: | *:timeout) q_why=again ;; esac
	elif [ -n "$q_saves" ]; then
		case $1:$q_why in
		0:?*) q_why=saved ;;
		0: | "$q_saves:") [ ! -e "$q_try/warned" ] || q_why=saved ;;
		esac
	fi
	case $1:$q_why in 0:again | 0:saved) q_named=255 ;; esac
}

q_is_short() { # whether the agent makes the final move
	q_stat $$
	[ "$q_parent" = "$q_agent" ] && [ -z "$q_why" ]
}

q_finish() { # STATUS
	trap - EXIT
	q_deaf
	if [ -n "$q_timer" ]; then
		kill -s KILL "$q_timer"
		wait "$q_timer" # a container's first process may reap nobody
	fi
	[ -z "$q_asked" ] || q_because requeue # told TERM: unless somebody has said why, the node is taken from us
	read -r q_line <"$q_try/why" && q_why=$q_line
	printf '%s\n' "$1" >"$q_try/status"
	! q_is_short || exit "$1"
	q_child=''
	[ -z "$q_begun" ] || q_clear
	q_stat $$
	if [ "$q_parent" != "$q_agent" ] && [ "$q_why" != lost ]; then
		trap '' TERM HUP
		q_answer "$1"
		exec mv -f -- "$q_claim" "$q_claim=$q_named${q_why:+-$q_why}" # it keeps the lock until it is done
	fi
	exit "$1"
}

q_died() { # of an error of the shell itself
	trap - HUP TERM
	q_deaf
	printf 'the shim ended of an error, as when there is no room for another process\n' >"$q_try/reason"
	q_because lost
	! q_running "$q_child" || kill -s KILL "$q_child"
}

q_not_started() { # REASON: this machine cannot start it
	printf '%s\n' "$1" >"$q_try/reason"
	q_because nostart
}

q_refuse() { # REASON
	q_not_started "$1"
	q_finish 255
}

q_has_agent() { # whether the process that has the log open is still our agent, and no later one of its pid
	q_stat $$
	[ "$q_parent" = "$q_agent" ]
}

q_become() { # PROGRAM...: the script, if the log can be opened
	# Just told it need not ask: nobody gets that pid again so soon.
	{ [ $((q_begun - q_at)) -lt 10 ] || q_has_agent; } && command exec >>"$q_log" 2>&1 || {
		# Without its agent nobody has the log open: it has not begun, and is no failure.
		if q_has_agent; then q_not_started "cannot open the log"; else q_because requeue; fi
		exit 255
	}
	printf '%s\n' $$ >"$q_try/pid" # $$ is the shim also here
	printf '%s' "$q_header" # a full disk may refuse the words, and takes the script all the same
	export GPU_QUEUE_CLAIM="$q_claim"
	# A shell without job control has its background ignore INT and QUIT, and cannot undo that.
	case $- in *m*) exec "$@" ;; *) exec "$q_python" -I -S "$q_heed" "$@" ;; esac
}

q_main() {
	q_agent=$1
	q_why='' q_begun='' q_child='' q_timer='' q_beater='' q_kill_at=''
	q_asked='' q_hung_up='' q_broken='' q_over='' q_due='' q_bash='' q_whole='' q_tick=1
	trap 'kill -s KILL $$' EXIT # an exit status would be taken for the script's
	# Outside bash's POSIX mode CHLD breaks no wait off, and a redirection that fails does not end it.
	# shellcheck disable=SC3040
	[ -z "$BASH_VERSION" ] || ! command set +o posix || q_bash=1
	# All but those by which a program says that it is broken (ILL, BUS, FPE, SEGV) and those that stop it, which the
	# kernel keeps from a group like ours.  By numbers, for shells do not agree about the names: INT QUIT TRAP ABRT
	# USR1 USR2 PIPE ALRM STKFLT XCPU XFSZ VTALRM PROF IO PWR SYS, and those without a name.
	q_others='2 3 5 6 10 12 13 14 16 24 25 26 27 29 30 31'
	q_line=33
	while [ $((q_line += 1)) -le 64 ]; do q_others="$q_others $q_line"; done
	# shellcheck disable=SC2086  # split on purpose
	trap q_due=1 CHLD $q_others
	trap q_hung_up=1 HUP

	until read -r q_line; do
		[ -n "$q_due" ] || kill -s KILL $$ # the end of the pipe, and no signal that broke the read off
		q_due=''
	done
	trap 'q_asked=1 q_due=1' TERM # before, it simply ends
	. /proc/self/fd/7 && [ -n "$q_whole" ] || exit
	exec 7<&-
	# Both ends of the pipe that we were told in: to read from it takes as long as one likes, and no fork.
	[ -z "$q_bash" ] || exec 7<>/proc/self/fd/0
	exec </dev/null
	trap q_died EXIT

	q_listed
	q_found=$?
	for q_line in 1 2; do # a moment's trouble of the storage is not this machine's
		[ "$q_found" -eq 2 ] || break
		sleep "$q_line" 8>&- 9>&-
		q_listed
		q_found=$?
	done
	case $q_found in
	1) ! q_really_gone || { q_because lost && q_finish 255; } ;;
	2) q_refuse "cannot list ${q_claim%/*}" ;;
	esac
	cd -- "$q_cwd" || q_refuse "cannot enter $q_cwd"
	[ -z "$q_asked" ] && [ ! -e "$q_try/why" ] || q_finish 143
	umask "$q_umask"
	q_clock
	q_begun=$q_now q_good=$q_now
	set -m
	q_become "$@" 5>&- 6>&- 7>&- 8>&- 9>&- &
	q_child=$!
	set +m
	exec 5>&- 6>&-
	[ -n "$q_timed" ] || q_nap "$q_beat_s"
	q_status=145
	while [ -z "$q_over" ]; do
		if [ -z "$q_bash" ]; then
			wait "${q_due:-$q_child}" # a trap that comes just before leaves 1, which is nobody's child
			q_status=$?
			q_broken=''
			if [ -n "$q_hung_up" ] && [ $q_status -eq 129 ]; then q_broken=1; else q_due=1; fi
			q_hung_up=''
		else
			# shellcheck disable=SC3045
			read -r -t "0.0$q_tick" q_line <&7 || [ $? -gt 128 ] || sleep 1 8>&- 9>&-
			[ $q_tick -eq 9 ] || q_tick=$((q_tick + 1)) # a short try must not take much longer
		fi
		[ -z "$q_due" ] || { q_due='' && q_step; }
	done
	# A wait that a trap broke off tells the trap's signal (128 and its number).  Then it is asked again without those
	# traps; 127 then says that the end was told already, which some shells do only once.
	q_deaf
	# shellcheck disable=SC2086  # split on purpose
	[ "$q_status" -lt 127 ] || trap '' HUP $q_others
	for q_line in 1 2 3; do
		[ "$q_status" -ge 127 ] || break
		wait "$q_child"
		q_again=$?
		[ "$q_again" -ne 127 ] || [ "$q_status" -eq 145 ] || [ -n "$q_broken" ] || break
		q_status=$q_again q_broken=''
	done
	q_finish "$q_status"
}

q_main "$@"; exit
