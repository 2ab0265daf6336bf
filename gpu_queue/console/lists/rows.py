"""A task as a row of a list.  Pure."""

from __future__ import annotations

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.lists.choosing import AnyTask
from gpu_queue.console.lists.facts import Facts
from gpu_queue.console.models.tasks import TaskRow
from gpu_queue.console.sentences import why_waits
from gpu_queue.console.world.living import gpu_key, running_of
from gpu_queue.reasons import is_of_node
from gpu_queue.spool.pages import WaitPage
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import NodeView, Presence, RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask
from gpu_queue.task import Needs, State

WHY_MAX = 8


def row_of(task: AnyTask, facts: Facts, seen: Snapshot, told: WaitPage | None = None) -> TaskRow:
    """A row.

    Args:
        task: of the snapshot.
        facts: what its files tell.
        seen: the snapshot.
        told: what a node tells of one that waits.
    """
    needs, task_id = facts.needs, task.task_id
    title = text_of(facts.title) if facts.title else task.title
    common = {
        "key": key_of(task_id or task.name),
        "has_id": task_id is not None,
        "short": "" if task_id is None else task_id.split("-")[1],
        "title": text_of(title),
        "user": None if facts.user is None else text_of(facts.user),
        "gpus": gpus_of(needs),
        "memory_bytes": None if needs is None else needs.memory_bytes,
        "queue": None if needs is None or needs.queue is None else text_of(needs.queue),
        "limit_s": None if needs is None else needs.time_s,
        "tries": facts.tries,
    }
    if isinstance(task, WaitingTask):
        return TaskRow.model_validate(
            {
                **common,
                "gpus": common["gpus"] or ("" if told is None else text_of(told.gpus)),
                "state": "waiting",
                "priority": task.priority,
                "place": seen.waiting.place(task.name),
                "submitted_at_s": task.submitted_s,
                "why": [why_waits(one.node, one.reason) for one in _told(task, seen)[:WHY_MAX]],
            }
        )
    if isinstance(task, RunningTask):
        living = running_of(task, seen)
        return TaskRow.model_validate(
            {
                **common,
                "state": "running",
                "priority": task.claim.priority,
                "node": living.node,
                "gpu_keys": living.gpus,
                "gpu_indices": [] if task.page is None else list(task.page.gpus),
                "started_at_s": living.started_at_s,
                "limit_s": living.limit_s if living.limit_s is not None else common["limit_s"],
                "queue": common["queue"] or living.queue or None,
                "outcome": living.ending or living.stage,
            }
        )
    return TaskRow.model_validate({**common, **_ended(task, facts, seen)})


def _told(task: WaitingTask, seen: Snapshot) -> tuple[NodeReason, ...]:
    """Why it waits; nothing, where it is only too far behind for a node that serves to tell of it."""
    if task.reasons and is_of_node(task.reasons[0].reason) and any(map(_serves, seen.nodes)):
        return ()
    return task.reasons


def _serves(node: NodeView) -> bool:
    return node.presence is Presence.ALIVE and node.page is not None and node.page.reason is None


def _ended(task: SettledTask, facts: Facts, seen: Snapshot) -> dict[str, object]:
    event = task.ended
    state = "done" if task.state is State.DONE else "failed"
    found: dict[str, object] = {
        "state": state,
        "priority": task.priority,
        "submitted_at_s": task.submitted_s,
        "outcome": state,
    }
    if event is None:
        # No try of it ended: a person took it out of what waits.
        return found | ({"outcome": "cancelled"} if state == "failed" and facts.tries == 0 else {})
    node = seen.node(event.node)
    cards = {} if node is None or node.page is None else {one.uuid: one.index for one in node.page.gpus}
    return found | {
        "outcome": text_of(event.outcome) or state,
        "status": event.status,
        "error_type": text_of(event.error_type),
        "node": key_of(event.node),
        "gpu_keys": [gpu_key(event.node, uuid) for uuid in event.gpus],
        "gpu_indices": sorted(cards[uuid] for uuid in event.gpus if uuid in cards),
        "ended_at_s": event.at_s,
    }


def gpus_of(needs: Needs | None) -> str:
    """How many GPUs a task asks for: ``2``, ``1-4``, ``2x8``; empty: nobody knows."""
    return "" if needs is None else needs.gpus_asked
