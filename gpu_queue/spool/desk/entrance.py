"""The way into a queue: how it is called, whether it is one, and how it comes to be with the first submission."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gpu_queue.conf import Said, at_home, home_of, read_conf
from gpu_queue.errors import SpoolError
from gpu_queue.shell import SUBMIT_TYPED
from gpu_queue.spool.desk import asking, committing, publishing
from gpu_queue.spool.desk.committing import Prepared
from gpu_queue.spool.desk.feasible import why_not
from gpu_queue.spool.desk.find import Finder, Task
from gpu_queue.spool.desk.publishing import Options, ScriptLike
from gpu_queue.spool.desk.storing import Codes
from gpu_queue.spool.filesystem import check_protocol, make_spool
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State

MAKING_S = 5.0
"""A spool without PROTOCOL is being made by somebody else; after so long that somebody is taken to be dead."""


def named(job_id: str | None, queue_root: str | os.PathLike[str] | None) -> SpoolPaths:
    """The paths of a queue; nothing is read.

    Args:
        job_id: which; None: ``$JOB_ID``, else as ``gpu-queue.conf`` says.
        queue_root: the directory of all queues; None: ``$QUEUE_ROOT``, else as ``gpu-queue.conf`` or submit.sh says,
            else ``~/gpu_queue``.

    Raises:
        SpoolError: no queue can be called so, or ``gpu-queue.conf`` cannot be obeyed.
    """
    if not isinstance(job_id, str | None):  # of other executors the first argument is a number
        raise SpoolError(f"{job_id!r} is no JOB_ID; expected the name of a queue, such as 'train-exp1'")
    name = os.environ.get("JOB_ID", "") if job_id is None else job_id
    root = os.fspath(queue_root or os.environ.get("QUEUE_ROOT") or "")
    home = home_of(os.environ)
    if not root or (not name and job_id is None):
        conf = read_conf(os.environ)
        problems = conf.problems_of(("JOB_ID", "QUEUE_ROOT"))
        if problems:
            raise SpoolError("\n".join(problems))
        nothing = Said("", "")
        root = root or conf.said.get("QUEUE_ROOT", nothing).text or f"{home}/gpu_queue"
        name = name or (conf.said.get("JOB_ID", nothing).text if job_id is None else "")
    if not name:
        raise SpoolError(
            "JOB_ID is not set; say which queue: export JOB_ID=train-exp1, --job-id, or Spool('train-exp1')"
        )
    if name in (".", "..") or "/" in name or "\0" in name or name.startswith("-"):
        raise SpoolError(f"JOB_ID {name!r} cannot be a directory's name; use one without / and without - in front")
    return SpoolPaths(f"{os.path.abspath(at_home(root, home))}/{name}")


def is_made(paths: SpoolPaths) -> bool:
    """Whether the queue is there, in the protocol that we speak.

    Raises:
        SpoolError: it is of another protocol, or it cannot be told now.
    """
    try:
        return check_protocol(paths)
    except NotADirectoryError:
        raise SpoolError(f"{paths.root}: expected a directory") from None
    except OSError as error:
        raise SpoolError(f"{paths.protocol}: {error.strerror}; try again") from error


def enter(paths: SpoolPaths) -> SpoolPaths:
    """Refuse a queue that is not there, or not ours; one that is being made is waited for.

    Raises:
        SpoolError: there is none.
    """
    deadline_s = time.monotonic() + MAKING_S
    while not is_made(paths):
        if not os.path.isdir(paths.root):
            raise SpoolError(f"there is no queue {paths.root}; submit, or {SUBMIT_TYPED}, makes it")
        if not os.path.isdir(paths.directory(State.PENDING)) and os.path.isdir(paths.allocations):
            raise SpoolError(f"{paths.root}: an agent was asked for and has not begun yet; submit makes the queue")
        if not os.path.isdir(paths.directory(State.PENDING)) or time.monotonic() > deadline_s:
            raise SpoolError(f"{paths.root} has no PROTOCOL file, so it is no queue; submit makes it one")
        time.sleep(0.1)
    return paths


def submit(paths: SpoolPaths, scripts: Iterable[ScriptLike], options: Options) -> tuple[Task, ...]:
    """Queue scripts, in this order; where there is no queue yet, make it.

    Raises:
        BadScript: one of them can never run; nothing was written.
        NotPublished: the storage did not take all; its ``published`` names those that were queued.
        SpoolError: the queue cannot be made or used.
    """
    return put_in(paths, look_at(paths, scripts, options))


def look_at(
    paths: SpoolPaths, scripts: Iterable[ScriptLike], options: Options, codes: Codes | None = None
) -> list[Prepared]:
    """The first half of it: nothing is made or written.

    Args:
        paths: of the spool, which need not be there.
        scripts: what is to be queued.
        options: of all that bring none themselves.
        codes: what they are submitted with, as far as it was looked at; None: it is looked at now.

    Raises:
        BadScript: one of them can never run.
        SpoolError: the queue cannot be used.
    """
    is_made(paths)  # one of another protocol is refused before anything is looked at
    return publishing.prepare(Finder(paths), list(scripts), options, lambda: asking.default_gpus(paths), codes)


def put_in(paths: SpoolPaths, prepared: Sequence[Prepared]) -> tuple[Task, ...]:
    """The second half, once.

    Raises:
        NotPublished: the storage did not take all; its ``published`` names those that were queued.
        SpoolError: the queue cannot be made or used.
    """
    if prepared:
        make(paths)
    return _with_notes(paths, committing.publish(paths, prepared))


def _with_notes(paths: SpoolPaths, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """Say of those that no living agent can ever run why not."""
    try:
        pages = asking.living(paths)
    except SpoolError:
        return tasks  # they are queued all the same
    whys = [why_not(task.needs, pages) if task.needs is not None else "" for task in tasks]
    return tuple(
        replace(task, notes=(*task.notes, why)) if why else task for task, why in zip(tasks, whys, strict=True)
    )


def make(paths: SpoolPaths) -> None:
    """Make what is missing of a queue, and of the way to it, closed to others.

    Raises:
        SpoolError: it cannot be made, or is of another protocol.
    """
    missing = []
    above = paths.root
    while not os.path.isdir(above) and above != os.path.dirname(above):
        missing.append(above)
        above = os.path.dirname(above)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            continue  # somebody else makes the same
        except OSError as error:
            raise SpoolError(f"{directory}: cannot be made: {error.strerror}") from error
    make_spool(paths)
