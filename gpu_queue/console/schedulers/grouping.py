"""Configurations, their queues and their processes, from a snapshot and what is known of its tasks.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.seed import Process, Scheduler, SchedulerQueue
from gpu_queue.console.schedulers.origins import Live, Origin
from gpu_queue.experiments.commandfiles.batches import digits_of
from gpu_queue.reasons import Code
from gpu_queue.spool.paths import submitted_s
from gpu_queue.spool.snapshot.view import QueueView, RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.words import in_words

PROCESSES_MAX = 1000
COMMAND_MAX = 500
PIDS = 1 << 24
"""From here on a ``pid`` means a load: all tasks that were made of one file."""
Mode = Literal["single", "multi"]
Configuration = tuple[str, str, int]
"""File, mode, index."""


def pid_of(task_id: str | None) -> int | None:
    """The number by which the document calls a task: the value of the six hex digits of its id; None: it has no id.

    >>> pid_of("20261123T014415123-7ad896-sft.sh")
    8050838
    """
    return None if task_id is None else int(task_id[19:25], 16)


def load_pid(path: str) -> int:
    """The number by which the loads of a command file are called.

    Args:
        path: of the file, without links.
    """
    return PIDS + int(digits_of(path), 16)


def wanted(seen: Snapshot) -> list[Live]:
    """The tasks that are told of: what runs, then what waits in run order, at most ``PROCESSES_MAX``."""
    running: list[Live] = list(seen.running[:PROCESSES_MAX])
    return [*running, *seen.waiting[: PROCESSES_MAX - len(running)]]


def called(seen: Snapshot, pid: int) -> list[Live]:
    """What runs or waits and is called so."""
    digits = f"-{pid:06x}-"
    running: list[Live] = [one for one in seen.running if one.task_id[18:26] == digits]
    return [*running, *(one for one in seen.waiting if (one.task_id or "")[18:26] == digits)]


def schedulers(
    seen: Snapshot, origins: Mapping[str, Origin], bound: Collection[str] = frozenset()
) -> list[Scheduler]:
    """All configurations of which something waits or runs, in the order of their files; what is of none comes last.

    Args:
        seen: the spool.
        origins: what is known of its tasks, by their names; others are left out.
        bound: the ids of tasks to which a log is bound.
    """
    groups: dict[Configuration | None, list[tuple[Live, Origin]]] = {}
    for task in wanted(seen):
        origin = origins.get(task.name)
        if origin is not None:
            batch = origin.batch
            which = (batch.file, batch.mode, batch.index) if batch is not None else None
            groups.setdefault(which, []).append((task, origin))
    queues = {one.queue: one for one in seen.queues}
    known = sorted(one for one in groups if one is not None)
    made = [_scheduler(which, groups[which], queues, bound) for which in known]
    return [*made, *([_scheduler(None, groups[None], queues, bound)] if None in groups else [])]


def _scheduler(
    which: Configuration | None,
    tasks: Sequence[tuple[Live, Origin]],
    queues: Mapping[str, QueueView],
    bound: Collection[str],
) -> Scheduler:
    by_queue: dict[str | None, list[tuple[Live, Origin]]] = {}
    for task, origin in tasks:
        by_queue.setdefault(origin.needs.queue if origin.needs is not None else None, []).append((task, origin))
    named = sorted(one for one in by_queue if one is not None)
    began = [moment for task, _ in tasks if (moment := submitted_s(task.task_id or "")) is not None]
    return Scheduler(
        pid=None if which is None else load_pid(which[0]),
        load=None if which is None else digits_of(which[0]),
        mode=_mode(which),
        config_index=None if which is None else which[2],
        file="" if which is None else text_of(which[0]),
        started_at=min(began) if began and which is not None else None,
        queues=[_queue(one, by_queue[one], queues, bound) for one in [*named, *([None] if None in by_queue else [])]],
    )


def _mode(which: Configuration | None) -> Mode | None:
    if which is None:
        return None
    return "multi" if which[1] == "multi" else "single"


def _queue(
    name: str | None, tasks: Sequence[tuple[Live, Origin]], queues: Mapping[str, QueueView], bound: Collection[str]
) -> SchedulerQueue:
    view = queues.get(name or "") if name is not None else None
    running = sum(isinstance(task, RunningTask) for task, _ in tasks)
    return SchedulerQueue(
        queue=None if name is None else text_of(name),
        state="busy" if running or (view is not None and view.is_busy) else "idle",
        pending=len(tasks) - running,
        running=running,
        completed=None if view is None else view.done,
        failed=None if view is None else view.failed,
        processes=[_process(task, origin, task.task_id in bound) for task, origin in tasks],
    )


def _process(task: Live, origin: Origin, log_bound: bool) -> Process:
    needs = origin.needs
    memory_gb = None if needs is None or needs.memory_bytes is None else round(needs.memory_bytes / (1 << 30), 3)
    common = {
        "pid": pid_of(task.task_id),
        "id": key_of(task.task_id or task.name),
        "name": text_of(origin.name or task.title),
        "command": text_of(origin.command, COMMAND_MAX),
        "memory_gb": memory_gb,
        "log_bound": log_bound,
    }
    if isinstance(task, RunningTask):
        told = {
            "state": "running",
            "node": key_of(task.node),
            "gpus": [] if task.page is None else list(task.page.gpus),
            "retry_count": task.claim.number - 1,
            "reason": "" if task.page is None else text_of(task.page.ending or task.page.stage),
        }
        return Process.model_validate(common | told)
    return Process.model_validate(common | {"state": "pending", **_why(task)})


def _why(task: WaitingTask) -> dict[str, object]:
    if not task.reasons:
        return {}
    backoff = next((why.reason for why in task.reasons if why.reason.code is Code.BACKOFF), None)
    told: dict[str, object] = {"reason": text_of(in_words(task.reasons[0].reason))}
    if backoff is not None:
        told |= {
            "reason": text_of(in_words(backoff)),
            "retry_count": int(backoff.number("failures")),
            "error_type": text_of(backoff.text("error_type")),
        }
    return told
