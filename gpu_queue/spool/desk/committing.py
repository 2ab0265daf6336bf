"""Committing: what was prepared is written, synced, and becomes tasks, each by its rename (docs/spool.md).

- Records and calls first, then the scripts as dot-files, all of it synced, then the rename that commits.
- Links to logs are made before the rename: whoever finds a task finds its link.
- What was not committed is taken back, and with it what comes after it.  What was is told, also where others failed.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gpu_queue.code.tree import Tree
from gpu_queue.errors import NotPublished, SpoolError
from gpu_queue.spool import files, store
from gpu_queue.spool.calls import make_calls
from gpu_queue.spool.desk.find import Task, where
from gpu_queue.spool.desk.links import make_link, unmake_link
from gpu_queue.spool.desk.stamps import ahead_s
from gpu_queue.spool.desk.storing import keep
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.store import Moved
from gpu_queue.task import State

SYNCED_AT_ONCE = 8


@dataclass(frozen=True)
class Entry:
    """A task that is about to be published."""

    task: Task
    task_id: str
    script: bytes
    record: bytes
    places: tuple[str, ...] = ()
    """Where its script wants its output: links to its log are made there."""
    beside: tuple[str, ...] = ()
    """Ids of tasks that are published together with it, before it, and must be done first."""
    call: bytes = b""
    """The function that its script calls; empty: none."""
    tree: Tree | None = None
    """What it runs in a copy of."""


Prepared = Callable[[], Entry]
"""A task that was looked at; called once, when all others are known to be fine, it gets its id."""


def publish(paths: SpoolPaths, prepared: Sequence[Prepared]) -> tuple[Task, ...]:
    """Write records and scripts, sync them, and commit each by its rename.

    Returns when no stamp is ahead of the clock any more, so that what is submitted next comes after: a thousand tasks
    take a second at least, counted from when they were looked at.

    Raises:
        NotPublished: the storage did not take all of it; it names those that were queued.
    """
    entries = [one() for one in prepared]
    if not entries:
        return ()
    for tree in {one.tree.key: one.tree for one in entries if one.tree is not None}.values():
        keep(paths, tree)
    pending = paths.directory(State.PENDING)
    # One needs no directory of its own: its dot-file lies where it will be renamed.
    stage = f"{pending}/.{secrets.token_hex(6)}" if len(entries) > 1 else ""
    hidden = [f"{stage}/{one.task.name}" if stage else f"{pending}/.{one.task_id}" for one in entries]
    written: list[str] = []
    try:
        if any(one.call for one in entries):
            make_calls(paths)
        if stage:
            os.mkdir(stage, 0o700)
            files.hand_over(stage, pending)
        for one, path in zip(entries, hidden, strict=True):
            written.append(paths.record(one.task_id))
            files.write_new(paths.record(one.task_id), one.record)
            if one.call:
                written.append(paths.call(one.task_id))
                files.write_new(paths.call(one.task_id), one.call)
            written.append(path)
            files.write_new(path, one.script, is_script=True)
        _sync(written)
    except OSError as error:
        _take_back(written, stage)
        raise NotPublished(_unwritten(error.filename or pending, error), ()) from error
    return _commit(paths, entries, hidden, stage)


def _sync(written: list[str]) -> None:
    """Have files on their storage; many at the same time, so that a journal writes them together."""
    if len(written) <= SYNCED_AT_ONCE:
        for path in written:
            files.sync(path)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  whoever submits one needs none

    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        for _ in pool.map(files.sync, written):
            pass


def _commit(paths: SpoolPaths, entries: list[Entry], hidden: list[str], stage: str) -> tuple[Task, ...]:
    queued: dict[str, Task] = {}
    leftover: list[str] = []
    problem = ""
    for one, path in zip(entries, hidden, strict=True):
        if not all(task_id in queued for task_id in one.beside):
            leftover += [path, *_papers(paths, one)]  # it would wait for ever
            continue
        linked = _linked(paths, one)
        result = store.move(path, one.task.path(paths))
        if result.moved is Moved.WON or _is_there(paths, one.task_id):
            queued[one.task_id] = linked
            continue
        problem = problem or _unwritten(path, result.error)
        for place in one.places:
            unmake_link(place, paths.first_log(one.task_id))
        if result.moved is Moved.LOST or os.path.lexists(path):
            leftover += [path, *_papers(paths, one)]
    _take_back(leftover, stage)
    if problem:
        raise NotPublished(problem, tuple(map(str, queued.values())))
    time.sleep(ahead_s())
    return tuple(queued.values())


def _papers(paths: SpoolPaths, one: Entry) -> list[str]:
    return [paths.record(one.task_id), *([paths.call(one.task_id)] if one.call else [])]


def _linked(paths: SpoolPaths, one: Entry) -> Task:
    """The task that is to be committed, when there are links to its log, with what its submitter should know."""
    problems = tuple(filter(None, (make_link(place, paths.first_log(one.task_id)) for place in one.places)))
    return replace(one.task, root=paths.root, notes=one.task.notes + problems)


def _is_there(paths: SpoolPaths, task_id: str) -> bool:
    """After an error: an agent may have been faster than our listing."""
    try:
        return where(paths, task_id) is not None
    except SpoolError:
        return False


def _take_back(written: Iterable[str], stage: str) -> None:
    for path in reversed(list(written)):
        files.remove(path)
    if stage:
        try:
            os.rmdir(stage)
        except OSError:
            pass  # removed by an agent when it is a day old


def _unwritten(path: str, error: OSError | None) -> str:
    why = f" ({error.strerror})" if error is not None else ""
    return f"{path} could not be written{why}, so it is not queued; {files.advice(path, error)}"
