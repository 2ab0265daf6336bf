"""One ``gpu-queue run``: it looks, shows what it sees, and starts an agent where none serves, until all has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gpu_queue.errors import SpoolError
from gpu_queue.experiments.known import Census, current
from gpu_queue.experiments.progress.display import Display
from gpu_queue.experiments.progress.model import advance as progress_of
from gpu_queue.experiments.progress.nouns import Agent, Progress
from gpu_queue.experiments.queueing import Loaded
from gpu_queue.experiments.running import vigil
from gpu_queue.experiments.running.agents import OwnAgent
from gpu_queue.experiments.running.interrupts import Interrupts
from gpu_queue.experiments.running.serving import agent_here, is_served_elsewhere, page_of
from gpu_queue.experiments.running.standings import Moment, Standings
from gpu_queue.experiments.running.vigil import Act, Facts, Vigil
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.reasons import Code
from gpu_queue.spool.filesystem import mount_of
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.reader import Cadence, SnapshotReader
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import NodeView, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.states import AgentState
from gpu_queue.task import State
from gpu_queue.texts import printable
from gpu_queue.words import in_words

TICK_S = 0.2
COUNT_EVERY_S = 10.0
"""Somebody else may have loaded the file, so that its runs have other tasks."""
ANEW_WITHIN_S = 2.0
"""Whoever took a task out, for its run has changed in the file, queues it anew after that."""
TOLD_MAX = 3
_ENDED = (State.DONE, State.FAILED)
_NEVER = (Code.INFEASIBLE, Code.MEMORY, Code.PINNED)
_BEHIND = (Code.AFTER, Code.QUEUE)
LOCAL = Cadence(pending=0.4, nodes=0.4, flags=2.0, running=1.0, events=0.4, settled=0.4)


@dataclass(frozen=True)
class Ending:
    """How it came to an end."""

    progress: Progress
    signal: int | None = None
    """That came in between."""
    why: str = ""
    """It was given up; empty: it was not."""
    words: tuple[str, ...] = ()
    """The last of the agent, where they tell more of that."""


@dataclass(frozen=True)
class Means:
    """What a session can do."""

    start: Callable[[], OwnAgent]
    """Start an agent."""
    load: Callable[[], Loaded]
    """Load what was left out, for it ran as it was."""


class Session:
    """Watches the runs of one file."""

    def __init__(
        self,
        paths: SpoolPaths,
        experiment: Experiment,
        loaded: Loaded,
        display: Display,
        means: Means,
    ) -> None:
        """Nothing is looked at or started yet.

        Args:
            paths: of the spool.
            experiment: the file.
            loaded: what was queued of it.
            display: where it is shown.
            means: what it can do.
        """
        self.own: OwnAgent | None = None
        """The agent that we have started; None: none, or nothing is left of it."""
        self.here: NodeView | None = None
        """The agent on this machine, by its page."""
        self._last: OwnAgent | None = None
        self._experiment = experiment
        self._ids = loaded.ids
        self._outdated = {one.id for one in loaded.plan.outdated}
        """Ids of tasks that run as they were: when one of them has ended, it is to be loaded again."""
        self._problem = ""
        self._snapshot: Snapshot | None = None
        """The one that was asked for news."""
        self._failed: set[str] = set()
        """Ids of tasks that were found in failed/."""
        self._display = display
        self._means = means
        self._reader = SnapshotReader(paths, cadence=LOCAL if mount_of(paths.root).is_local else Cadence())
        self._standings = Standings(paths, self._reader, {run.name: run for run in experiment.runs})
        self._census = Census(paths)
        self._counted_at = self._taken_at = time.monotonic()
        self._vigil = Vigil()
        self._status: int | None = None
        self._left: NodeView | None = None
        self._is_elsewhere = False
        self._starts = 1
        self._ended = ""
        self._has_told_other = False
        self._progress: Progress | None = None

    def watch(self, interrupts: Interrupts) -> Ending:
        """Go on until all is settled, it must be given up, or a signal comes; may be called again after that.

        Raises:
            SpoolError: no agent can be started.
        """
        while True:
            progress = self._look()
            step = self._advance(progress)
            if step.why and step.act is Act.WATCH:
                self._display.say(step.why)
            if step.act is Act.END and not self._goes_on_elsewhere():
                return Ending(self._look(everything=True))
            if step.act in (Act.LEAVE, Act.NEVER):
                return Ending(progress, why=step.why)
            if step.act is Act.GIVE_UP:
                words = self._last.last_words() if self._last is not None else ()
                return Ending(progress, why=step.why, words=words)
            if step.act is Act.START:
                self.own = self._last = self._means.start()
            number = interrupts.wait(TICK_S)
            if number is not None:
                return Ending(progress, signal=number)

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look(self, *, everything: bool = False) -> Progress:
        now = time.monotonic()
        # Asked before its page is read, whose last word says why it has ended.
        self._status = self.own.status() if self.own is not None else None
        everything = everything or self._standings.has_missed or self._status is not None
        snapshot = self._reader.refresh(now, everything=everything)
        has_news = self._has_news(snapshot)
        is_moving = self._standings.has_missed or self._was_taken_lately
        if has_news or is_moving or now - self._counted_at >= COUNT_EVERY_S:
            before = dict(self._ids)
            self._count(now)
            if self._ids != before:
                snapshot = self._reader.refresh(now, everything=True)
        standings = self._standings.look(Moment(snapshot, now, time.time()), self._ids)
        agent = self._see_agent(snapshot)
        has_all = len(standings) == len(self._ids) and not self._outdated
        if has_all and all(one.state in _ENDED for one in standings.values()):
            agent = replace(agent, state=AgentState.SERVING)  # that it ends now is nothing to be told
        self._progress = progress_of(self._experiment, standings, time.time(), agent=agent, before=self._progress)
        self._display.show(self._progress)
        return self._progress

    def _has_news(self, snapshot: Snapshot) -> bool:
        """Whether a task was taken out, it may be for that of another load, or runs no more as it was."""
        if snapshot is self._snapshot:
            return False
        self._snapshot = snapshot
        found = {task_id: snapshot.find(task_id) for task_id in (*self._ids.values(), *self._outdated)}
        failed = {
            task_id for task_id, one in found.items() if isinstance(one, SettledTask) and one.state is State.FAILED
        }
        is_other = bool(failed - self._failed)
        if is_other:
            self._taken_at = time.monotonic()
        self._failed = failed
        return is_other or any(isinstance(found[one], (WaitingTask, SettledTask)) for one in self._outdated)

    def _goes_on_elsewhere(self) -> bool:
        """Whether a run has another task by now than the one that has ended."""
        before = dict(self._ids)
        self._count(time.monotonic())
        return self._ids != before

    @property
    def _was_taken_lately(self) -> bool:
        """Whether something was, that may be queued anew in a moment."""
        has_cancelled = self._progress is not None and self._progress.counts.cancelled > 0
        return has_cancelled and time.monotonic() - self._taken_at < ANEW_WITHIN_S

    def _count(self, now: float) -> None:
        self._counted_at = now
        try:
            found = self._census.members(file=self._experiment.path)
            running = {one.id for one in found if one.state is State.RUNNING}
            self._ids |= {one.part.name: one.id for one in current(found) if one.part.name in self._ids}
            if not self._outdated <= running:
                loaded = self._means.load()
                self._ids |= loaded.ids
                self._outdated = {one.id for one in loaded.plan.outdated}
        except SpoolError as error:
            if self._outdated and str(error) != self._problem:
                self._problem = str(error)
                self._display.say(f"not loaded once more yet: {self._problem}")

    def _see_agent(self, snapshot: Snapshot) -> Agent:
        page_of_own = page_of(snapshot, self.own.pid) if self.own is not None else None
        own, self._left = (page_of_own, None) if self._status is None else (None, page_of_own)
        last, self.here = self.here, own or agent_here(snapshot)
        if self.own is None and self.here is None and last is not None and last.page is not None:
            # One that was not ours has gone: its last page may be newer than what we have seen of it.
            self._left = page_of(self._reader.refresh(time.monotonic(), everything=True), last.page.pid)
        self._is_elsewhere = is_served_elsewhere(snapshot)
        if self.here is not None and own is None and self.own is None and not self._has_told_other:
            self._has_told_other = True
            self._display.say(_other_agent(self.here))
        page = self.here.page if self.here is not None else None
        if page is None:
            return Agent(starts=self._starts, ended=self._ended)
        return Agent(page.state, page.node, starts=self._starts, ended=self._ended)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _advance(self, progress: Progress) -> vigil.Step:
        status = self._status
        left = self._left.page.reason if self._left is not None and self._left.page is not None else None
        facts = Facts(
            now=time.monotonic(),
            is_over=progress.is_over and not (self._standings.is_unsure or self._outdated or self._was_taken_lately),
            has_own=self.own is not None,
            status=status,
            left=left,
            is_served=self.here is not None,
            is_served_elsewhere=self._is_elsewhere,
            never=_never(progress),
        )
        step = vigil.advance(self._vigil, facts)
        if step.act is Act.START:
            self._starts += self._vigil.has_had
            self._ended = step.why
        self._vigil = step.vigil
        if status is not None:
            self.own = None
        return step


def _never(progress: Progress) -> str:
    """Why nothing of what is left can ever run on this node; empty: something can, or nobody knows."""
    reasons = [(one, one.standing.reason) for one in progress.waiting]
    never = [(one, why) for one, why in reasons if why is not None and why.code in _NEVER]
    if progress.running or any(why is None or why.code not in (*_NEVER, *_BEHIND) for _, why in reasons):
        return ""
    told = [f"{printable(one.run.name)}: {in_words(why)}" for one, why in never[:TOLD_MAX]]
    return "; ".join([*told, *([f"and {len(never) - TOLD_MAX} more"] if len(never) > TOLD_MAX else [])])


def _other_agent(node: NodeView) -> str:
    pid, mode = (node.page.pid, node.page.mode) if node.page is not None else (0, "")
    careless = "; its mode is dedicated, so it also takes GPUs that others use" if mode == "dedicated" else ""
    return f"an agent (process {pid}) serves it here already: its settings hold{careless}"
