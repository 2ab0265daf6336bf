"""What a script says of itself to the scheduler that it was written for, as far as its environment goes by it.  Pure.

Its GPUs and its time are :mod:`gpu_queue.scripts`' to read; here are the numbers that become variables.
"""

from __future__ import annotations

import re

from gpu_queue.execution.allocation import TASKS_MAX, Spoken
from gpu_queue.scripts.asked import head_of
from gpu_queue.scripts.lexing import decoded
from gpu_queue.scripts.reader import HEAD_BYTES
from gpu_queue.scripts.slurm import options, split_words

_FIELDS = {
    "--ntasks": "tasks",
    "-n": "tasks",
    "--tasks": "tasks",
    "--ntasks-per-node": "tasks_per_node",
    "--tasks-per-node": "tasks_per_node",
    "--cpus-per-task": "cpus_per_task",
    "-c": "cpus_per_task",
    "--gpus-per-task": "gpus_per_task",
}
_NUMBER = re.compile(r"(?:[A-Za-z0-9_.-]+[:=])?0*([1-9][0-9]{0,3})", re.ASCII)
"""``4``, and ``a100:4`` of GPUs."""
_USES_TORCHRUN = re.compile(r"\btorchrun\b|\btorch\.distributed\.(?:run|launch)\b", re.ASCII)
_TORCHRUN_PORT = "PET_MASTER_PORT"
"""By which torchrun is told the default of its ``--master-port``."""
_PORT_DEFAULT = re.compile(r"\$\{([A-Za-z_]*PORT):?[-=]\"?'?2[0-9]{4}\"?'?\}", re.ASCII)
"""``PORT=${PORT:-29500}``, whatever it is called."""
_PORT_USED = re.compile(r"""\$\{?MASTER_PORT\b|environ(?:\.get|\.setdefault)?[(\[]\s*["']MASTER_PORT["']""", re.ASCII)
_PORT_SET = re.compile(
    r"""^[ \t]*(?:export[ \t]+|set[ \t]+|declare[ \t]+-x[ \t]+)?MASTER_PORT=(?![^\n]*\$\{?MASTER_PORT)"""
    r"""|environ\[\s*["']MASTER_PORT["']\s*\]\s*=""",
    re.ASCII | re.MULTILINE,
)


def read_spoken(script: bytes) -> Spoken:
    """For whom a script was written, by the comment lines at its top; of two that say the same the last counts."""
    head = [line.text for line in head_of(decoded(script[:HEAD_BYTES]).split("\n"))]
    numbers: dict[str, int] = {}
    sbatch = [line for line in head if re.match(r"#SBATCH[\s-]", line, re.ASCII)]
    for line in sbatch:
        for name, value in options(split_words(line[len("#SBATCH") :])):
            match = _NUMBER.fullmatch(value)
            if name in _FIELDS and match is not None:
                numbers[_FIELDS[name]] = min(int(match[1]), TASKS_MAX)
    is_pbs = any(re.match(r"#PBS\s+-", line, re.ASCII) for line in head)
    return Spoken(is_slurm=bool(sbatch), is_pbs=is_pbs, **numbers)


def ports_wanted(script: bytes) -> frozenset[str]:
    """The variables in which a script looks for a port that it does not set itself.

    - ``MASTER_PORT``, where the script uses it and gives it no value of its own;
    - whatever ends in ``PORT`` and has a default from 20000 on: ``PORT=${PORT:-29500}``;
    - torchrun's own, where it is called: all that say nothing would take 29500.
    """
    text = script[:HEAD_BYTES].decode("utf-8", "replace")
    lines = (line for line in text.split("\n") if not line.lstrip().startswith("#"))
    body = "\n".join(lines)
    wanted = set(_PORT_DEFAULT.findall(body))
    if _PORT_USED.search(body) and not _PORT_SET.search(body):
        wanted.add("MASTER_PORT")
    if _USES_TORCHRUN.search(body):
        wanted.add(_TORCHRUN_PORT)
    return frozenset(wanted)
