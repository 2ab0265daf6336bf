"""What was changed through this console: the last 200 changes, and a line of the log for each."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass

from gpu_queue.console.keys import text_of
from gpu_queue.console.models.plans import Plan
from gpu_queue.console.models.spools import Action
from gpu_queue.console.plans.keeping import Kept
from gpu_queue.console.plans.progress import Progress

KEPT_MAX = 200
log = logging.getLogger("gpu_queue.console.actions")


@dataclass(frozen=True)
class _Done:
    at_s: float
    who: str
    kept: Kept
    progress: Progress
    is_undo: bool
    summary: str


class Actions:
    """The changes, newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: deque[_Done] = deque(maxlen=KEPT_MAX)
        self._counts: Counter[tuple[str, str]] = Counter()

    def begin(self, at_s: float, who: str, kept: Kept, progress: Progress, *, is_undo: bool = False) -> None:
        """A plan is being run, or undone."""
        said = summary(kept.made.plan, is_undo=is_undo)
        with self._lock:
            self._done.appendleft(_Done(at_s, who, kept, progress, is_undo, said))

    def end(self, kept: Kept, progress: Progress, who: str, *, is_undo: bool = False) -> None:
        """It is over; called by the thread that did it."""
        said = summary(kept.made.plan, is_undo=is_undo)
        log.info("%s by %s in %s: %s", said, text_of(who), text_of(kept.job), outcome(progress))
        with self._lock:
            for what, count in progress.counts.items():
                self._counts["undo" if is_undo else kept.made.plan.action, what] += count

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each action had which outcome."""
        with self._lock:
            return dict(self._counts)

    def list(self, job: str) -> list[Action]:
        """Those of a spool."""
        with self._lock:
            done = list(self._done)
        return [
            Action(
                at_s=one.at_s,
                who=one.who,
                job=one.kept.job,
                action="undo" if one.is_undo else one.kept.made.plan.action,
                summary=one.summary,
                outcome=outcome(one.progress),
                counts=one.progress.counts,
                plan=one.kept.made.plan.id,
                can_undo=not one.is_undo and one.kept.can_undo,
            )
            for one in done
            if one.kept.job == job
        ]


def outcome(progress: Progress) -> str:
    """What came of it, for people."""
    if not progress.is_finished:
        return "running"
    counts = ", ".join(f"{count} {what}" for what, count in sorted(progress.counts.items()))
    return f"{counts}; {progress.problem}" if counts and progress.problem else counts or progress.problem or "nothing"


def summary(plan: Plan, *, is_undo: bool = False) -> str:
    """What was meant, in English."""
    counts, nodes = plan.counts, ", ".join(one.title for one in plan.nodes[:3])
    parts = [
        f"{verb} {count}" for verb in ("stop", "cancel", "retry", "priority") if (count := getattr(counts, verb))
    ]
    if plan.action == "submit":
        parts = [f"submit {counts.submit}"]
    elif plan.action == "load" and plan.load is not None:
        parts = [f"load {plan.load.file}: {counts.submit}"]
    elif plan.action == "priority":
        parts = [f"priority {plan.priority} of {counts.priority}"]
    elif plan.action == "explain":
        parts = [f"explain {counts.total}"]
    elif plan.action in ("shutdown", "forget"):
        parts = [f"{plan.action} {nodes}" + (" …" if len(plan.nodes) > 3 else "")]
    if plan.ends_agent:
        parts.append(f"end the agent on {plan.ends_agent}")
    if len(plan.tasks) == 1 and plan.action not in ("submit", "load"):
        parts.append(plan.tasks[0].title)
    said = " ".join(parts) or plan.action.replace("_", " ")
    return f"undo: {said}" if is_undo else said
