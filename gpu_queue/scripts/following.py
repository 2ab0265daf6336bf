"""A script's own words: which of them are followed, and with what the run knows before.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.scripts.asked import Asked, Line, Said
from gpu_queue.scripts.launchers import Count, Findings, findings
from gpu_queue.scripts.lexing import COUNT, RANK, UNKNOWN
from gpu_queue.scripts.values import MARKS
from gpu_queue.scripts.walk import Walk

_SPEAKING = re.compile(
    r"CUDA_VISIBLE_DEVICES|proc|num|gpu|device|node|parallel|deepspeed|accelerate|torch|world|-tp|-np|dist_",
    re.IGNORECASE,
)
_NAMES = (
    "NPROC_PER_NODE", "GPUS_PER_NODE", "NUM_GPUS_PER_NODE", "N_GPUS_PER_NODE", "NGPUS_PER_NODE", "NUM_GPUS", "NGPUS",
    "NGPU", "N_GPUS", "N_GPU", "NUM_GPU", "GPU_NUM", "GPUS_NUM",
)  # fmt: skip
"""Variables that tell a number of GPUs wherever they are set."""


def follow(
    text: str, head: Sequence[Line], file_name: str, arguments: Sequence[str], sbatch: Asked, nodes: int = 1
) -> Findings:
    """What the script itself tells, behind the comment lines at its head.

    Args:
        text: the script.
        head: its comment lines.
        file_name: how it is called.
        arguments: what it is given.
        sbatch: what its ``#SBATCH`` lines ask for.
        nodes: on how many it is started.
    """
    if not _SPEAKING.search(text, sum(len(line.text) + 1 for line in head)):
        return Findings()
    if _is_python(text, file_name):
        return _with_python(Findings(), text, 1)
    walk = Walk(arguments, _before(sbatch, nodes))
    events = walk.script(text, re.match(r"#!.{0,40}\bt?csh\b", text) is not None)
    found = findings(events)
    for event in events:
        program = " ".join(event.argv[:3])
        if "python" in program:
            if event.document:
                _with_python(found, event.document, event.line + 1)
            elif "-c" in event.argv[1:-1]:
                _with_python(found, event.argv[event.argv.index("-c") + 1].replace(";", "\n"), event.line)
    if walk.left_at:
        found.remark("too_long", walk.left_at, "")
    if not found.counts:
        for name in _NAMES:
            numbers = [
                int(value)
                for value in walk.scope.variables.get(name, ())
                if not MARKS.search(value) and re.fullmatch(r"\d{1,2}", value) and int(value)
            ]
            if numbers:
                line = next((at for at, one in enumerate(text.split("\n"), 1) if re.search(rf"\b{name}=", one)), 0)
                found.counts.append(Count(max(numbers), "variable", line, f"{name}={max(numbers)}"))
                break
    return found


def _is_python(text: str, file_name: str) -> bool:
    """Whether a script is a Python program: by its first line, else by its name."""
    if text.startswith("#!"):
        return re.search(r"python|pypy", text.partition("\n")[0][:200]) is not None
    return file_name.endswith(".py")


def _with_python(found: Findings, text: str, line: int) -> Findings:
    from gpu_queue.scripts.pythons import read_python  # noqa: PLC0415 - few scripts have any

    read_python(text, found, line)
    return found


def _before(sbatch: Asked, nodes: int) -> dict[str, str]:
    """What a script with ``#SBATCH`` lines finds in its environment, and one that runs on several nodes."""
    gang = {} if nodes == 1 else _of_gang(nodes)
    if not sbatch.is_there:
        return {"SLURM_LOCALID": RANK, **gang}
    tasks = sbatch.values.get("tasks")
    each = sbatch.values.get("tasks_of_a_node", tasks)
    if nodes > 1 and each is not None:
        tasks = Said(str(int(each.value) * nodes), each.line)
    return {
        **gang,
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_NODEID": "0" if nodes == 1 else RANK,
        "SLURM_LOCALID": RANK,
        "SLURM_GPUS_ON_NODE": COUNT,
        "SLURM_GPUS": COUNT,
        "SLURM_GPUS_PER_NODE": COUNT,
        "SLURM_JOB_GPUS": UNKNOWN,
        "SLURM_JOB_ID": UNKNOWN,
        "SLURM_JOBID": UNKNOWN,
        "SLURM_NTASKS": tasks.value if tasks else "1",
        "SLURM_NTASKS_PER_NODE": each.value if each else "1",
    }


def _of_gang(nodes: int) -> dict[str, str]:
    own = {
        "NNODES": str(nodes),
        "NODE_RANK": RANK,
        "NPROC_PER_NODE": COUNT,
        "MASTER_ADDR": UNKNOWN,
        "MASTER_PORT": UNKNOWN,
    }
    return own | {"GPU_QUEUE_NODES": str(nodes), "GPU_QUEUE_NODE_RANK": RANK}
