"""Tells tasks that their end is near, by the signal that they have asked for (``--signal``).

- An end that the agent knows of: the task's ``--time``, the moment when running tasks go back (the lifetime's end
  with ``--at-end stop``, the allocation's), and its own leaving.  The signal comes so many seconds before it as the
  task says, or at once where less is left.
- Once for a try: what is noted of that outlives the agent.  It is noted before it is sent.
- It goes to who catches it, and to nobody else (:mod:`gpu_queue.execution.catching`).  Where nobody does, it is
  looked again until the end: a program may need minutes to come to its handler.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

from gpu_queue.agent import stages
from gpu_queue.agent.agenda import NEVER
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.notes import Notes
from gpu_queue.agent.tries import Tries
from gpu_queue.execution import leftword, processes
from gpu_queue.execution.catching import Search
from gpu_queue.texts import printable
from gpu_queue.units import format_exact_duration, format_utc

AGAIN_S = 2.0
"""Where nobody catches the signal yet, it is looked again so soon."""
PATIENCE_S = 0.02
STILL_LOOKS_S = 0.1
NAMES_TOLD = 4
OTHERS = "as another of its nodes was"
"""Instead of an end: that node alone knows how much time is left."""


@dataclass(frozen=True)
class Ahead:
    """An end that is to come."""

    at: float
    """When the task is sent TERM, in monotonic seconds."""
    what: str
    """What ends it, for people."""


def next_end(limit_at: float, stops_at: float, leaves_at: float, others_at: float = NEVER) -> Ahead:
    """The first of the ends of a try.  Pure.

    Args:
        limit_at: when its ``--time`` is over, in monotonic seconds, as all here; infinite: it has none.
        stops_at: when running tasks go back to pending.
        leaves_at: when it goes back because its agent leaves.
        others_at: when another rank of its task ends, which was warned.
    """
    ends = (
        Ahead(leaves_at, "its agent gives the node back"),
        Ahead(limit_at, "its --time is over"),
        Ahead(stops_at, "the agent's lifetime or allocation ends"),
        Ahead(others_at, OTHERS),
    )
    return min(ends, key=lambda one: one.at)


def told_line(name: str, to: Iterable[processes.Process], ahead: Ahead, now: float) -> str:
    """What the log of a try has of its warning.

    Args:
        name: of the signal.
        to: to whom it was sent.
        ahead: the end that it warns of.
        now: monotonic seconds.
    """
    who = [f"{printable(one.name)} (process {one.pid})" for one in to]
    more = f" and {len(who) - NAMES_TOLD} more" if len(who) > NAMES_TOLD else ""
    left = format_exact_duration(float(max(0, round(ahead.at - now))))
    when = ahead.what if ahead.what == OTHERS else f"{left} before {ahead.what}"
    return f"told {name}, {when}: {', '.join(who[:NAMES_TOLD])}{more}"


class Warnings:
    """Those of one agent's tries."""

    def __init__(self, tries: Tries, notes: Notes, stops_at: float) -> None:
        """Warn nobody yet.

        Args:
            tries: what runs here.
            notes: where it is told.
            stops_at: when running tasks go back, in monotonic seconds; infinite: they do not.
        """
        self._tries = tries
        self._notes = notes
        self._stops_at = stops_at
        self.leaves_at: dict[str, float] = {}
        """When tries, by their names, go back because the agent leaves."""
        self.others_at: dict[str, float] = {}
        """When tries, by their names, end because another rank of their task does, which was warned."""
        self._searches: dict[str, Search] = {}
        self._look_at: dict[str, float] = {}
        """When it is looked again who catches it."""
        self._told: set[str] = set()
        """Tries of which people were told that nobody catches their signal."""

    def due(self, now: float) -> float:  # noqa: ARG002
        """When somebody is to be warned."""
        return min((self._due(one) for one in self._awaited()), default=NEVER)

    def advance(self, now: float) -> None:
        """Warn whose end is near."""
        awaited = self._awaited()
        names = {one.name for one in awaited}
        for notes in (self._searches, self._look_at):
            for name in notes.keys() - names:
                del notes[name]
        for name in self.others_at.keys() - self._tries.live.keys():
            del self.others_at[name]
        self._told &= names
        for one in awaited:
            if now >= self._due(one):
                self._warn(one, now)

    def _awaited(self) -> list[LiveTry]:
        """Tries that run, and want to be warned and were not."""
        return [
            one
            for one in self._tries.live.values()
            if one.needs.signal is not None
            and isinstance(one.stage, stages.Running)
            and one.stage.why is None
            and one.started_wall_s
            and not one.is_warned
        ]

    def _ahead(self, one: LiveTry) -> Ahead:
        limit_at = one.stage.limit_at if isinstance(one.stage, stages.Running) else NEVER
        others_at = self.others_at.get(one.name, NEVER)
        return next_end(limit_at, self._stops_at, self.leaves_at.get(one.name, NEVER), others_at)

    def _due(self, one: LiveTry) -> float:
        assert one.needs.signal is not None
        # A leaving agent's task is told at once: nobody knows how much of its time the platform grants.
        at = (
            0.0
            if one.name in self.leaves_at or one.name in self.others_at
            else self._ahead(one).at - one.needs.signal.before_s
        )
        return max(at, self._look_at.get(one.name, 0.0))

    def _warn(self, one: LiveTry, now: float) -> None:
        wanted = one.needs.signal
        assert wanted is not None
        if leftword.is_warned(one.directory):  # by the agent before us
            one.is_warned = True
            return
        shim_pid = one.pid or (one.directory.pid() or (0, 0))[0]
        if one.name not in self._searches:
            self._searches[one.name] = Search(one.claim_path, shim_pid, wanted.number, to_all=wanted.to_all)
        search = self._searches[one.name]
        found = search.result(PATIENCE_S)
        if found is None:
            self._look_at[one.name] = now + STILL_LOOKS_S
            return
        del self._searches[one.name]
        if found:
            self._send(one, found, now)
        else:
            self._look_at[one.name] = now + AGAIN_S
            if one.name not in self._told:
                self._told.add(one.name)
                self._notes.tell(one, _nobody(one, search.own))

    def _send(self, one: LiveTry, found: list[processes.Process], now: float) -> None:
        wanted = one.needs.signal
        assert wanted is not None
        at = format_utc(time.time())
        try:
            leftword.write_warned(one.directory, at)
        except OSError:
            pass  # a full disk: our successor may warn it once more, which is better than not at all
        one.is_warned, one.facts["warned_at"] = True, at
        told = [process for process in found if processes.send(process, signal.Signals(wanted.number))]
        self._notes.tell(one, told_line(wanted.name, told, self._ahead(one), now))


def _nobody(one: LiveTry, own: str) -> str:
    wanted = one.needs.signal
    assert wanted is not None
    if wanted.to_all:
        return f"none of its processes catches {wanted.name}: none was told yet that its end is near"
    return (
        f"{printable(own) or 'its script'} does not catch {wanted.name}, and was not told yet that its end is near "
        "(a script hands it on by exec or trap; all: before the signal's name tells all processes that catch it)"
    )
