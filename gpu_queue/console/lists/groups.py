"""Tasks by queue, job file or experiment: how many of each group there are in each state.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.lists.labels import Label
from gpu_queue.console.lists.orders import Kind, Ref
from gpu_queue.console.models.tasks import GroupCounts, TaskGroup
from gpu_queue.spool.snapshot.view import QueueView, Snapshot

By = Literal["queue", "batch", "experiment"]
_NAMES: dict[By, Callable[[Label], str]] = {
    "queue": lambda label: label.queue,
    "batch": lambda label: label.batch,
    "experiment": lambda label: label.experiment,
}


@dataclass
class _Group:
    counts: dict[Kind, int] = field(default_factory=dict)
    first: Ref | None = None


def grouped(
    seen: Snapshot,
    refs: Iterable[Ref],
    label_of: Callable[[Ref], Label | None],
    by: By,
    key_of_ref: Callable[[Ref], str],
) -> list[TaskGroup]:
    """The groups, those of which something waits or runs first, then by name; what is of none comes last.

    Args:
        seen: the spool.
        refs: the tasks, in run order.
        label_of: tells what is known of one; None: nothing yet, it counts nowhere.
        by: what they are grouped by.
        key_of_ref: tells the key of a task.
    """
    name_of, groups = _NAMES[by], dict[str, _Group]()
    for ref in refs:
        label = label_of(ref)
        if label is None:
            continue
        group = groups.setdefault(name_of(label), _Group())
        group.counts[ref[0]] = group.counts.get(ref[0], 0) + 1
        if group.first is None:
            group.first = ref
    queues = {one.queue: one for one in seen.queues}
    told = [_told(name, one, by, queues, key_of_ref) for name, one in groups.items()]
    return sorted(told, key=lambda one: (not one.name, not (one.counts.waiting or one.counts.running), one.title))


def _told(
    name: str, group: _Group, by: By, queues: Mapping[str, QueueView], key_of_ref: Callable[[Ref], str]
) -> TaskGroup:
    mode, index, file = (name.split(":", 2) + ["", "", ""])[:3] if by == "batch" and name else ("", "", "")
    running = group.counts.get(Kind.RUNNING, 0)
    view = queues.get(name) if by == "queue" else None
    return TaskGroup(
        name=key_of(name),
        title=text_of(file or name),
        mode=text_of(mode),
        config_index=int(index) if index.isdecimal() and len(index) < 7 else None,
        counts=GroupCounts(
            waiting=group.counts.get(Kind.WAITING, 0),
            running=running,
            done=group.counts.get(Kind.DONE, 0),
            failed=group.counts.get(Kind.FAILED, 0),
        ),
        is_busy=running > 0 or (view is not None and view.is_busy),
        first="" if group.first is None else key_of_ref(group.first),
    )
