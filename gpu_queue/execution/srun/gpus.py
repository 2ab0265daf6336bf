"""Which GPUs of its task a step gets, and which each of its ranks sees."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Mapping

from gpu_queue.execution.srun.output import say
from gpu_queue.execution.srun.step import Refused, Step, number_of

GPU_POLL_S = 0.2


def part_wanted(step: Step) -> int | None:
    """How many GPUs the step as a whole asks for; None: it does not say."""
    for name in ("gpus", "gpus-per-node"):
        if name in step.given:
            return sum(_gpu_count(one, name) for one in step.given[name].split(","))
    for one in step.given.get("gres", "").split(","):
        match = re.fullmatch(r"(?:gres[:/])?gpu(?:[:=](.+))?", one)
        if match is not None:
            return _gpu_count(match[1] or "1", "gres")
    return 0 if step.given.get("gres") == "none" else None


def _gpu_count(text: str, name: str) -> int:
    number = re.split("[:=]", text)[-1]
    if number.isdigit():
        return int(number)
    if ":" in text or not number:
        raise Refused(f"--{name}={text}: expected a number of GPUs")
    return 1  # a type alone


def gpus_of_ranks(step: Step, environment: Mapping[str, str], gpus: list[str], ranks: int) -> list[list[str]] | None:
    """Which GPUs each rank sees; None: all of them see all."""
    bind = step.given.get("gpu-bind", environment.get("SLURM_GPU_BIND", ""))
    kind, _, value = bind.removeprefix("verbose,").removeprefix("v,").partition(":")
    if kind == "none":
        return None
    if kind == "map_gpu":
        places = [int(one) for one in value.split(",") if one.isdigit()]
        if not places or max(places) >= len(gpus):
            raise Refused(f"--gpu-bind={bind}: this step has GPUs 0 to {len(gpus) - 1}")
        return [[gpus[places[rank % len(places)]]] for rank in range(ranks)]
    per_task = number_of(step, "gpus-per-task")
    if per_task is None and kind == "per_task" and value.isdigit():
        per_task = int(value)
    if per_task is None and not kind and "gpus" not in step.given and "gres" not in step.given:
        inherited = environment.get("SLURM_GPUS_PER_TASK", "")
        per_task = int(inherited) if inherited.isdigit() else None
    if per_task is not None:
        if per_task * ranks > len(gpus):
            raise Refused(
                f"{ranks} ranks with {per_task} GPUs each: there are {len(gpus)}; ask for more (gpu_submit --gpus "
                f"{per_task * ranks})"
            )
        return [gpus[rank * per_task : (rank + 1) * per_task] for rank in range(ranks)]
    sharing = number_of(step, "ntasks-per-gpu")
    if sharing is None and kind == "single":
        sharing = int(value) if value.isdigit() else 1
    if sharing and gpus:
        return [[gpus[(rank // sharing) % len(gpus)]] for rank in range(ranks)]
    return None


class Locks:
    """GPUs of the task that this step has for itself."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._held: dict[str, int] = {}

    def take(self, gpus: list[str], wanted: int) -> list[str]:
        """So many of them that no other step has; waits until there are."""
        told = False
        while True:
            for gpu in gpus:
                if len(self._held) < wanted:
                    self._try(gpu)
            if len(self._held) == wanted:
                return [gpu for gpu in gpus if gpu in self._held]
            for descriptor in self._held.values():
                os.close(descriptor)  # whoever waits with some in hand may wait for one who does the same
            self._held.clear()
            if not told:
                say(f"waits for {wanted} GPUs that no other step of this task has")
                told = True
            time.sleep(GPU_POLL_S)

    def _try(self, gpu: str) -> None:
        path = f"{self._directory}/step-gpu-{gpu}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return
        self._held[gpu] = descriptor
