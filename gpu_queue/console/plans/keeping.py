"""Plans that were made, and what came of them: for ten minutes, bounded in number and in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from gpu_queue.console.models.plans import Plan, PlanOutcome
from gpu_queue.console.plans.nouns import Made
from gpu_queue.console.plans.progress import Progress

LIVES_S = 600.0
PLANS_MAX = 200
WEIGHT_MAX_BYTES = 96 << 20
"""Of all plans together; a submission of 64 MiB of scripts fits."""


class NoSuchPlan(LookupError):
    """It was never made, or is too old, or had to make room for others."""


@dataclass
class Kept:
    """A plan, its run and its undo."""

    job: str
    made: Made
    expires_at_s: float
    progress: Progress | None = None
    """None: it was not run."""
    undoing: Progress | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a thread is at work on it."""
        return any(one is not None and not one.is_finished for one in (self.progress, self.undoing))

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo, and nobody did."""
        if self.progress is None or not self.progress.is_finished or self.undoing is not None:
            return False
        moved, action = self.progress.moved, self.made.request.action
        tasks = self.made.restorable(moved.tasks) if action in ("cancel", "stop") else moved.tasks
        return self.made.plan.can_undo and bool(tasks or moved.flags or moved.submitted or moved.is_rewritten)

    def outcome(self) -> PlanOutcome | None:
        """What came of its run so far."""
        if self.progress is None:
            return None
        return self.progress.view(self.expires_at_s if self.can_undo else None)

    def view(self) -> Plan:
        """The plan as it is now."""
        undone = None if self.undoing is None else self.undoing.view(None)
        changed = {"expires_at_s": self.expires_at_s, "outcome": self.outcome(), "undone": undone}
        return self.made.plan.model_copy(update=changed)


class Shelf:
    """All plans, oldest first."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """None yet.

        Args:
            now_s: epoch seconds.
        """
        self._now_s = now_s
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, kept: Kept) -> None:
        """Keep a plan; what is too old, and then what is oldest, makes room."""
        self._kept[kept.made.plan.id] = kept
        self._tidy()

    def get(self, job: str, plan_id: str) -> Kept:
        """A plan of a spool.

        Raises:
            NoSuchPlan: there is none such any more.
        """
        kept = self._kept.get(plan_id)
        if kept is None or kept.job != job or (kept.expires_at_s < self._now_s() and not kept.is_busy):
            raise NoSuchPlan(plan_id)
        return kept

    def renew(self, kept: Kept) -> None:
        """It was run, or undone: it is kept for as long again, without the texts of its scripts."""
        kept.expires_at_s = self._now_s() + LIVES_S
        request = kept.made.request
        if request.scripts:
            kept.made = replace(kept.made, request=request.model_copy(update={"scripts": []}))

    def _tidy(self) -> None:
        now_s = self._now_s()
        for plan_id, kept in list(self._kept.items()):
            if kept.expires_at_s < now_s and not kept.is_busy:
                del self._kept[plan_id]
        weight = sum(kept.made.weight_bytes for kept in self._kept.values())
        newest = next(reversed(self._kept), None)
        for plan_id, kept in list(self._kept.items()):
            if len(self._kept) <= PLANS_MAX and weight <= WEIGHT_MAX_BYTES:
                return
            if not kept.is_busy and plan_id != newest:
                weight -= kept.made.weight_bytes
                del self._kept[plan_id]
