"""How names are spelled of what lies in a spool beside tasks and nodes: the other half of ``paths``."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.kept import Slot

CALL, RESULT = ".call", ".result"


@dataclass(frozen=True)
class PathsBeside:
    """Submissions to clusters, notices, job files, calls of functions."""

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
    def calls(self) -> str:
        """Functions that were submitted, and what came of them; whoever submits the first one makes it."""
        return f"{self.root}/calls"

    def call(self, task_id: str) -> str:
        """The function of a task, and what it is called with."""
        return f"{self.calls}/{task_id}{CALL}"

    def result(self, task_id: str) -> str:
        """What the function of a task returned or raised."""
        return f"{self.calls}/{task_id}{RESULT}"
