"""The script of a job of submitit: what the shell has to do before Python begins, and between ranks.

- The process of the script is Python itself, where a node has one rank: it is the one that is warned.  With several,
  bash passes warnings on to the node's first, of which rank 0 is the only one that saves.
- Over several nodes the script is started on each, and starts those of its ranks.
- The log of the queue is that of a node's first rank; the files where submitit looks for it are links to it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

NAME = "gpuqueue"
SIGNAL_DELAY_S = 60
RANK, RANKS, LOCAL_RANK = "SUBMITIT_GPUQUEUE_RANK", "SUBMITIT_GPUQUEUE_RANKS", "SUBMITIT_GPUQUEUE_LOCAL_RANK"
BEGAN, DELAY = "SUBMITIT_GPUQUEUE_BEGAN", "SUBMITIT_GPUQUEUE_SIGNAL_DELAY_S"
_QUEUE = "# queue: "

_SCRIPT = """\
#!/bin/bash
# A job of submitit.
{queue_mark}{root}
folder={folder}
id=${{GPU_QUEUE_TASK:0:25}}
first_rank=$((${{GPU_QUEUE_NODE_RANK:-0}} * {ranks}))
export SUBMITIT_EXECUTOR={name} {ranks_name}=$((${{GPU_QUEUE_NODES:-1}} * {ranks}))
export {delay_name}={delay_s} {began_name}=$(date +%s.%N)
# submitit sets them, and refuses where somebody has.
unset MASTER_ADDR MASTER_PORT RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE
place() {{ # RANK: the folder of its files
	local place=${{folder//%j/"$id"}}
	place=${{place//%A/"$id"}}
	REPLY=${{place//%t/"$1"}}
	mkdir -p -- "$REPLY"
}}
place "$first_rank"
ln -sfn -- "$GPU_QUEUE_TRY_LOG" "$REPLY/${{id}}_${{first_rank}}_log.out"
ln -sfn -- "$GPU_QUEUE_TRY_LOG" "$REPLY/${{id}}_${{first_rank}}_log.err"
{setup}
"""
_ONE = """\
export {rank_name}=$first_rank
exec {python} -u -m gpu_queue.integrations.submitit_run "$folder"
"""
_RANKED = """\
others=()
for ((local = 1; local < {ranks}; local++)); do
	rank=$((first_rank + local))
	place "$rank"
	{rank_name}=$rank {local_name}=$local {python} -u -m gpu_queue.integrations.submitit_run "$folder" >>"$REPLY/${{id}}_${{rank}}_log.out" 2>>"$REPLY/${{id}}_${{rank}}_log.err" &
	others+=($!)
done
{rank_name}=$first_rank {python} -u -m gpu_queue.integrations.submitit_run "$folder" &
first=$!
trap 'kill -USR2 "$first" 2>/dev/null' USR2
trap 'kill -TERM "$first" 2>/dev/null' TERM
while :; do # a signal ends a wait
	wait "$first"
	status=$?
	kill -0 "$first" 2>/dev/null || break
done
if [ -e "${{GPU_QUEUE_REQUEUE-}}" ]; then kill -KILL "${{others[@]}}" 2>/dev/null; exit "$status"; fi
for one in "${{others[@]}}"; do wait "$one" || [ "$status" != 0 ] || status=$?; done
exit "$status"
"""  # noqa: E501  a line of a script


def script_of(root: str, folder: Path, python: str, ranks: int, delay_s: int, setup: Sequence[str]) -> str:
    """The script of each job of an array, which finds out on its node which one it is.

    Args:
        root: of the queue.
        folder: of submitit's files; it may have ``%j`` and ``%t`` in it.
        python: words of a shell.
        ranks: how many processes on each node.
        delay_s: so long before its end it is warned.
        setup: lines of bash.
    """
    head = _SCRIPT.format(
        queue_mark=_QUEUE,
        root=json.dumps(root),
        folder=shlex.quote(str(folder)),
        name=NAME,
        ranks_name=RANKS,
        ranks=ranks,
        delay_name=DELAY,
        delay_s=delay_s,
        began_name=BEGAN,
        setup="\n".join(setup),
    )
    return head + (_ONE if ranks == 1 else _RANKED).format(
        python=python, ranks=ranks, rank_name=RANK, local_name=LOCAL_RANK
    )


def queue_of(script: str) -> str:
    """The queue in which a job was published.

    Raises:
        StopIteration: it is no such script.
    """
    line = next(line.removeprefix(_QUEUE) for line in script.splitlines() if line.startswith(_QUEUE))
    return str(json.loads(line))
