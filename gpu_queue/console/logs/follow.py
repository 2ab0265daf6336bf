"""What is printed while somebody reads: one look a file for all who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from gpu_queue.console.logs.opening import CannotRead, opened
from gpu_queue.console.logs.rows import Blocks, shown
from gpu_queue.console.logs.sources import Place
from gpu_queue.console.models.logs import FollowRows, FollowState, LogRow
from gpu_queue.console.world.storage import Lane, StorageCrowded, StorageSilent

SLOW_S = 1.0
FAST_S = 0.25
"""While it grows."""
BEHIND_BYTES = 512 << 10
"""Whoever is farther behind is taken to the end."""
TAIL_BYTES = 64 << 10
COMMENT_S = 15.0
READ_S = 10.0


@dataclass(frozen=True)
class Look:
    """A file at one moment."""

    number: int
    size: int = 0
    inode: str = ""
    why: str = ""
    """Why it cannot be read; empty: it can."""


class Follower:
    """One file, looked at while somebody follows it."""

    def __init__(self, place: Place, lane: Lane) -> None:
        """Nothing is read yet."""
        self.place = place
        self.look = Look(0)
        self._lane = lane
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._readers = 0
        self._grew = False
        self._begins = asyncio.Lock()

    async def enter(self) -> None:
        """One more follows."""
        self._readers += 1
        async with self._begins:  # of two who come at once the second waits for the first look
            if self._task is None:
                await self._see()
                self._task = asyncio.get_running_loop().create_task(self._run())

    def leave(self) -> bool:
        """One less; True: nobody is left, and it is not looked at any more."""
        self._readers -= 1
        if self._readers == 0 and self._task is not None:
            self._task.cancel()
            self._task = None
        return self._readers == 0

    async def changed(self, number: int, timeout_s: float) -> bool:
        """Wait for a look that shows something else."""
        if self.look.number != number:
            return True
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            return False
        return True

    async def rows(self, start: int, size: int, encoding: str) -> list[LogRow]:
        """The rows from one that begins there to the end."""
        return await self._lane.within(READ_S, lambda: _read(self.place, start, size, encoding), "a log")

    async def start_of(self, at: int, size: int) -> int:
        """The beginning of the row that holds a byte."""
        return await self._lane.within(READ_S, lambda: _start_of(self.place, at, size), "a log")

    async def _run(self) -> None:
        while True:
            before = self.look.number
            await asyncio.sleep(FAST_S if self._grew else SLOW_S)
            try:
                await self._see()
            except (StorageSilent, StorageCrowded, OSError):
                continue  # who reads is told so by its own read; the next look may succeed
            self._grew = self.look.number != before

    async def _see(self) -> None:
        size, inode, why = await self._lane.within(READ_S, lambda: _facts(self.place), "a log")
        if (size, inode, why) != (self.look.size, self.look.inode, self.look.why) or not self.look.number:
            self.look = Look(self.look.number + 1, size, inode, why)
            news, self._news = self._news, asyncio.Event()
            news.set()


def _facts(place: Place) -> tuple[int, str, str]:
    try:
        with opened(place.root, place.below) as file:
            return file.size, file.inode, ""
    except CannotRead as error:
        return 0, "", str(error)


def _read(place: Place, start: int, size: int, encoding: str) -> list[LogRow]:
    with opened(place.root, place.below) as file:
        blocks = Blocks(file.read, min(size, file.size))
        rows = []
        for begins, ends in blocks.forward(start):
            content = blocks.between(begins, ends)
            row, _ = shown(content, begins, encoding)
            if ends == blocks.size and not content.endswith(b"\n"):
                row = row.model_copy(update={"u": True, "p": False})
            rows.append(row)
        return rows


def _start_of(place: Place, at: int, size: int) -> int:
    with opened(place.root, place.below) as file:
        return Blocks(file.read, min(size, file.size)).row_start(at)


class Followers:
    """All files of a spool that are followed."""

    def __init__(self, lane: Lane) -> None:
        """None yet."""
        self._lane = lane
        self._followers: dict[Place, Follower] = {}

    @property
    def count(self) -> int:
        """How many files are looked at."""
        return len(self._followers)

    async def follow(
        self, place: Place, after: int, encoding: str, is_running: Callable[[], bool]
    ) -> AsyncIterator[tuple[str, int, FollowRows | FollowState | None]]:
        """What comes behind a byte: events (name, offset, value); None: nothing came for a while.

        Args:
            place: the file.
            after: where a row begins that was seen as far as it went, or the end; behind the end: the end.
            encoding: of the log.
            is_running: whether more is to be expected.
        """
        follower = self._followers.setdefault(place, Follower(place, self._lane))
        try:
            await follower.enter()
            async for event in _events(follower, after, encoding, is_running):
                yield event
        finally:
            if follower.leave():
                self._followers.pop(place, None)


async def _events(
    follower: Follower, after: int, encoding: str, is_running: Callable[[], bool]
) -> AsyncIterator[tuple[str, int, FollowRows | FollowState | None]]:
    first = follower.look
    held = min(after, first.size)
    inode, number, is_open = first.inode, 0, False
    while True:
        look = follower.look
        if look.number == number:
            has_news = await follower.changed(number, COMMENT_S if is_running() else 2 * SLOW_S)
            if not has_news and not is_running():
                yield "state", held, FollowState(state="ended")
                return
            if not has_news:
                yield "", held, None
            continue
        number = look.number
        if look.why:
            yield "state", held, FollowState(state="gone", text=look.why)
            continue
        if inode and look.inode != inode:
            held, inode = 0, look.inode
            yield "state", held, FollowState(state="replaced")
            return
        inode = look.inode
        if look.size < held:
            yield "state", held, FollowState(state="cut")
            return
        skipped, begin = 0, held
        if look.size - held > BEHIND_BYTES:
            begin = await follower.start_of(look.size - TAIL_BYTES, look.size)
            skipped = begin - held
        try:
            rows = await follower.rows(begin, look.size, encoding)
        except CannotRead as error:
            yield "state", held, FollowState(state="gone", text=str(error))
            continue
        if not rows and number > 1:
            continue
        ends = rows[-1].o + rows[-1].n if rows else begin
        replaces = held if is_open and not skipped else None
        is_open = bool(rows) and rows[-1].u
        held = rows[-1].o if is_open else ends
        yield (
            "rows",
            held,
            FollowRows(
                rows=rows,
                next=ends,
                size_bytes=look.size,
                inode=look.inode,
                skipped_bytes=skipped,
                replaces_from=replaces,
            ),
        )
