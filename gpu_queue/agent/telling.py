"""The parts of a node's page, from what the agent has in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gpu_queue.agent import stages
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.tenants import Tenants
from gpu_queue.gpus.devices import Gpu
from gpu_queue.reasons import Bar, Reason
from gpu_queue.scheduling.admission import Card, Verdict
from gpu_queue.scheduling.facts import Facts
from gpu_queue.scheduling.tenancy import Tenant
from gpu_queue.scheduling.watch import Silent
from gpu_queue.sharing import Mode
from gpu_queue.spool.pages import (
    GpuPage,
    KeepPage,
    SharedPage,
    SilentPage,
    TryPage,
    WaitPage,
)
from gpu_queue.states import GpuState
from gpu_queue.task import Waiting

WARNED = "warned"
"""In the place of its stage: a try that runs, and was told that its end is near."""


def gpu_pages(
    states: Mapping[str, GpuState],
    gpus: Iterable[Gpu],
    keep: Callable[[Gpu], KeepPage | None],
    shared: Mapping[str, SharedPage],
) -> tuple[GpuPage, ...]:
    """Each served GPU.

    Args:
        states: of the served ones, by UUID.
        gpus: all of the node.
        keep: what the keep-alive says of one.
        shared: what else there is to say of those of a shared server (:func:`shared_pages`), by UUID.
    """
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    return tuple(
        _gpu_page(state, by_uuid[uuid], keep(by_uuid[uuid]), shared.get(uuid)) for uuid, state in states.items()
    )


def told_states(states: Mapping[str, GpuState], tenants: Tenants | None) -> dict[str, GpuState]:
    """What people are told of served GPUs: one that a task has just left is not read yet, which alarms nobody."""
    if tenants is None:
        return dict(states)
    return {
        uuid: GpuState.BUSY if state is GpuState.UNKNOWN and tenants.is_settling(uuid) else state
        for uuid, state in states.items()
    }


def _gpu_page(state: GpuState, gpu: Gpu, keep: KeepPage | None, shared: SharedPage | None) -> GpuPage:
    return GpuPage(
        uuid=gpu.uuid,
        index=gpu.index,
        name=gpu.name,
        state=state,
        memory_total_bytes=gpu.memory_total_bytes,
        memory_used_bytes=gpu.memory_used_bytes,
        utilization_percent=gpu.utilization_percent,
        power_w=gpu.power_w,
        power_limit_w=gpu.power_limit_w,
        temperature_c=gpu.temperature_c,
        problem=gpu.problem,
        keepalive=keep,
        shared=shared,
    )


def shared_pages(facts: Facts, mode: Mode, tenants: Tenants | None) -> dict[str, SharedPage]:
    """What else there is to say of the GPUs of a shared server, by UUID; empty where the node is no such."""
    if mode is not Mode.SHARED:
        return {}
    return {
        card.uuid: _shared_page(card, facts.judge(card), None if tenants is None else tenants.on(card.uuid))
        for card in facts.gpus
    }


def _shared_page(card: Card, verdict: Verdict, tenants: Sequence[Tenant] | None) -> SharedPage:
    pythons = None if tenants is None else sum(one.is_python and not one.is_filler for one in tenants)
    bar = verdict.bar or (Bar.STRANGER if verdict.state is GpuState.FOREIGN else None)
    return SharedPage(card.memory_free_bytes, pythons, bar.value if bar is not None else "")


def try_pages(tries: Iterable[LiveTry], gpus: Sequence[Gpu], now: float) -> tuple[TryPage, ...]:
    """Each try that has begun, or waits for its GPUs to be cleared."""
    indices = {gpu.uuid: gpu.index for gpu in gpus}
    begun = (one for one in tries if one.started_wall_s or isinstance(one.stage, stages.Clearing))
    return tuple(_try_page(one, indices, now) for one in begun)


def _try_page(one: LiveTry, indices: dict[str, int], now: float) -> TryPage:
    gpus = tuple(sorted(indices[uuid] for uuid in one.gpus if uuid in indices))
    stage = stages.Cleaning.word if one.why is not None and one.is_running else one.stage.word
    if one.is_warned and stage == stages.Running.word:
        stage = WARNED
    ending = one.why.value if one.why else ""
    seconds, queue = now - one.started_at, one.needs.queue or ""
    page = TryPage(one.name, one.title, stage, gpus, seconds, one.needs.time_s, ending, queue)
    gang = one.gang
    if gang is None or gang.nodes < 2:
        return page
    return replace(page, rank=gang.rank or 0, nodes=gang.nodes, of=gang.name if one.is_other_rank else "")


def silent_pages(silent: Iterable[Silent]) -> tuple[SilentPage, ...]:
    """Each node that is watched."""
    return tuple(SilentPage(one.node, one.tries, one.beating, one.silent_s, one.left_s, one.ended) for one in silent)


def wait_pages(reasons: Sequence[tuple[str, Reason]], waiting: Iterable[Waiting]) -> tuple[WaitPage, ...]:
    """Each waiting task whose reason is told.

    Args:
        reasons: by file name.
        waiting: these tasks among all that wait, in run order.
    """
    wanted = {name for name, _ in reasons}
    tasks: dict[str, Waiting] = {}
    for one in waiting:  # they are near the head, behind what is just being claimed
        if len(tasks) == len(wanted):
            break
        if one.name in wanted:
            tasks[one.name] = one
    return tuple(_wait_page(reason, tasks[name]) for name, reason in reasons)


def _wait_page(reason: Reason, task: Waiting) -> WaitPage:
    gpus = task.needs.gpus_asked if task.is_read else ""
    return WaitPage(task.name, reason, gpus, task.tries, task.submission.name if task.submission else "")
