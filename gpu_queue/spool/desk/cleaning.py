"""Forgetting settled tasks, with all that is known of them.

- A task is judged in the moment of its removal.  It is renamed out of done/ or failed/ first, into a directory that
  nobody else renames to: whoever retries it at the same time wins or loses that rename.  A task that is lost to
  somebody else keeps everything.
- The rename does not tell what came before it: a task may have been retried, and have ended again under its old name.
  So what was taken is looked at once more, by what only a new try writes, and by what waits.  Such a task goes back.
- The task itself is removed last.  What a crash leaves is found by its name, and finished by the next one.
"""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator

from gpu_queue.errors import SpoolError
from gpu_queue.sayings import Say, say
from gpu_queue.spool import files, store
from gpu_queue.spool.beside import CALL, RESULT
from gpu_queue.spool.desk.collecting import collect
from gpu_queue.spool.desk.find import Task, is_script, listed, look, where_all
from gpu_queue.spool.desk.steering import Outcome, done, refused
from gpu_queue.spool.paths import (
    SpoolPaths,
    is_id,
    parse_full,
    parse_rank_log,
    parse_removing,
    parse_try_file,
    same_submission,
)
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.store import Moved
from gpu_queue.task import State

SETTLED = (State.DONE, State.FAILED)
TOGETHER = 20_000
"""So many tasks are removed together: records and logs are listed once for all of them."""
_UNPUBLISHED_NS = 86400 * 10**9
"""Nobody takes a day between writing a call and queueing it."""
LEFT_AFTER_S = 600.0
"""A removal in which nothing has moved for so long was cut off."""


def clean(paths: SpoolPaths, older_than_s: float, *, dry_run: bool) -> Iterator[Outcome]:
    """Forget settled tasks with their records and logs; what a waiting or running task still names is kept.

    Args:
        paths: of the spool.
        older_than_s: since it was settled, by the server's clock.
        dry_run: only tell which.

    Raises:
        SpoolError: the spool cannot be listed, or nothing can be written there.
    """
    try:
        now_ns = files.server_now_ns(paths.control)
    except OSError as error:
        raise SpoolError(
            f"cannot write into {paths.control}: {error.strerror}; check that you may write there"
        ) from error
    before_ns = now_ns - round(older_than_s * 1e9)
    if not dry_run:
        _forget_unpublished(paths, now_ns)
    wanted = _Wanted(paths)
    for state in SETTLED:
        if not dry_run:
            yield from _finish(paths, state, now_ns, wanted)
        named = wanted.ids()
        old = [task for task in look(paths, state) if task.id not in named and _is_old(paths, task, before_ns)]
        if dry_run:
            yield from map(done, old)
            continue
        for start in range(0, len(old), TOGETHER):
            yield from _remove(paths, state, old[start : start + TOGETHER], before_ns, wanted)
    if not dry_run:
        collect(paths, now_ns / 1e9)


def _forget_unpublished(paths: SpoolPaths, now_ns: int) -> None:
    """Remove what functions are called with that were never queued: whoever submitted them was killed meanwhile."""
    left = [name for name in listed(paths.calls) if name.endswith(CALL)]
    old = [name for name in left if not _is_newer(f"{paths.calls}/{name}", now_ns - _UNPUBLISHED_NS)]
    found = where_all(paths, (name.removesuffix(CALL) for name in old))
    for name in old:
        if is_id(name.removesuffix(CALL)) and name.removesuffix(CALL) not in found:
            files.remove(f"{paths.calls}/{name}")


def _is_old(paths: SpoolPaths, task: Task, before_ns: int) -> bool:
    """By its ctime, which changed at the rename that settled it; its mtime is the script's own."""
    path = task.path(paths)
    try:
        return is_script(path) and os.lstat(path).st_ctime_ns <= before_ns
    except OSError:
        return False


def _remove(
    paths: SpoolPaths, state: State, old: Iterable[Task], before_ns: int, wanted: _Wanted
) -> Iterator[Outcome]:
    own = paths.removing(state, before_ns, secrets.token_hex(6))
    try:
        os.mkdir(own, 0o700)
    except OSError as error:
        raise SpoolError(f"{own}: cannot be made: {error.strerror}; check that you may write there") from error
    taken = []
    for task in old:
        result = store.move(task.path(paths), f"{own}/{task.name}")
        if result.moved is Moved.WON:
            taken.append(task)
        elif result.moved is Moved.UNKNOWN:
            yield refused(task, say(Say.NOT_REMOVED, place=f"{task.where}/{task} ({result.error})"))
    yield from _forget(paths, own, taken, before_ns, wanted)


def _finish(paths: SpoolPaths, state: State, now_ns: int, wanted: _Wanted) -> Iterator[Outcome]:
    """Remove what an earlier removal, which was cut off, had taken."""
    for name in listed(paths.directory(state)):
        before_ns = parse_removing(name)
        left = f"{paths.directory(state)}/{name}"
        if before_ns is None or os.path.islink(left):
            continue
        try:
            if now_ns - os.lstat(left).st_ctime_ns < LEFT_AFTER_S * 1e9:
                continue  # somebody is at work on it
        except OSError:
            continue
        own = paths.removing(state, before_ns, secrets.token_hex(6))
        if store.move(left, own).moved is Moved.WON:
            tasks = [Task(state, one) for one in listed(own) if parse_full(one) is not None]
            yield from _forget(paths, own, tasks, before_ns, wanted)


def _forget(paths: SpoolPaths, own: str, taken: list[Task], before_ns: int, wanted: _Wanted) -> Iterator[Outcome]:
    """Remove tasks that nobody else can get at any more; those that came back to life in the last moment go back."""
    belongings = _Belongings(paths)
    named = wanted.ids()
    for task in taken:
        mine = belongings.of(task.id or "")
        path = f"{own}/{task.name}"
        if task.id in named or any(_is_newer(one, before_ns) for one in mine if belongings.is_of_a_try(one)):
            problem = None
        elif not all(files.remove(one) for one in mine):
            problem = say(Say.REST_NOT_REMOVED, task=str(task))
        elif files.remove(path):
            yield done(task)
            continue
        else:
            problem = say(Say.NOT_REMOVED, place=f"{task.where}/{task}")
        if not os.path.lexists(task.path(paths)):  # else somebody put another one there
            store.move(path, task.path(paths))
        if problem is not None:
            yield refused(task, problem)
    try:
        os.rmdir(own)
    except OSError:
        pass  # what is still in it is finished by the next one


def _is_newer(path: str, before_ns: int) -> bool:
    try:
        return os.lstat(path).st_ctime_ns > before_ns
    except OSError:
        return False


class _Wanted:
    """The ids that tasks which wait or run name in ``after``."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._named: dict[str, tuple[str, ...]] = {}

    def ids(self) -> set[str]:
        """As they are now; each record is read once."""
        tasks = [task for state in (State.PENDING, State.RUNNING) for task in look(self._paths, state)]
        ids = [task.id for task in tasks if task.id is not None]
        self._named = {one: self._named[one] if one in self._named else self._after(one) for one in ids}
        return {one for after in self._named.values() for one in after}

    def _after(self, task_id: str) -> tuple[str, ...]:
        try:
            named = read_submission(self._paths, task_id, None).needs.get("after")
        except OSError as error:
            raise SpoolError(f"{self._paths.record(task_id)}: cannot be read: {error.strerror}; try again") from error
        return tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else ()


class _Belongings:
    """The records, logs and calls of all tasks, listed once."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._files: dict[str, list[tuple[str, str]]] = defaultdict(list)
        calls = [(paths.calls, ending) for ending in (CALL, RESULT)]
        for directory, ending in ((paths.records, ".json"), (paths.logs, ".log"), *calls):
            for name in listed(directory):
                if name.endswith(ending):
                    self._files[same_submission(name)].append((f"{directory}/{name}", ending))

    def of(self, task_id: str) -> list[str]:
        """All that belongs to one task."""
        found = []
        for path, ending in self._files.get(same_submission(task_id), ()) if is_id(task_id) else ():
            plain, name = {f"{task_id}{ending}", f"{task_id}.tries{ending}"}, os.path.basename(path)
            name = (parse_rank_log(name) or (name, 0))[0] if ending == ".log" and name not in plain else name
            claim = parse_try_file(name, ending)
            if name in plain or (claim is not None and claim.task_id == task_id):
                found.append(path)
        return found

    def is_of_a_try(self, path: str) -> bool:
        """Whether it is the record of a try, which is written before its task is settled."""
        directory, name = os.path.split(path)
        return directory == self._paths.records and parse_try_file(name, ".json") is not None
