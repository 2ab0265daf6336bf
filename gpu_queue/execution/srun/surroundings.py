"""What the ranks of a step find in their environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from gpu_queue.execution.srun.layout import Layout
from gpu_queue.execution.srun.step import Step


def step_number(directory: str) -> int:
    """The number of this step: each of a task has its own."""
    number = 0
    while directory:
        try:
            os.close(
                os.open(f"{directory}/step-{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            )
        except FileExistsError:
            number += 1
            continue
        except OSError:
            pass
        break
    return number


def exported(environment: Mapping[str, str], wanted: str | None) -> dict[str, str]:
    """The environment by ``--export``."""
    if wanted is None:
        return dict(environment)
    words = [one for one in re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+""", wanted) if one]
    given = dict(environment)
    if "ALL" not in words:
        named = {word.partition("=")[0] for word in words} | {
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "TMPDIR",
            "LANG",
        }
        ours = ("SLURM", "GPU_QUEUE_", "CUDA_")
        given = {name: value for name, value in given.items() if name in named or name.startswith(ours)}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            given[name] = value[1:-1] if value[:1] in "\"'" and value[:1] == value[-1:] and len(value) > 1 else value
    return given


def environment_of(base: dict[str, str], step: Step, number: int, layout: Layout, place: int) -> dict[str, str]:
    """What one rank finds.

    Args:
        base: what all find.
        step: what was asked for.
        number: of the step.
        layout: its ranks on its nodes.
        place: which of the ranks of this node it is, from 0.
    """
    total, nodes = str(layout.total), str(len(layout.hosts))
    given = base | {
        "SLURM_LAUNCH_NODE_IPADDR": layout.addresses[0],
        "SLURM_LOCALID": str(place),
        "SLURM_NODEID": str(layout.node),
        "SLURM_NPROCS": total,
        "SLURM_NTASKS": total,
        "SLURM_PROCID": str(layout.ids[place]),
        "SLURM_SRUN_COMM_HOST": layout.addresses[0],
        "SLURM_STEPID": str(number),
        "SLURM_STEP_ID": str(number),
        "SLURM_STEP_NODELIST": ",".join(layout.hosts),
        "SLURM_STEP_NUM_NODES": nodes,
        "SLURM_STEP_NUM_TASKS": total,
        "SLURM_STEP_TASKS_PER_NODE": layout.tasks_per_node,
        "SLURM_TASKS_PER_NODE": layout.tasks_per_node,
    }
    if "SLURM_NNODES" in base:
        given |= {"SLURM_NNODES": nodes}
    for name in ("cpus-per-task", "ntasks-per-node"):
        if name in step.given:
            given[f"SLURM_{name.upper().replace('-', '_')}"] = step.given[name]
    return given
