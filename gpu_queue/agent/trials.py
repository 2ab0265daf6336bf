"""Whether torch gets memory of the cards that would be served, for ``--check``: which are tried, and what is said."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.agent.asked import zygote_of
from gpu_queue.agent.tenants import cards_for_tasks
from gpu_queue.config import Settings
from gpu_queue.execution.launcher import first_line
from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health
from gpu_queue.gpus.leases import Footprint, Leases
from gpu_queue.keepalive.preflight import look_for_torch, mps_pipe
from gpu_queue.keepalive.trial import MEMORY_BYTES, NEEDED_BYTES, Outcome, Tried, remedy, try_cards
from gpu_queue.scheduling.tenancy import Look
from gpu_queue.sharing import Mode, Sharing
from gpu_queue.units import format_size


@dataclass(frozen=True)
class Finding:
    """What is said of some cards."""

    text: str
    is_problem: bool = False
    """A task could not use them either."""


def try_memory(
    settings: Settings, environment: Mapping[str, str], served: Sequence[Gpu], seen: Look | None
) -> list[Finding]:
    """Take a little memory of each card that is free for it, and give it back; what is to be said.

    Args:
        settings: of the agent that would serve them.
        environment: its.
        served: the cards.
        seen: a look at their processes, on a shared server.

    Raises:
        OSError: the node's own directory cannot be written, or no process be started.
        SettingsError: that directory is not ours.
    """
    if settings.simulate:
        return [Finding("not tried: these GPUs are simulated")]
    torch = look_for_torch(settings.keepalive.python or sys.executable, needs_cuda=True, ask=first_line)
    if torch.problem:
        return [Finding(f"not tried: {torch.problem}; to have it tried: {torch.remedy}")]
    pipe = mps_pipe(environment)
    if pipe:
        return [Finding(f"not tried: an MPS daemon has the GPUs ({pipe})")]
    leases = Leases(NodeDirectory.open(settings.local_dir or None).root)
    sharing = settings.sharing if settings.mode is Mode.SHARED else None
    why = {gpu.uuid: why_untried(gpu, served, sharing, seen) for gpu in served}
    places: dict[str, int] = {}
    try:
        for gpu in served:
            if not why[gpu.uuid]:
                place = leases.lock_filler(gpu.uuid, Footprint(gpu.memory_used_bytes or 0, NEEDED_BYTES))
                if place is None:
                    why[gpu.uuid] = "a task, or the keep-alive, has it"
                else:
                    places[gpu.uuid] = place
        tried = try_cards(zygote_of(settings, environment), places) if places else Tried()
    finally:
        for place in places.values():
            os.close(place)
    if tried.problem:
        return [Finding(f"not tried: {tried.problem}")]
    outcomes = {gpu.uuid: _told(tried.outcomes.get(gpu.uuid), why[gpu.uuid], tried.torch) for gpu in served}
    return [
        Finding(f"{_names(gpu for gpu in served if outcomes[gpu.uuid] == one)}: {one.text}", one.is_problem)
        for one in dict.fromkeys(outcomes.values())
    ]


def why_untried(gpu: Gpu, served: Sequence[Gpu], sharing: Sharing | None, seen: Look | None) -> str:
    """Why nothing is to be taken of a card; empty: it may be.

    Args:
        gpu: the card.
        served: all that would be served.
        sharing: what the owner of a shared server wants; None: the cards are this user's alone.
        seen: a look at the processes on them, on a shared server.
    """
    if gpu.health is not Health.OK:
        return gpu.problem or gpu.health.value
    if gpu.compute_mode is ComputeMode.PROHIBITED:
        return "its compute mode lets nobody use it"
    total, used, free = gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.memory_free_bytes
    if free is None and total is not None and used is not None:
        free = total - used
    if free is None:
        return "how much of its memory is free cannot be read"
    if free < NEEDED_BYTES:
        return f"{format_size(free)} of its memory are free, and {format_size(NEEDED_BYTES)} are needed"
    if sharing is None:
        return ""
    if gpu.uuid not in cards_for_tasks(served, sharing).competed:
        return "it is left to others"
    if seen is not None and seen.tenants is not None:
        others = [one for one in seen.tenants.get(gpu.uuid, ()) if one.claim is None and not one.is_filler]
        return f"process {others[0].pid} ({others[0].name or 'hidden'}) is on it" if others else ""
    if (used or 0) >= NEEDED_BYTES or (gpu.utilization_percent or 0) > sharing.max_util_percent:
        takes = f"{format_size(used or 0)} of its memory and {gpu.utilization_percent or 0} % of its time in use"
        return f"somebody may be on it: {takes}"
    return ""


def _told(outcome: Outcome | None, why: str, torch: str) -> Finding:
    if outcome is None:
        return Finding(f"not tried: {why}")
    if outcome.problem:
        return Finding(f"{outcome.problem}; {remedy(outcome.problem)}", is_problem=True)
    return Finding(f"{format_size(MEMORY_BYTES)} taken, written, read and given back by torch {torch}")


def _names(gpus: Iterable[Gpu]) -> str:
    indices = [str(gpu.index) for gpu in gpus]
    return f"GPU {indices[0]}" if len(indices) == 1 else f"GPUs {', '.join(indices)}"
