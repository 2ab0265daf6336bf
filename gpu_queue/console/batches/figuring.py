"""The figures of a batch: what ``gpu-queue report`` tells of it, without reading again what cannot change."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gpu_queue.experiments.known import Member, current
from gpu_queue.experiments.reporting import collecting
from gpu_queue.experiments.reporting.facts import RunFacts
from gpu_queue.experiments.reporting.whole import Report, report
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, parse_claim
from gpu_queue.task import State

READ_S = 2.5
KEPT_MAX = 50_000
"""Of one spool."""
SCRIPT_BYTES = 16 << 10
COMMAND_MAX = 300
COMMAND = "command"
_SHELL = "bash -c "
_URGENT = {State.RUNNING: 0, State.FAILED: 1, State.PENDING: 2, State.DONE: 3}


@dataclass(frozen=True)
class Figured:
    """A batch, as far as its files were read."""

    report: Report
    unread: frozenset[str] = frozenset()
    """Ids of tasks of which only their state is known yet."""


@dataclass
class Figuring:
    """Of one spool; for one thread at a time."""

    paths: SpoolPaths
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[object, RunFacts]] = field(default_factory=dict)
    """What was read of a task, with where it was then."""
    _commands: dict[str, str] = field(default_factory=dict)

    def of(self, members: Sequence[Member], now_s: float, limit_s: float = READ_S) -> Figured:
        """The figures of all runs, those of one run together.

        Args:
            members: their tasks, in the order of their submission.
            now_s: epoch seconds by the storage's clock.
            limit_s: so long files are read; who asks again gets more.

        Raises:
            SpoolError: the storage failed.
        """
        deadline = self.clock() + limit_s
        counting = {one.id for one in current(members)}
        new = [one for one in members if self._known(one) is None]
        claims = collecting.claims_of(self.paths, (one.id for one in new if one.state in (State.DONE, State.FAILED)))
        unread = set()
        for one in sorted(new, key=lambda member: _URGENT[member.state]):
            if self.clock() > deadline:
                unread.add(one.id)
                continue
            live = parse_claim(one.task.name) if one.state is State.RUNNING else None
            tries = claims.get(one.id, [] if live is None else [replace(live[0], priority=0)])
            facts = collecting.facts_of(self.paths, one, tries, is_current=True)
            self._kept[one.id] = _mark(one), facts
        found = [self._facts(one, is_current=one.id in counting) for one in _in_order(members)]
        beats = collecting.beats(self.paths, found) if found else []
        made = report(found, now_s, time.time(), beats)
        if len(self._kept) > KEPT_MAX:
            self._kept.clear()
        return Figured(made, frozenset(unread))

    def _known(self, member: Member) -> RunFacts | None:
        mark, facts = self._kept.get(member.id, (None, None))
        # The record of a try that runs is written anew until it has ended, and one that waits may have had some.
        return facts if member.state in (State.DONE, State.FAILED) and mark == _mark(member) else None

    def _facts(self, member: Member, *, is_current: bool) -> RunFacts:
        mark, facts = self._kept.get(member.id, (None, None))
        if facts is None or mark != _mark(member):
            facts = RunFacts(member.submission, member.state)
        return replace(facts, is_current=is_current)

    def with_commands(self, members: Iterable[Member], limit_s: float = READ_S) -> list[Member]:
        """Blocks of a command file with what they run, as a value of a matrix; without, where there was no time."""
        deadline, found = self.clock() + limit_s, []
        if len(self._commands) > KEPT_MAX:
            self._commands.clear()
        for one in members:
            command = self._commands.get(one.id)
            if command is None and self.clock() < deadline:
                command = self._commands[one.id] = self._command(one)
            part = replace(one.part, params=((COMMAND, command),)) if command else one.part
            found.append(replace(one, part=part, submission=replace(one.submission, experiment=part)))
        return found

    def _command(self, member: Member) -> str:
        try:
            script, _ = files.read_regular(member.task.path(self.paths), SCRIPT_BYTES)
        except (OSError, files.FileProblem):
            return ""
        return commands_in(script.decode("utf-8", "replace"))[:COMMAND_MAX]


def _mark(member: Member) -> object:
    return member.state, member.task.name, member.was_cancelled


def _in_order(members: Sequence[Member]) -> list[Member]:
    first: dict[tuple[str, str], str] = {}
    for one in members:
        first.setdefault((one.part.file, one.part.name), one.id)
    return sorted(members, key=lambda one: (first[one.part.file, one.part.name], one.id))


def commands_in(script: str) -> str:
    r"""The commands of a block, from the script that was made of it.

    >>> commands_in("export A=1\\nbash -c 'python a.py --seed 1' || exit\\nbash -c 'python b.py' || exit\\n")
    'python a.py --seed 1; python b.py'

    Args:
        script: its text.
    """
    found = []
    for line in script.splitlines():
        if not line.startswith(_SHELL):
            continue
        try:
            words = shlex.split(line)
        except ValueError:
            continue  # a command of several lines: its first one is enough
        found.append(words[2] if len(words) > 2 else line)
    return "; ".join(found)
