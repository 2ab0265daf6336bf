"""The queue that ``gpu-queue run`` keeps beside an experiment file."""

from __future__ import annotations

import os
import pwd
import re

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.find import LIFE, look
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission
from gpu_queue.texts import printable

BESIDE = ".gpu-queue"
_IGNORED = b"*\n"
_JOB_ID_CHARS = 150
_STRANGE = re.compile(r"^-|[\x00-\x1f\x7f]")


def own_spool(file: str) -> SpoolPaths:
    """Where the queue of an experiment file is, if nobody names another one; nothing is read or made.

    Args:
        file: its path, without links.
    """
    directory, name = os.path.split(file)
    return SpoolPaths(os.path.join(directory, BESIDE, _job_id(name)))


def _job_id(name: str) -> str:
    return _STRANGE.sub("_", os.path.splitext(name)[0])[:_JOB_ID_CHARS]


def check_owner(paths: SpoolPaths, file: str) -> None:
    """Refuse a queue beside the file that somebody else has made: what lies in it is run as us.

    Args:
        paths: of the queue.
        file: the experiment file; what its owner has put there we run anyhow.

    Raises:
        SpoolError: it is another one's, or closed to us.
    """
    for directory in (os.path.dirname(paths.root), paths.root):
        try:
            facts = os.stat(directory)
            trusted = {0, os.geteuid(), os.stat(file).st_uid}
        except OSError:
            return  # it is not there: whoever makes it finds out what else is wrong
        if facts.st_uid not in trusted or not os.access(directory, os.R_OK | os.X_OK):
            raise SpoolError(
                f"{directory}: this queue is {_user(facts.st_uid)}'s; run a copy of the file in a directory of "
                "yours, or give --job-id ID: then the queue lies in $QUEUE_ROOT"
            )


def check_origin(paths: SpoolPaths, file: str) -> None:
    """Refuse a queue that came here with a copy of its directory: what waits in it waits in the other one, too.

    Args:
        paths: of the queue beside the file, which need not be there.
        file: the experiment file, without links.

    Raises:
        SpoolError: something waits or runs in it that belongs to another directory.
    """
    if not entrance.is_made(paths):
        return
    others = []
    for task in (task for state in LIFE[:2] for task in look(paths, state)):
        try:
            part = read_submission(paths, task.id or "", None).experiment
        except OSError:
            continue  # whoever counts them tells of it
        if part is not None and os.path.dirname(part.file) != os.path.dirname(file):
            others.append(part.file)
    if others:
        tasks = "a task" if len(others) == 1 else f"{len(others)} tasks"
        raise SpoolError(
            f"{paths.root}: it was copied or moved here with {tasks} of {printable(others[0])}, which would be run "
            "there, maybe a second time; remove this directory, and run it again"
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def make_place(paths: SpoolPaths) -> None:
    """Make the directory that the queue lies in, closed to others and unseen by git.

    Raises:
        SpoolError: it cannot be made.
    """
    directory = os.path.dirname(paths.root)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        ignored = os.open(f"{directory}/.gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        if os.path.isdir(directory):
            return
        raise SpoolError(f"{directory}: expected a directory; move it away, or give --job-id") from None
    except OSError as error:
        raise SpoolError(
            f"{directory}: cannot be made ({error.strerror}); with --job-id ID the queue lies in $QUEUE_ROOT"
        ) from error
    try:
        os.write(ignored, _IGNORED)
    except OSError as error:
        os.unlink(f"{directory}/.gitignore")  # the next one is to write it
        raise SpoolError(f"{directory}/.gitignore: cannot be written: {error.strerror}") from error
    finally:
        os.close(ignored)
