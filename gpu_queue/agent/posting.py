"""People are told by a process of its own, which the agent starts when there is something to tell.

- It is started where an address is known on this node: in the agent's environment, or in its user's file.
- What this node has written down is told at once; what others left, or is to be tried again, is looked for once a
  minute.
- The agent never waits for it. Whatever goes wrong is told on the node's page, and nothing else comes of it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from gpu_queue import notify
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import Settings
from gpu_queue.errors import WayError
from gpu_queue.execution.background import Background
from gpu_queue.node.notices import has_due
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.notify.addresses import PREFIX, path_of, read_book
from gpu_queue.texts import printable

LOOK_EVERY_S = 60.0
NO_ADDRESS_EVERY_S = 600.0
"""Where no address is known."""
APART_S = 5.0
"""Between two starts: what ends meanwhile is told together."""
RUNS_MAX = 4
"""At one time: one that waits for a service that hangs does not keep up what else is to be told."""
TIMEOUT_S = 120.0
"""It ends itself earlier."""
BEGINS_WITHIN_S = 2.0
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(notify.__file__)), "__main__.py")


def state_text(environment: Mapping[str, str]) -> tuple[str, bool]:
    """What ``--check`` says of it, and whether it is a problem; empty where nobody asked for any of it.

    Args:
        environment: the agent's.
    """
    book = read_book(environment)
    if book.problems:
        return f"PROBLEM: {'; '.join(book.problems)}", True
    if not book.labels:
        return "", False
    labels = ", ".join(book.labels).lower()
    if importlib.util.find_spec("apprise") is None:
        return f"PROBLEM: pip install 'gpu-queue[notify]' for {sys.executable}, to tell {labels}", True
    return f"tells {labels}", False


class Posting:
    """Has people told what this node's tasks came to, and that its agent is near its end."""

    def __init__(self, around: Surroundings, settings: Callable[[], Settings], now: float) -> None:
        """Nothing is told yet.

        Args:
            around: the agent's.
            settings: those of the moment.
            now: monotonic seconds.
        """
        self._spool, self._environment = around.spool, around.environment
        self._incarnation, self._wake, self._say = around.incarnation, around.wake, around.say
        self._settings, self._began_at = settings, now
        self._looks: Errand[bool] = Errand(around.storage, "notices", lambda _: None)
        self._ends: Errand[None] = Errand(around.storage, "notice of the end", around.say)
        self._runs: list[Background] = []
        self._look_at = now + APART_S
        self._start_at = now
        self._is_end_told = False
        self.problem = ""
        """Why nobody can be told here, for people."""

    def due(self, now: float) -> float:  # noqa: ARG002
        """When something is to be done."""
        return self._look_at if not self._looks.is_out() else float("inf")

    def advance(self, now: float, left_s: float | None, running: int) -> None:
        """See what is to be told.

        Args:
            now: monotonic seconds.
            left_s: until the agent ends; None: nobody knows.
            running: how many tries run here.
        """
        asked = self._settings().notify
        self._spool.transitions.notices.notify = asked
        whole_s = None if left_s is None else now - self._began_at + left_s
        before_s = asked.before_end_s if whole_s is None else min(asked.before_end_s, whole_s / 2)
        if asked.agents and left_s is not None and left_s <= before_s and not self._is_end_told:
            self._tell_end(left_s, running)
        for run in [run for run in self._runs if run.is_over()]:
            self._runs.remove(run)
            self._hear(run, now)
        if self._spool.transitions.notices.has_news and now >= self._start_at and len(self._runs) < RUNS_MAX:
            self._start(now)
        elif now >= self._look_at and not self._looks.is_out():
            self._look_at = now + LOOK_EVERY_S
            self._looks.send(lambda: has_due(self._spool.paths), lambda found: self._looked(found, now))

    def close(self, now: float) -> None:
        """The agent ends: what it has written last is told all the same."""
        if self._spool.transitions.notices.has_news:
            self._start(now)
            deadline = time.monotonic() + BEGINS_WITHIN_S
            while not self._runs[-1].has_begun() and time.monotonic() < deadline:
                time.sleep(0.005)

    def _tell_end(self, left_s: float, running: int) -> None:
        at_s, at_end, incarnation = time.time() + left_s, self._settings().at_end, self._incarnation
        self._is_end_told = True

        def done(result: Failed | None) -> None:
            self._is_end_told = not isinstance(result, Failed)

        self._ends.send(lambda: self._spool.transitions.notices.of_agent(incarnation, at_s, at_end, running), done)

    def _looked(self, found: bool | Failed, now: float) -> None:
        if found is True and len(self._runs) < RUNS_MAX:
            self._start(now)

    def _start(self, now: float) -> None:
        self._spool.transitions.notices.has_news = False
        self._start_at = now + APART_S
        self._runs.append(Background(self._find, self._environment, TIMEOUT_S, self._wake))

    def _find(self) -> Sequence[str]:
        """The program; it may lie on storage that hangs, as the file of addresses may."""
        in_environment = any(name.startswith(PREFIX) for name in self._environment)
        if not in_environment and not os.path.exists(path_of(self._environment)):
            raise WayError("")
        if importlib.util.find_spec("apprise") is None:
            raise WayError(f"pip install 'gpu-queue[notify]' for {sys.executable}")
        return [sys.executable, _PROGRAM, self._spool.paths.root, ",".join(map(str, sorted(self._spool.owners)))]

    def _hear(self, run: Background, now: float) -> None:
        is_nowhere = run.status is None and not run.problem
        if is_nowhere:
            self._look_at = now + NO_ADDRESS_EVERY_S
        words = [printable(line) for line in run.words.splitlines() if line.strip()][:5]
        if run.status == 0 or is_nowhere:
            problem = "; ".join(words)
        else:
            problem = run.problem or (words[-1] if words else f"its program ended with status {run.status}")
        problem = f"people cannot be told: {problem}" if problem else ""
        if problem and problem != self.problem:
            self._say(problem)
        self.problem = problem
