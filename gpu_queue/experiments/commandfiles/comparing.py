"""A command file that is loaded again: what of it is new, changed, gone; what waits too long where it waits.  Pure.

- What was done, runs or has failed stays as it is; what waits and was changed is taken out and queued anew.
- A queue keeps the order of its file.  So from the first difference on what waits in it is queued anew as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gpu_queue.experiments.commandfiles.batches import Piece
from gpu_queue.spool.desk.find import Task
from gpu_queue.task import BatchPart, State


class News(str, Enum):
    """What is to be said of a block."""

    NEW = "new"
    CHANGED = "changed"
    AGAIN = "again"
    """It was there before, and is loaded once more."""
    MOVED = "moved"
    """It waited, and is queued anew behind what comes before it now."""
    WAITS = "waits"
    RUNS = "runs"
    DONE = "done"
    FAILED = "failed"


_STAYS = {State.RUNNING: News.RUNS, State.DONE: News.DONE, State.FAILED: News.FAILED}


@dataclass(frozen=True)
class Known:
    """A task that an earlier load of the file made; cancelled ones are none."""

    task: Task
    batch: BatchPart
    queue: str


@dataclass(frozen=True)
class Comparison:
    """What follows from loading a file."""

    news: tuple[tuple[Piece, News], ...]
    """Of each of its blocks."""
    gone: tuple[Known, ...]
    """Tasks of blocks that are not in the file any more; those that wait are taken out."""
    cancelled: tuple[Known, ...]
    """What is taken out: gone, changed, moved."""

    @property
    def published(self) -> list[Piece]:
        """What is queued, in the order of the file."""
        return [piece for piece, news in self.news if news in (News.NEW, News.CHANGED, News.AGAIN, News.MOVED)]


def compare(
    pieces: Sequence[Piece], known: Sequence[Known], taken: Sequence[Known] = (), *, again: bool = False
) -> Comparison:
    """Hold a file against what earlier loads of it made.

    Args:
        pieces: its blocks, in their order.
        known: the tasks, in any order.
        taken: those that were taken out already.
        again: also what was done, runs or has failed is queued once more.
    """
    told = {} if again else _settled(pieces, known)
    waiting = sorted((one for one in known if one.task.state is State.PENDING), key=lambda one: one.task.id or "")
    kept = _kept(pieces, waiting, told)
    cancelled = [*taken, *(one for one in waiting if one not in kept)]
    known = [*known, *taken]
    contents = {piece.content for piece in pieces}
    former = {one.batch.position: one for one in known if one.batch.content not in contents}
    left = Counter(one.batch.content for one in cancelled)
    before = {one.batch.content for one in known}
    for at, piece in enumerate(pieces):
        if at in told:
            continue
        if left[piece.content]:
            left[piece.content] -= 1
            told[at] = News.MOVED
        elif again and piece.content in before:
            told[at] = News.AGAIN
        else:
            told[at] = News.NEW if former.pop(piece.batch.position, None) is None else News.CHANGED
    changed = {piece.batch.position for at, piece in enumerate(pieces) if told[at] is News.CHANGED}
    gone = [one for one in known if one.batch.content not in contents and one.batch.position not in changed]
    return Comparison(tuple((piece, told[at]) for at, piece in enumerate(pieces)), tuple(gone), tuple(cancelled))


def _settled(pieces: Sequence[Piece], known: Sequence[Known]) -> dict[int, News]:
    """The blocks that are done, run, or have failed; not where another task of the same block still waits."""
    left = Counter(piece.content for piece in pieces)
    left.subtract(one.batch.content for one in known if one.task.state is not State.FAILED)
    found: defaultdict[str, list[News]] = defaultdict(list)
    for one in known:
        if one.task.state in _STAYS and (one.task.state is not State.FAILED or left[one.batch.content] > 0):
            found[one.batch.content].append(_STAYS[one.task.state])
            left[one.batch.content] -= one.task.state is State.FAILED
    return {at: found[piece.content].pop(0) for at, piece in enumerate(pieces) if found[piece.content]}


def _kept(pieces: Sequence[Piece], waiting: Sequence[Known], told: dict[int, News]) -> list[Known]:
    """What waits in the order of the file, up to the first difference in each queue; into ``told`` as well."""
    lines: defaultdict[str, list[Known]] = defaultdict(list)
    for one in waiting:
        lines[one.queue].append(one)
    kept = []
    ended: set[str] = set()
    for at, piece in enumerate(pieces):
        if at in told or piece.queue in ended:
            continue
        line = lines[piece.queue]
        if line and line[0].batch.content == piece.content:
            kept.append(line.pop(0))
            told[at] = News.WAITS
        else:
            ended.add(piece.queue)
    return kept
