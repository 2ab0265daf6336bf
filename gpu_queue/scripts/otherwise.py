"""What a script does otherwise in this queue than under the scheduler that it was written for.  Pure.

Only lines are looked at: what stands in a trap or in a function that a signal calls is as good a reason to say it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.scripts.asked import Line
from gpu_queue.scripts.notes import note
from gpu_queue.scripts.reading import Note

_SRUN = re.compile(r"\bsrun\b")
_DIFFERING = re.compile(r"\bshuf\b|\buuidgen\b|/dev/u?random\b")
"""What no two nodes draw alike; bash's RANDOM is the same on all where a script was written for Slurm."""
_DIFFERING_UNSEEDED = re.compile(rf"{_DIFFERING.pattern}|\$\{{?RANDOM\b")
_BEGINS = r"(?:^|[;&|({])\s*(?:(?:then|do|else|exec)\s+)?"
_SPREADING = re.compile(rf"{_BEGINS}(mpirun|mpiexec|horovodrun|deepspeed\b(?=.*--(?:hostfile|num_nodes)\b))(?=\s)")
_SBATCH = re.compile(rf"{_BEGINS}(sbatch)\s+[^\s<>|&;]")


def otherwise(lines: Sequence[str], nodes: int, *, is_batch: bool, said: Line | None) -> list[Note]:
    """What is to be said of it.

    Args:
        lines: of the script.
        nodes: on how many it is started.
        is_batch: it has lines for a scheduler.
        said: the line that asks for that many nodes.
    """
    body = [(number, line) for number, line in enumerate(lines, 1) if not line.lstrip().startswith("#")]
    found: list[Note] = []
    if nodes > 1 and is_batch and any(_SRUN.search(line) for _, line in body):
        found.append(note("nodes_each", said, "", nodes))
    told = [("submits", _SBATCH)] if is_batch else []
    if nodes > 1:
        told += [("nodes_differ", _DIFFERING if is_batch else _DIFFERING_UNSEEDED), ("nodes_spread", _SPREADING)]
    for code, pattern in told:
        first = next(((number, line, match) for number, line in body if (match := pattern.search(line))), None)
        if first is not None:
            number, line, match = first
            found.append(note(code, Line(number, line), match[match.lastindex or 0], nodes))
    return found
