"""Files that people bind to tasks: a file each in ``<spool>/jobfiles/bindings/``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpu_queue.console.logs.opening import CannotRead, opened
from gpu_queue.console.logs.sources import Place
from gpu_queue.spool.files import FileProblem, decode_json, encode_json, hand_over, read_regular, write_whole
from gpu_queue.spool.paths import SpoolPaths, is_id
from gpu_queue.texts import printable

BOUND = "bound"
"""The source of a bound file, beside the tokens of tries."""
FILE_BYTES = 64 << 10
BINDINGS_MAX = 1000
ENDING = ".json"


@dataclass(frozen=True)
class Bound:
    """A file that is bound to a task."""

    task_id: str
    path: str


@dataclass(frozen=True)
class Facts:
    """What a bound file is at one moment."""

    size: int | None = None
    modified_s: float | None = None
    problem: str = ""


def place_for(path: str, roots: Sequence[str]) -> Place:
    """Where a path leads, which must be below one of the directories.

    Links in it are resolved here, once; that what they lead to is still no link is seen when it is opened.

    Args:
        path: absolute, or below the first directory.
        roots: directories, absolute; the first are the logs of the queue.

    Raises:
        CannotRead: it leads elsewhere.
    """
    name = printable(path)
    if "\0" in path or ".." in path.split("/"):
        raise CannotRead("dots", name)
    try:
        real = os.path.realpath(os.path.join(roots[0], path))
    except (OSError, ValueError) as error:
        raise CannotRead("failed", name, problem=str(error)) from None
    for root in map(os.path.realpath, roots):
        below = os.path.relpath(real, root)
        if below != "." and below.split("/", 1)[0] != "..":
            return Place(root, below, name)
    raise CannotRead("outside", name, roots=[printable(one) for one in roots])


def facts_of(path: str, roots: Sequence[str]) -> Facts:
    """What lies at a path, or why it is not read.

    Raises:
        OSError: the storage failed.
    """
    try:
        place = place_for(path, roots)
        with opened(place.root, place.below) as file:
            return Facts(file.size, file.modified_s)
    except CannotRead as error:
        return Facts(problem=str(error))


def bind(paths: SpoolPaths, bound: Bound, now_s: float | None = None) -> None:
    """Keep a binding; an earlier one of the same task is replaced.

    Raises:
        OSError: it could not be written.
    """
    for directory, above in ((paths.jobfiles, paths.root), (paths.bindings, paths.jobfiles)):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
            hand_over(directory, above)
    content = {"id": bound.task_id, "path": bound.path, "at_s": time.time() if now_s is None else now_s}
    write_whole(paths.binding(bound.task_id), encode_json(content))


def binding_of(paths: SpoolPaths, task_id: str) -> Bound | None:
    """What is bound to a task; None: nothing, or what nobody can read.

    Raises:
        OSError: the storage failed.
    """
    try:
        content, _ = read_regular(paths.binding(task_id), FILE_BYTES)
        path = decode_json(content).get("path")
    except (FileProblem, ValueError):
        return None
    return Bound(task_id, path) if isinstance(path, str) and path else None


def all_bindings(paths: SpoolPaths) -> list[Bound]:
    """The bindings of a queue, by task, at most ``BINDINGS_MAX``: those of the youngest tasks.

    Raises:
        OSError: the storage failed.
    """
    return sorted(_young(paths), key=lambda one: one.task_id)


def _young(paths: SpoolPaths) -> Iterator[Bound]:
    for task_id in sorted(bound_ids(paths), reverse=True)[:BINDINGS_MAX]:
        found = binding_of(paths, task_id)
        if found is not None:
            yield found


def bound_ids(paths: SpoolPaths) -> set[str]:
    """The tasks to which something is bound, by the names alone.

    Raises:
        OSError: the storage failed.
    """
    try:
        names = os.listdir(paths.bindings)
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {name.removesuffix(ENDING) for name in names if name.endswith(ENDING) and is_id(name.removesuffix(ENDING))}
