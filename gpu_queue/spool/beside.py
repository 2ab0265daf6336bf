"""How names are spelled of what lies in a spool beside tasks and nodes: the other half of ``paths``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_queue.kept import Slot

CALL, RESULT = ".call", ".result"
_SNAPSHOT = re.compile(r"(?:\.removing-[0-9a-f]{12}-)?([0-9a-f]{64})\.tgz", re.ASCII)


def parse_snapshot(name: str) -> tuple[str, bool] | None:
    """The key of a packed tree, and whether it is being removed; None for any other name in snapshots/."""
    match = _SNAPSHOT.fullmatch(name)
    return None if match is None else (match[1], name.startswith("."))


@dataclass(frozen=True)
class PathsBeside:
    """Submissions to clusters, notices, job files, calls of functions, snapshots of code."""

    root: str
    """``$QUEUE_ROOT/<JOB_ID>``."""

    @property
    def allocations(self) -> str:
        """What was asked of clusters, and answered: a directory for each submission, made by submit.sh."""
        return f"{self.root}/allocations"

    @property
    def keep(self) -> str:
        """That the queue is kept served, and how."""
        return f"{self.allocations}/keep"

    @property
    def keep_paused(self) -> str:
        """The same, given up until a person has looked; its first line says why."""
        return f"{self.allocations}/keep-paused"

    def slot(self, slot: Slot) -> str:
        """The right to submit this generation of a slot."""
        return f"{self.allocations}/slot-{slot}"

    def slot_began(self, slot: Slot) -> str:
        """That an agent served in it."""
        return f"{self.slot(slot)}.began"

    @property
    def notices(self) -> str:
        """What people are to be told of (:mod:`gpu_queue.spool.outbox`); made when it is needed."""
        return f"{self.root}/notify"

    def notice(self, name: str) -> str:
        """One of them in one of its states."""
        return f"{self.notices}/{name}"

    @property
    def jobfiles(self) -> str:
        """What people say of tasks by the web console, which makes it when it needs it; agents never read it."""
        return f"{self.root}/jobfiles"

    @property
    def bindings(self) -> str:
        """Files that are bound to tasks."""
        return f"{self.jobfiles}/bindings"

    def binding(self, task_id: str) -> str:
        """The file that is bound to one task."""
        return f"{self.bindings}/{task_id}.json"

    @property
    def snapshots(self) -> str:
        """The code that tasks were submitted with, by its key; made by the first who needs it."""
        return f"{self.root}/snapshots"

    def snapshot(self, key: str) -> str:
        """A tree, packed."""
        return f"{self.snapshots}/{key}.tgz"

    def snapshot_facts(self, key: str) -> str:
        """What whoever packed it knew of it."""
        return f"{self.snapshots}/{key}.json"

    def snapshot_taken(self, key: str, nonce: str) -> str:
        """A packed tree while it is being removed."""
        return f"{self.snapshots}/.removing-{nonce}-{key}.tgz"

    @property
    def calls(self) -> str:
        """Functions that were submitted, and what came of them; whoever submits the first one makes it."""
        return f"{self.root}/calls"

    def call(self, task_id: str) -> str:
        """The function of a task, and what it is called with."""
        return f"{self.calls}/{task_id}{CALL}"

    def result(self, task_id: str) -> str:
        """What the function of a task returned or raised."""
        return f"{self.calls}/{task_id}{RESULT}"
