"""Links to logs at the places where another scheduler would have written a script's output.

The log stays the one file that is written: a link that dangles until the task runs, never a second writer.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass

from gpu_queue.task import job_number
from gpu_queue.texts import printable

_NOT_OF_AN_ARRAY = "4294967294"
_PLACE = re.compile(r"%(\d{0,2})\d*(.?)", re.DOTALL)
_OUR_LOG = re.compile(r"/logs/\d{8}T\d{9}-[0-9a-f]{6}-[^/]+\.log", re.ASCII)


@dataclass(frozen=True)
class Named:
    """What the signs in a pattern stand for."""

    task_id: str
    job: str
    """The id of the first task of its array; else its own."""
    name: str
    user: str
    index: int | None = None


def place_of(pattern: str, named: Named, directory: str) -> str:
    """The path that a pattern of ``--output`` means.

    Raises:
        ValueError: only the node can tell.
    """
    if "\\" in pattern:  # then sbatch replaces nothing
        return os.path.join(directory, pattern.replace("\\", ""))
    if "$" in pattern or pattern.endswith((":", "/")):
        raise ValueError(f"{printable(pattern)} is not followed")

    def meant(match: re.Match[str]) -> str:
        width, sign = int(match[1] or 0), match[2]
        texts = {"%": "%", "x": named.name.replace("/", "_"), "u": named.user}
        if sign in texts and sign:
            return texts[sign]
        if sign in ("j", "J", "A"):
            number = str(job_number(named.job if sign == "A" else named.task_id))
        elif sign == "a":
            number = _NOT_OF_AN_ARRAY if named.index is None else str(named.index)
        elif sign in ("n", "t", "s"):
            number = "0"
        else:
            raise ValueError(f"{printable(pattern)} is known only on the node, so there is no link to its log")
        return number.zfill(min(width, 10))

    return os.path.join(directory, _PLACE.sub(meant, pattern).removeprefix("./"))


def make_link(place: str, log: str) -> str:
    """A link to a log; one of ours that is there is replaced, and nothing else.

    Returns:
        Why there is none; empty: it is there.
    """
    if place.startswith("/dev/"):
        return ""
    try:
        there = os.readlink(place)
        if there == log:
            return ""
        if _OUR_LOG.search(there):
            os.unlink(place)
    except OSError:
        pass  # it is no link, or not there
    try:
        os.symlink(log, place)
    except FileExistsError:
        return f"{printable(place)} is there already and stays as it is; its output goes to {log}"
    except (OSError, ValueError) as error:
        return (
            f"{printable(place)} is no link to its log: {getattr(error, 'strerror', None) or error}; the log is {log}"
        )
    return ""


def turn_link(place: str, log: str, to: str) -> None:
    """Let a link that leads to one log lead to another; at no moment is there none."""
    directory, name = os.path.split(place)
    beside = f"{directory}/.{name[:100]}.{secrets.token_hex(6)}"
    try:
        if os.readlink(place) == log:
            os.symlink(to, beside)
            os.rename(beside, place)
    except OSError:
        pass  # it is no link, or not there, or not ours to change


def unmake_link(place: str, log: str) -> None:
    """Take a link away that was made for nothing; what else stands there stays."""
    try:
        if os.readlink(place) == log:
            os.unlink(place)
    except OSError:
        pass  # it is no link, or not there
