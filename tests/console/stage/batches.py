"""Which tasks of a stage are of a batch: the sweep is a group of an experiment file, merges are a command file."""

from __future__ import annotations

import re

from gpu_queue.task import BatchPart, ExperimentPart
from tests.console.stage.roles import MERGE, Role

GROUP = "lr-sweep"
SWEEP_FILE = "/home/bo/sweep/lr.yaml"
COMMAND_FILE = "/home/dana/run_list/command_gpu.txt"
BLOCKS = 12
_SWEPT = re.compile(r"sweep_lr(?P<lr>[^_]+)_seed(?P<seed>\d+)\.sh")


def run_of(role: Role) -> ExperimentPart | None:
    """The run of the sweep that a task is; None: it is of none."""
    found = _SWEPT.fullmatch(role.name)
    if found is None:
        return None
    lr, seed = found["lr"], found["seed"]
    return ExperimentPart(
        SWEEP_FILE, GROUP, "train", f"train-lr{lr}-seed{seed}", f"{lr}.{seed}", "", (("lr", lr), ("seed", seed))
    )


def block_of(role: Role, count: int) -> BatchPart | None:
    """The block of the command file that a task is; None: it is of none."""
    if role.name != MERGE.name:
        return None
    position = count % BLOCKS
    return BatchPart(COMMAND_FILE, "single", 0, position, f"{position:016x}")


def title_of(role: Role, block: BatchPart | None) -> str:
    """How a task is called."""
    return role.name if block is None else f"command_gpu-{block.position + 1}"


def script_of(role: Role, block: BatchPart | None, seed: int) -> str:
    """Of a block as it is loaded: its commands one after the other."""
    if block is None:
        return role.script(seed)
    number = block.position + 1
    return (
        "#!/usr/bin/env bash\n#GPUQ --gpus 1 --queue merge\n"
        f"bash -c 'python merge.py --model ckpt/{number:02}' || exit\n"
        f"bash -c 'python push.py --to hub/{number:02}' || exit\n"
    )
