"""How the tasks of an experiment's runs stand, from a snapshot and from what is written down of their tries.

What a snapshot tells of a task costs nothing; files are read once for each try that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpu_queue.experiments.progress.nouns import Standing
from gpu_queue.experiments.specs.nouns import Run
from gpu_queue.reasons import Code
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_tries, read_try
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.taskfiles import TryView
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.task import Claim, State

LOOKS = 3
"""A task that so many looks in a row do not find is gone: one look may meet it between two directories."""
READ_AT_ONCE = 50
"""So many of the tasks that are done are read at one look: the screen is not to stand still."""
_OF_THE_AGENT = (Code.NO_AGENT, Code.SILENT)
"""What keeps a task waiting that is told of the agent, and whoever watches sees to it."""
_Found = WaitingTask | RunningTask | SettledTask
_FAILED = ("failed", "timeout")


@dataclass(frozen=True)
class Moment:
    """One look."""

    snapshot: Snapshot
    now: float
    """Monotonic seconds."""
    epoch_s: float


class Standings:
    """Keeps how the runs of a file stood at the last look."""

    def __init__(self, paths: SpoolPaths, reader: SnapshotReader, runs: Mapping[str, Run]) -> None:
        """Nothing is known yet.

        Args:
            paths: of the spool.
            reader: of the same; it has made the snapshots that are looked at.
            runs: by their names.
        """
        self._paths = paths
        self._reader = reader
        self._runs = runs
        self._known: dict[str, Standing] = {}
        self._read: dict[str, object] = {}
        """What stood in the way of the files that were read, by task."""
        self._missed: dict[str, int] = {}
        self._seen: object = None
        """The last look, where nothing was left to be read."""

    @property
    def has_missed(self) -> bool:
        """Whether a task was not found: it may have gone on under another id."""
        return bool(self._missed)

    @property
    def is_unsure(self) -> bool:
        """Whether a task was not found that the next look may find."""
        return any(count < LOOKS for count in self._missed.values())

    def look(self, moment: Moment, ids: Mapping[str, str]) -> dict[str, Standing]:
        """How the runs stand, by their names.

        Args:
            moment: the look.
            ids: of their tasks, by their names.
        """
        if self._seen == (id(moment.snapshot), ids):
            return dict(self._known)
        self._missed = {task_id: count for task_id, count in self._missed.items() if task_id in ids.values()}
        left = READ_AT_ONCE
        for name, task_id in ids.items():
            before = self._known.get(name, Standing())
            if before.task_id != task_id:
                before = Standing(task_id, link=self._runs[name].log)
            found = moment.snapshot.find(task_id)
            if found is None:
                self._missed[task_id] = self._missed.get(task_id, 0) + 1
                is_gone = self._missed[task_id] >= LOOKS
                self._known[name] = replace(before, state=None) if is_gone else before
                continue
            self._missed.pop(task_id, None)
            last = _last_claim(found, before)
            key = _read_as(found, before, last)
            tries: tuple[TryView, ...] | None = None
            if key is not None and self._read.get(task_id) != key and (left > 0 or _is_urgent(found)):
                left -= 1
                self._read[task_id] = key
                tries = self._tries(task_id, found, last)
            elif isinstance(found, SettledTask) and before.state is found.state:
                continue
            self._known[name] = _standing(found, tries, before, moment, self._paths)
        # The snapshot is kept by its reader until there is another one, so that its identity tells.
        self._seen = (id(moment.snapshot), dict(ids)) if left > 0 and not self._missed else None
        return dict(self._known)

    def _tries(self, task_id: str, found: _Found, last: Claim | None) -> tuple[TryView, ...]:
        """Those that are written down, oldest first."""
        try:
            results = read_tries(self._paths, task_id)
            by_claim = {Claim(0, task_id, one.number, one.token): one for one in results}
            claims = [*by_claim, *([last] if last is not None and last not in by_claim else [])]
            if claims:
                return tuple(TryView(one, by_claim.get(one), read_try(self._paths, one)) for one in claims)
        except OSError:
            return ()  # the storage is away; the next look at the task tells
        if isinstance(found, SettledTask) and found.state is State.FAILED:
            view = self._reader.task(task_id)  # looks in all of records/
            return view.tries if view is not None else ()
        return ()


def _last_claim(found: _Found, before: Standing) -> Claim | None:
    """The try that the index of tries may not hold: the one that runs, or the only one of a task that is done."""
    if isinstance(found, RunningTask):
        return replace(found.claim, priority=0)
    if isinstance(found, SettledTask) and found.ended is not None and found.ended.claim is not None:
        return replace(found.ended.claim, priority=0)
    return Claim(0, before.task_id, before.tries, before.token) if before.token else None


def _read_as(found: _Found, before: Standing, last: Claim | None) -> object:
    """What tells a task whose files have something new to tell; None: they have not."""
    if isinstance(found, RunningTask):
        return last if found.claim.number > 1 else None
    if isinstance(found, WaitingTask):
        return (State.PENDING, before.tries) if before.state is State.RUNNING or before.tries else None
    if found.state is State.DONE and last is None:
        return None  # all of records/ would have to be gone through
    return found.state, last


def _is_urgent(found: _Found) -> bool:
    return not isinstance(found, SettledTask) or found.state is State.FAILED


# -- pure -----------------------------------------------------------------------------------------------------------


def _standing(
    found: _Found, tries: tuple[TryView, ...] | None, before: Standing, moment: Moment, paths: SpoolPaths
) -> Standing:
    is_running = isinstance(found, RunningTask)
    told = before if tries is None else _with_tries(before, tries, paths, is_running=is_running)
    if isinstance(found, RunningTask):
        return _running(found, told, moment)
    place, why = 0, None
    if isinstance(found, WaitingTask):
        place = moment.snapshot.waiting.place(found.task_id or found.name) or 0
        why = next((one.reason for one in found.reasons if one.reason.code not in _OF_THE_AGENT), None)
    state = found.state if isinstance(found, SettledTask) else State.PENDING
    if tries is None and (told.state, told.place, told.reason) == (state, place, why):
        return told
    return replace(told, state=state, token="", stage="", since=None, limit_s=None, place=place, reason=why)


def _running(found: RunningTask, told: Standing, moment: Moment) -> Standing:
    page = found.page
    is_same = told.state is State.RUNNING and told.token == found.claim.token
    age_s = moment.snapshot.age_s(found.told_s, moment.now)
    since = told.since if is_same else None
    if page is not None and age_s is not None:
        since = moment.epoch_s - page.seconds - age_s
    return replace(
        told,
        state=State.RUNNING,
        tries=found.claim.number,
        token=found.claim.token,
        node=found.node,
        gpus=page.gpus if page is not None else told.gpus if is_same else None,
        since=since,
        limit_s=page.limit_s if page is not None else None,
        stage=page.stage if page is not None else "",
        place=0,
        reason=None,
    )


def _with_tries(before: Standing, tries: tuple[TryView, ...], paths: SpoolPaths, *, is_running: bool) -> Standing:
    """What is written down of the tries that have ended."""
    ended = [one for one in tries if one.result is not None or (one.record is not None and one.record.outcome)]
    if not ended:
        return replace(before, tries=before.tries if is_running else len(tries))
    last, record = ended[-1], ended[-1].record
    return replace(
        before,
        tries=before.tries if is_running else last.claim.number,
        failures=_failures(ended),
        node=(record.node if record is not None else "") or (last.result.node if last.result is not None else ""),
        gpus=record.gpu_indices if record is not None else None,
        outcome=_outcome(last),
        error_type=(record.error_type if record is not None else "")
        or (last.result.error_type if last.result is not None else ""),
        problem=_problem(last),
        ran_s=record.duration_s if record is not None else None,
        gpu_s=_gpu_s(ended),
        log=paths.log(last.claim),
    )


def _outcome(one: TryView) -> str:
    if one.record is not None and one.record.outcome:
        return one.record.outcome
    if one.result is None:
        return ""
    end = one.result.end
    return end.why.value if end.why is not None else "succeeded" if end.status == 0 else f"failed({end.status})"


def _problem(one: TryView) -> str:
    if one.record is not None and (one.record.reason or one.record.problem):
        return ": ".join(filter(None, (one.record.reason, one.record.problem)))
    return one.result.reason if one.result is not None else ""


def _failures(ended: list[TryView]) -> int:
    """Of this round: what came before a settlement does not count."""
    count = 0
    for at, one in enumerate(ended):
        count += _outcome(one).startswith(_FAILED)
        if one.result is not None and one.result.final and at < len(ended) - 1:
            count = 0
    return count


def _gpu_s(ended: list[TryView]) -> float | None:
    records = [one.record for one in ended]
    told = [one.duration_s * one.gpu_count for one in records if one is not None and one.duration_s is not None]
    return sum(told) if len(told) == len(ended) else None
