"""What of a task's end people are to be told, written down before the rename that settles it.

Nothing is sent here, and nobody's address is known here (:mod:`gpu_queue.notify`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.config.notify import Notify
from gpu_queue.node.endings import Ending
from gpu_queue.notices import DONE, ENDED, FAILED, GROUP, GROUP_FAILED, Wish, wishes_of
from gpu_queue.spool import files, outbox, records
from gpu_queue.spool.noticenames import NoticeName, Stage, What, of_agent, of_try
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import Needs, Settlement, State, Submission
from gpu_queue.units import format_utc

_OF_GROUPS = (GROUP, GROUP_FAILED)
REASON_MAX = 500
LEFT_S = 300.0
"""What somebody claimed so long ago, and has not told, is looked at again."""


@dataclass(frozen=True)
class QueueEnd:
    """What became of the tasks of a serial queue of which the last one that waited has ended."""

    queue: str
    done: int
    failed: int


def wanted(
    own: tuple[Wish, ...], notify: Notify, submission: Submission, to: State, queue_end: QueueEnd | None
) -> dict[tuple[What, str], str]:
    """Who is told of what, with the event that is to be judged by whoever sends.  Pure.

    Args:
        own: what the task says.
        notify: what the spool says.
        submission: of the task.
        to: where it goes.
        queue_end: of its queue, where that has ended.
    """
    found: dict[tuple[What, str], str] = {}

    def add(what: What, label: str, event: str) -> None:
        if (what, label) not in found or event == ENDED:  # who is told of any end is told of a failure
            found[what, label] = event

    of_tasks = [wish for wish in own if wish.event not in _OF_GROUPS and (wish.event or not submission.array)]
    for wish in (*of_tasks, *notify.tasks):
        event = wish.event or ENDED
        if event in (ENDED, DONE if to is State.DONE else FAILED):
            add(What.ENDED, wish.label, ENDED)
    of_groups = [wish for wish in own if wish not in of_tasks]
    is_of_group = bool(submission.array or submission.experiment or submission.batch)
    for wish in (*of_groups, *(notify.groups if is_of_group else ())):
        add(What.GROUP, wish.label, FAILED if wish.event in (GROUP_FAILED, FAILED) else ENDED)
    for wish in notify.queues if queue_end is not None else ():
        if wish.event != FAILED or (queue_end is not None and queue_end.failed):
            add(What.QUEUE, wish.label, ENDED)
    return found


def has_due(paths: SpoolPaths) -> bool:
    """Whether something is to be told now, by this host's clock: whoever sends goes by the server's.

    Raises:
        OSError: it could not be told.
    """
    now_s = time.time()
    return any(
        one.stage is Stage.NEW
        or (one.stage is Stage.AGAIN and one.at_s <= now_s)
        or (one.stage is Stage.SENDING and one.at_s + LEFT_S < now_s)
        for one in outbox.look(paths)
    )


class Notices:
    """Writes them for one node, in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str, uids: frozenset[int]) -> None:
        """Nobody is told of anything but what tasks say.

        Args:
            paths: of the spool.
            node: this one.
            uids: whose records are believed.
        """
        self._paths, self._node, self._uids = paths, node, uids
        self.notify = Notify()
        """Who is told of all; the agent sets it, in its own thread."""
        self.has_news = False
        """Something was written that nobody has been told of; whoever sees to that takes it back."""

    def of_end(
        self,
        ending: Ending,
        result: Settlement,
        needs: Needs,
        is_ours: Callable[[], bool],
        queue_end: Callable[[], QueueEnd | None],
    ) -> None:
        """Have people told of a task that is settled next.

        Args:
            ending: of its last try.
            result: where it goes.
            needs: of the task.
            is_ours: whether its claim is still listed here.
            queue_end: tells of its queue, where that has ended.

        Raises:
            OSError: ask again later.
        """
        notify, own = self.notify, wishes_of(needs.notify)
        if not (own or notify.tasks or notify.groups or (notify.queues and needs.queue)):
            return
        task_id = ending.claim.task_id
        submission = records.read_submission(self._paths, task_id, self._uids)
        end = queue_end() if notify.queues and needs.queue else None
        found = wanted(own, notify, submission, result.to, end)
        if not found or not is_ours():
            return
        facts = self._facts(ending, result, submission, end)
        everyone = {wish.label for wish in notify.groups}
        self._post(
            (of_try(ending.claim, what, label), {**facts, "event": event, "everyone": label in everyone})
            for (what, label), event in found.items()
        )

    def of_agent(self, incarnation: str, ends_at_s: float, at_end: str, running: int) -> None:
        """Have people told that this node's agent is near its end, once.

        Args:
            incarnation: of the agent.
            ends_at_s: when it ends, in epoch seconds.
            at_end: what becomes of running tasks then: ``wait`` or ``stop``.
            running: how many there are.

        Raises:
            OSError: ask again later.
        """
        facts = {
            "protocol": PROTOCOL,
            "node": self._node,
            "ends_at": format_utc(ends_at_s),
            "at_end": at_end,
            "running": running,
        }
        self._post((of_agent(self._node, incarnation, wish.label), facts) for wish in self.notify.agents)

    def _post(self, notices: Iterable[tuple[NoticeName, dict[str, Any]]]) -> None:
        try:
            if outbox.post(self._paths, dict(notices)):
                self.has_news = True
        except OSError as error:
            if files.is_transient(error):
                raise  # else the disk is full: the task goes its way all the same

    def _facts(
        self, ending: Ending, result: Settlement, submission: Submission, queue_end: QueueEnd | None
    ) -> dict[str, Any]:
        claim, record = ending.claim, records.parse_try(ending.claim, ending.facts)
        said = {
            "protocol": PROTOCOL,
            "id": claim.task_id,
            "try": claim.number,
            "token": claim.token,
            "priority": claim.priority,
            "to": result.to.value,
            "outcome": result.outcome,
            "status": ending.end.status,
            "error_type": ending.error_type,
            "reason": "; ".join(filter(None, (result.reason, record.reason, record.problem)))[:REASON_MAX],
            "name": submission.name or record.name,
            "user": submission.user,
            "node": record.node or self._node,
            "gpu_indices": list(record.gpu_indices),
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "duration_s": record.duration_s,
            "group": outbox.group_of(submission),
        }
        if queue_end is not None:
            said["queue"] = {"name": queue_end.queue, "done": queue_end.done, "failed": queue_end.failed}
        return {key: value for key, value in said.items() if value not in ("", None, [], {})}
