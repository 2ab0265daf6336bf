"""What was changed through this console: the last 200 changes, and a line of the log for each."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass

from gpu_queue.console.keys import text_of
from gpu_queue.console.models.common import Note, Param
from gpu_queue.console.models.plans import Plan
from gpu_queue.console.models.spools import Action
from gpu_queue.console.phrasebook import ACTIONS
from gpu_queue.console.plans.journal import KEPT_MAX, Journal
from gpu_queue.console.plans.keeping import Kept
from gpu_queue.console.plans.progress import Progress
from gpu_queue.console.sentences import filled

SETTINGS_MAX = 5
NODES_MAX = 3
"""So many are named."""
log = logging.getLogger("gpu_queue.console.actions")


@dataclass(frozen=True)
class _Done:
    at_s: float
    who: str
    kept: Kept
    progress: Progress
    is_undo: bool
    summary: Note

    def view(self) -> Action:
        """As others see it."""
        return Action(
            at_s=self.at_s,
            who=self.who,
            job=self.kept.job,
            action="undo" if self.is_undo else self.kept.made.plan.action,
            summary=self.summary,
            state="finished" if self.progress.is_finished else "running",
            problem=self.progress.problem,
            counts=self.progress.counts,
            plan=self.kept.made.plan.id,
            can_undo=not self.is_undo and self.kept.can_undo,
        )


class Actions:
    """The changes, newest first."""

    def __init__(self, journal: Journal | None = None) -> None:
        """Those that are kept of earlier consoles.

        Args:
            journal: where they are kept; None: nowhere.
        """
        self._lock = threading.Lock()
        self._journal = journal
        self._done: deque[_Done] = deque(maxlen=KEPT_MAX)
        self._past = [] if journal is None else journal.read()
        self._counts: Counter[tuple[str, str]] = Counter()

    def begin(self, at_s: float, who: str, kept: Kept, progress: Progress, *, is_undo: bool = False) -> None:
        """A plan is being run, or undone."""
        said = summary(kept.made.plan, is_undo=is_undo)
        with self._lock:
            self._done.appendleft(_Done(at_s, who, kept, progress, is_undo, said))

    def note(self, root: str, progress: Progress) -> None:
        """Write down what is known of a change; called by the thread that does it, as it begins and when it is over.

        Args:
            root: the path of its queue.
            progress: of the change.
        """
        with self._lock:
            one = next((one for one in self._done if one.progress is progress), None)
        if one is not None and self._journal is not None:
            which = f"{one.kept.made.plan.id}{' undo' if one.is_undo else ''}"
            self._journal.add(which, root, one.view())

    def end(self, kept: Kept, progress: Progress, who: str, *, is_undo: bool = False) -> None:
        """It is over; called by the thread that did it."""
        said = summary(kept.made.plan, is_undo=is_undo)
        log.info("%s by %s in %s: %s", said.text.en, text_of(who), text_of(kept.job), outcome(progress))
        with self._lock:
            for what, count in progress.counts.items():
                self._counts["undo" if is_undo else kept.made.plan.action, what] += count

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each action had which outcome."""
        with self._lock:
            return dict(self._counts)

    def list(self, job: str, root: str) -> list[Action]:
        """Those of a spool; of earlier consoles none can be undone.

        Args:
            job: its name.
            root: its path.
        """
        with self._lock:
            done = list(self._done)
        own = [one.view() for one in done if one.kept.job == job]
        return [*own, *(action for where, action in self._past if where == root)][:KEPT_MAX]


def outcome(progress: Progress) -> str:
    """What came of it, for the log."""
    if not progress.is_finished:
        return "running"
    counts = ", ".join(f"{count} {what}" for what, count in sorted(progress.counts.items()))
    problem = "" if progress.problem is None else progress.problem.text.en
    return f"{counts}; {problem}" if counts and problem else counts or problem or "nothing"


def summary(plan: Plan, *, is_undo: bool = False) -> Note:
    """What was meant: a code of ``phrasebook.ACTIONS``."""
    code, params = _meant(plan)
    code = f"undo_{code}" if is_undo else code
    return Note(code=code, params=params, text=filled(ACTIONS[code], params))


def _meant(plan: Plan) -> tuple[str, dict[str, Param]]:
    counts = plan.counts
    if plan.nodes and plan.action in ("shutdown", "forget"):
        names = [one.title for one in plan.nodes[:NODES_MAX]]
        many = "_many" if len(plan.nodes) > NODES_MAX else ""
        return f"{plan.action}{many}", {"count": len(plan.nodes), "nodes": names}
    if plan.action == "submit":
        name = plan.scripts[0].name if len(plan.scripts) == 1 and counts.submit == 1 else ""
        return ("submit_one", {"title": name}) if name else ("submit", {"count": counts.submit})
    if plan.action in ("pause", "resume", "drain", "keepalive_on", "keepalive_off", "shutdown", "forget"):
        return plan.action, {"nodes": []}
    if plan.action == "load":
        return "load", {"file": "" if plan.load is None else plan.load.file, "count": counts.submit}
    if plan.action == "policy":
        more = "_many" if len(plan.settings) > SETTINGS_MAX else "" if plan.settings else "_text"
        return f"policy{more}", {"settings": plan.settings[:SETTINGS_MAX], "count": len(plan.settings)}
    if plan.ends_agent:
        return "stop_agent", {"stop": counts.stop, "cancel": counts.cancel, "node": plan.ends_agent}
    code: str = plan.action
    if plan.action == "stop":
        code = ("stop_cancel" if counts.cancel else "stop") if counts.stop else "cancel"
    params: dict[str, Param] = {
        "stop": counts.stop,
        "cancel": counts.cancel,
        "retry": counts.retry,
        "count": counts.priority if plan.action == "priority" else counts.total,
        "priority": plan.priority,
    }
    touched = [one for one in plan.tasks if one.does != "nothing"]
    if len(touched) == 1 and counts.total - counts.nothing == 1:
        return f"{code}_one", {"title": touched[0].title, "priority": plan.priority}
    return code, params
