"""What people are to be told of: files in ``notify/``, one for each thing and label (docs/spool.md, "Notices").

- Whoever owns a try writes them before the rename that settles it, each name exclusively: once per end, however often
  it is begun anew.  They hold facts and labels, and never an address.
- Whoever sends claims one by a rename, and says by another what came of it.  One that was claimed and left (its
  sender was killed) is claimed again: it may be told twice, and is never lost.
- All of it is hostile input.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from gpu_queue.spool import files, store
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.noticenames import NoticeName, Stage, parse_notice
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.store import Moved
from gpu_queue.task import Submission

LISTED_MAX = 20_000
_OVER = (f".json.{Stage.SENT.value}-", f".json.{Stage.GIVEN_UP.value}-")
FULL = 10_000
"""So many files that nobody sends are enough: then none is added."""


def look(paths: SpoolPaths) -> list[NoticeName]:
    """All that there is, in whatever stage; the order is none.

    Raises:
        OSError: it could not be listed.
    """
    return [one for one in map(parse_notice, _names(paths)) if one is not None]


def _names(paths: SpoolPaths) -> list[str]:
    try:
        return store.some_names(paths.notices, LISTED_MAX)[0]
    except FileNotFoundError:
        return []


def post(paths: SpoolPaths, notices: dict[NoticeName, dict[str, Any]]) -> list[NoticeName]:
    """Have people told; what was posted before, in whatever stage it is now, is not posted again.

    Args:
        paths: of the spool.
        notices: facts by new names.

    Returns:
        What was added.

    Raises:
        OSError: it could not be written; ENOSPC also where nobody sends what is there.
    """
    there = _names(paths)  # not looked at closely: a task that is settled waits for this
    added = {one: facts for one, facts in notices.items() if not any(name.startswith(one.key) for name in there)}
    unsent = sum(not any(mark in name for mark in _OVER) for name in there)
    if added and unsent + len(added) > FULL:
        raise OSError(errno.ENOSPC, f"{unsent} notices lie there, which nobody sends", paths.notices)
    if added and not there:
        _make(paths)
    for one, facts in added.items():
        files.write_once(paths.notice(str(one)), files.encode_json(facts))
    return list(added)


def _make(paths: SpoolPaths) -> None:
    try:
        os.mkdir(paths.notices, 0o700)
    except FileExistsError:
        return
    files.hand_over(paths.notices, paths.root)
    os.chmod(paths.notices, stat.S_IMODE(os.stat(paths.root).st_mode))


def read(paths: SpoolPaths, notice: NoticeName, uids: frozenset[int] | None) -> Fields:
    """Its facts; nothing where they cannot be read.

    Raises:
        OSError: the storage failed; ask again later.
        files.FileProblem: it is no file that may be believed.
    """
    return Fields(files.read_json(paths.notice(str(notice)), uids))


def move(paths: SpoolPaths, before: NoticeName, after: NoticeName) -> bool:
    """The next step of a notice; whether it was ours to make.

    Raises:
        OSError: nobody knows.
    """
    result = store.move(paths.notice(str(before)), paths.notice(str(after)))
    if result.moved is Moved.UNKNOWN and result.error is not None:
        raise result.error
    return result.moved is Moved.WON


def remove(paths: SpoolPaths, notice: NoticeName) -> bool:
    """Take one away; whether there is none now."""
    return files.remove(paths.notice(str(notice)))


def group_of(submission: Submission) -> dict[str, Any]:
    """What a task is one of several of; empty: of nothing.  ``kind`` and ``key`` say which group that is."""
    if submission.array is not None:
        part = submission.array
        return {"kind": "array", "key": part.job, "title": submission.name, "index": part.index}
    if submission.experiment is not None:
        run = submission.experiment
        return {"kind": "experiment", "key": f"{run.file}\0{run.group}", "title": run.group, "run": run.name}
    if submission.batch is not None:
        block = submission.batch
        key = f"{block.file}\0{block.mode}\0{block.index}"
        return {"kind": "batch", "key": key, "title": block.file.rpartition("/")[2]}
    return {}
