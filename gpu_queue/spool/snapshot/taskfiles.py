"""The files of one task: what was submitted, its tries, its script's needs, its logs; read when somebody asks.

What is said of a settled task does not change while it stays settled: that is kept, within bounds.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from gpu_queue.errors import BadScript
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files, growing, records
from gpu_queue.spool.paths import SpoolPaths, log_of_rank, parse_claim
from gpu_queue.spool.records import TryRecord
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import Problem, RunningTask
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask
from gpu_queue.task import Claim, Needs, State, Submission, TryResult
from gpu_queue.texts import printable

T = TypeVar("T")
TRIES_MAX = 100
KEPT_MAX = 20_000
KEPT_BYTES = 64 << 20
"""Of settled tasks, as far as their texts weigh."""
ENTRY_BYTES = 2000
RECORDS_MAX = 2_000_000
"""Names in records/ that are gone through for the try of a task that no other file names."""
WINDOW_MAX_BYTES = 4 << 20
RANKS_SHOWN = 64
"""Of so many ranks logs are looked for."""


@dataclass(frozen=True)
class TryView:
    """One try, by all that tells of it."""

    claim: Claim
    result: TryResult | None
    """Its end, in the index of tries; None: it has not ended, or was the first and succeeded."""
    record: TryRecord | None
    """What its owner wrote down; None: nothing (yet)."""


@dataclass(frozen=True)
class Log:
    """A try's output."""

    path: str
    size_bytes: int
    claim: Claim | None
    """None: of a first try of which nothing else is known."""
    rank: int = 0
    """Of a task over several nodes: of which."""


@dataclass(frozen=True)
class TaskView:
    """All that is known of one task."""

    state: State
    task_id: str | None
    """None: a hand drop, or a copy."""
    name: str
    """In its directory."""
    path: str
    """Its script."""
    priority: int
    node: str
    """Where it runs; empty where it does not."""
    place: int | None
    """In the run order, from 0; None: it does not wait."""
    reasons: tuple[NodeReason, ...]
    """Why it waits."""
    submission: Submission
    needs: Needs | None
    """None: nobody can tell; a problem says why."""
    tries: tuple[TryView, ...]
    """Oldest first, at most ``TRIES_MAX``; a try whose record was removed is not among them."""
    logs: tuple[Log, ...]
    """Those that are there, oldest try first."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class LogWindow:
    """Some bytes of a log."""

    content: bytes
    offset: int
    """Where they begin."""
    size_bytes: int
    """Of the file: if that is less than before, it was cut, or is another one."""
    inode: int

    @property
    def next_offset(self) -> int:
        """Where to go on."""
        return self.offset + len(self.content)


def read_log(path: str, offset: int = 0, limit_bytes: int = 64 << 10) -> LogWindow:
    """A part of a log, or of any other regular file, as it is now.

    >>> read_log("/home/a/gpu_queue/exp/logs/20261123T014415123-4f0c2a-a.sh.log", -65536)  # doctest: +SKIP

    Args:
        path: the file; a link is not followed, and nothing else than a regular file is waited for.
        offset: the first byte; negative: so many bytes before the end; one beyond the end gives the end.
        limit_bytes: the most; never more than ``WINDOW_MAX_BYTES``.

    Raises:
        Vanished: it is not there.
        FileProblem: it is no regular file, or may not be read.
        OSError: the storage failed; ask again later.
    """
    content, start, facts = growing.read_window(path, offset, max(0, min(limit_bytes, WINDOW_MAX_BYTES)))
    return LogWindow(content, start, facts.st_size, facts.st_ino)


@dataclass(frozen=True)
class _Said:
    """What the records say of a task."""

    submission: Submission
    tries: tuple[TryView, ...] = ()


@dataclass
class _Reading:
    """One reading of a task's files, and what goes wrong with it."""

    paths: SpoolPaths
    problems: list[Problem] = field(default_factory=list)

    def of(self, path: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (OSError, files.FileProblem, BadScript, ValueError, RecursionError) as error:
            text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            self.problems.append(Problem(printable(path.removeprefix(f"{self.paths.root}/")), printable(text)))
            return otherwise


class TaskFiles:
    """Reads the files of tasks; keeps what settled tasks said."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._kept: OrderedDict[str, tuple[object, _Said, int]] = OrderedDict()
        self._kept_bytes = 0

    def view(self, task: WaitingTask | RunningTask | SettledTask, place: int | None, default_gpus: int) -> TaskView:
        """All that is known of a task.

        Args:
            task: where it was seen.
            place: in the run order.
            default_gpus: of a script that says nothing.
        """
        reading = _Reading(self._paths)
        state, directory, node, priority = self._where(task)
        path = f"{directory}/{task.name}"
        said = self._said(task, reading)
        needs = reading.of(
            path, lambda: self._needs(path, task.task_id or task.name, said.submission, default_gpus), None
        )
        nodes = 1 if needs is None else min(needs.nodes, RANKS_SHOWN)
        return TaskView(
            state,
            task.task_id,
            task.name,
            path,
            priority,
            node,
            place,
            task.reasons if isinstance(task, WaitingTask) else (),
            said.submission,
            needs,
            said.tries,
            () if task.task_id is None else self._logs(task.task_id, said.tries, reading, nodes),
            tuple(reading.problems),
        )

    def _where(self, task: WaitingTask | RunningTask | SettledTask) -> tuple[State, str, str, int]:
        if isinstance(task, RunningTask):
            return State.RUNNING, self._paths.running(task.node), task.node, task.claim.priority
        state = State.PENDING if isinstance(task, WaitingTask) else task.state
        return state, self._paths.directory(state), "", task.priority

    def _needs(self, path: str, name: str, submission: Submission, default_gpus: int) -> Needs:
        head, _ = files.read_regular(path, HEAD_BYTES)
        return read_needs(head, submission.needs, default_gpus, submission.arguments, name)

    def _said(self, task: WaitingTask | RunningTask | SettledTask, reading: _Reading) -> _Said:
        task_id = task.task_id
        if task_id is None:
            return _Said(Submission(""))
        key = (task.state, task.ended) if isinstance(task, SettledTask) else None
        kept = self._kept.pop(task_id, None)
        if kept is not None:
            self._kept_bytes -= kept[2]
            if kept[0] == key and key is not None:
                self._keep(task_id, *kept)
                return kept[1]
        path = self._paths.record(task_id)
        submission = reading.of(
            path, lambda: records.read_submission(self._paths, task_id, None), Submission(task_id)
        )
        if submission.problem:
            reading.problems.append(Problem(printable(path.removeprefix(f"{self._paths.root}/")), submission.problem))
        said = _Said(submission, self._tries(task_id, task, reading))
        if key is not None and not reading.problems:
            try:
                weight = ENTRY_BYTES * (1 + len(said.tries)) + len(records.encode_submission(submission))
            except (ValueError, RecursionError):  # JSON that can just be read, and not be written
                return said
            self._keep(task_id, key, said, weight)
        return said

    def _keep(self, task_id: str, key: object, said: _Said, weight: int) -> None:
        self._kept[task_id] = key, said, weight
        self._kept_bytes += weight
        while len(self._kept) > KEPT_MAX or self._kept_bytes > KEPT_BYTES:
            _, (_, _, freed) = self._kept.popitem(last=False)
            self._kept_bytes -= freed

    def _tries(
        self, task_id: str, task: WaitingTask | RunningTask | SettledTask, reading: _Reading
    ) -> tuple[TryView, ...]:
        nothing: tuple[TryResult, ...] = ()
        index = self._paths.tries_index(task_id)
        results = reading.of(index, lambda: records.read_tries(self._paths, task_id), nothing)
        by_claim = {Claim(0, task_id, one.number, one.token): one for one in results[-TRIES_MAX:]}
        claims = dict.fromkeys(by_claim)
        last = self._last_claim(task, reading, is_told=bool(results))
        for one in last:
            claims[Claim(0, task_id, one.number, one.token)] = None
        views = []
        for claim in list(claims)[-TRIES_MAX:]:
            record = reading.of(self._paths.try_record(claim), lambda: records.read_try(self._paths, claim), None)  # noqa: B023
            views.append(TryView(claim, by_claim.get(claim), record))
        return tuple(views)

    def _last_claim(
        self, task: WaitingTask | RunningTask | SettledTask, reading: _Reading, *, is_told: bool
    ) -> list[Claim]:
        """The tries that the index does not hold: the one that runs, or the only one of a task that succeeded."""
        if isinstance(task, RunningTask):
            return [task.claim]
        if isinstance(task, WaitingTask):
            moved = parse_claim(task.name)  # back by hand
            return [] if moved is None else [moved[0]]
        if task.ended is not None and task.ended.claim is not None:
            return [task.ended.claim]
        directory = os.path.dirname(self._paths.record(task.task_id))
        return [] if is_told else reading.of(directory, lambda: self._claims_in_records(directory, task.task_id), [])

    def _claims_in_records(self, directory: str, task_id: str) -> list[Claim]:
        found = []
        with os.scandir(directory) as entries:
            for entry in islice(entries, RECORDS_MAX):
                if entry.name.startswith(task_id) and entry.name.endswith(".json"):
                    parsed = parse_claim(f"000-{entry.name[:-5]}")
                    if parsed is not None and parsed[0].task_id == task_id and parsed[1] is None:
                        found.append(parsed[0])
        return sorted(found, key=lambda one: (one.number, one.token))

    def _logs(self, task_id: str, tries: tuple[TryView, ...], reading: _Reading, nodes: int = 1) -> tuple[Log, ...]:
        owners: dict[str, Claim | None] = {self._paths.first_log(task_id): None}
        for one in tries:
            owners[self._paths.log(one.claim)] = one.claim
        found = []
        for path, claim in owners.items():
            for rank in range(max(1, nodes)):
                place = log_of_rank(path, rank)
                facts = reading.of(place, lambda: self._facts(place), None)  # noqa: B023
                if facts is not None:
                    found.append(Log(place, facts.st_size, claim, rank))
        return tuple(found)

    def _facts(self, path: str) -> os.stat_result | None:
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            raise files.FileProblem(f"it is a {files.kind_of(facts.st_mode)}; expected a regular file")
        return facts
