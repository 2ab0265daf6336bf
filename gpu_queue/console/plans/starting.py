"""Whether a task could start now, and on which node; else what it would wait for.  Pure.

The agents decide that, by more than a snapshot knows.  This is what their published facts say, and no promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.pages import GpuPage
from gpu_queue.spool.snapshot.view import NodeView, Presence, Snapshot
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import Needs, State

LOOKED_MAX = 1000
"""Waiting tasks that are looked at for what comes first: nodes publish reasons of a hundred."""
NODES_MAX = 20
"""Nodes whose reasons are told."""
_HOLDING = (Code.GPUS, Code.RESERVE)


@dataclass(frozen=True)
class Outlook:
    """What would become of a task that was submitted now."""

    starts: NodeView | None
    idle: int = 0
    """GPUs of that node that are idle."""
    why: tuple[NodeReason, ...] = ()
    """Why it waits; empty where it starts, or where nobody can tell."""


@dataclass
class Taken:
    """What tasks that are submitted before it would take."""

    gpus: dict[str, int] = field(default_factory=dict)
    """Of each node."""
    queues: set[str] = field(default_factory=set)


def outlook(needs: Needs, priority: int, seen: Snapshot, states: Mapping[str, State | None], taken: Taken) -> Outlook:
    """What would become of a task.

    Args:
        needs: what it asks for.
        priority: its priority.
        seen: the spool.
        states: of the tasks that it comes after; None: nowhere.
        taken: by those that are submitted before it; this task is added.
    """
    before = _before_all(needs, seen, states, taken)
    if before is not None:
        return Outlook(None, why=(NodeReason("", before),))
    nodes = [one for one in seen.nodes if one.presence in (Presence.ALIVE, Presence.UNKNOWN)]
    if not nodes:
        return Outlook(None, why=(NodeReason("", Reason(Code.NO_AGENT)),))
    ahead = [one for one in seen.waiting[:LOOKED_MAX] if one.priority <= priority]
    can: list[tuple[int, NodeView]] = []
    why = []
    for node in nodes:
        idle = _idle(needs, node, taken)
        problem = _on_node(needs, node, idle, ahead)
        if problem is None:
            can.append((idle, node))
        else:
            why.append(NodeReason(node.node, problem))
    if not can:
        return Outlook(None, why=tuple(why[:NODES_MAX]))
    idle, best = max(can, key=lambda one: one[0])
    taken.gpus[best.node] = taken.gpus.get(best.node, 0) + needs.gpus_min
    if needs.queue is not None:
        taken.queues.add(needs.queue)
    return Outlook(best, idle)


def _before_all(needs: Needs, seen: Snapshot, states: Mapping[str, State | None], taken: Taken) -> Reason | None:
    """What it waits for on every node."""
    failed = next((one for one in needs.after if states.get(one) is State.FAILED), "")
    if failed:
        return reason(Code.AFTER, failed=failed)
    waited = tuple(one for one in needs.after if states.get(one) is not State.DONE)
    if waited:
        return (
            reason(Code.AFTER, tasks=waited[:10], more=max(0, len(waited) - 10))
            if len(waited) > 10
            else reason(Code.AFTER, tasks=waited)
        )
    if needs.queue is not None:
        queue = next((one for one in seen.queues if one.queue == needs.queue), None)
        if queue is not None and queue.is_busy:
            return reason(Code.QUEUE, queue=needs.queue, holder=queue.holders[0] if queue.holders else "")
        if needs.queue in taken.queues or (queue is not None and queue.pending):
            return reason(Code.QUEUE, queue=needs.queue)
    flag = seen.flag("draining") or seen.flag("paused")
    if flag is not None:
        if flag.name == "paused":
            return reason(Code.PAUSED, by=flag.by)
        return reason(Code.DRAINING, cause="spool", by=flag.by)
    return None


def _fits(needs: Needs, gpu: GpuPage) -> bool:
    if needs.devices and gpu.index not in needs.devices:
        return False
    return (
        needs.memory_bytes is None or gpu.memory_total_bytes is None or gpu.memory_total_bytes >= needs.memory_bytes
    )


def _is_free(needs: Needs, gpu: GpuPage) -> bool:
    if gpu.state is not GpuState.IDLE or not _fits(needs, gpu):
        return False
    if gpu.shared is None:
        return True
    free = gpu.shared.free_bytes
    return not gpu.shared.kept_by and (needs.memory_bytes is None or free is None or free >= needs.memory_bytes)


def _idle(needs: Needs, node: NodeView, taken: Taken) -> int:
    gpus: Sequence[GpuPage] = () if node.page is None else node.page.gpus
    return max(0, sum(_is_free(needs, gpu) for gpu in gpus) - taken.gpus.get(node.node, 0))


def _on_node(needs: Needs, node: NodeView, idle: int, ahead: Sequence[WaitingTask]) -> Reason | None:
    """Why it does not start there; None: it does."""
    page = node.page
    if page is None:
        return reason(Code.SILENT, node=node.title, silent_s=node.silent_s)
    if page.state is not AgentState.SERVING:
        return page.reason or Reason(Code.OTHER, {"text": f"its agent is {page.state.value}"})
    served = sum(_fits(needs, gpu) for gpu in page.gpus)
    if needs.devices and served < len(needs.devices):
        return reason(Code.PINNED, devices=needs.devices, served=tuple(gpu.index for gpu in page.gpus))
    if needs.gpus_min > len(page.gpus):
        return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(page.gpus))
    if needs.gpus_min > served:
        return reason(Code.MEMORY, needed=needs.gpus_min, memory_bytes=needs.memory_bytes or 0, have=served)
    left_s = None if page.ends_s is None or page.beat_s is None else page.ends_s - page.beat_s
    is_cut_off = not needs.time_is_limit or page.at_end == "stop"
    if needs.time_s is not None and left_s is not None and is_cut_off and needs.time_s > left_s:
        return reason(Code.LIFETIME, time_s=needs.time_s, left_s=max(0.0, left_s))
    if needs.gpus_max == 0:
        return None
    for one in ahead:
        if any(why.node == node.node and why.reason.code in _HOLDING for why in one.reasons):
            return reason(Code.BEHIND, first=one.task_id or one.name, first_title=one.title)
    if idle < needs.gpus_min:
        counts = {state.value: sum(gpu.state is state for gpu in page.gpus) for state in GpuState}
        return Reason(Code.GPUS, {"needed": needs.gpus_min, **counts, "idle": idle})
    return None
