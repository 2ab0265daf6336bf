"""The histories that a console has read, by queue: each once, however many ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gpu_queue.console.timeline.book import Book
from gpu_queue.console.world.looking import Seen
from gpu_queue.console.world.storage import Lane
from gpu_queue.console.world.world import World

T = TypeVar("T")

READ_EVERY_S = 10.0
READ_S = 20.0
"""Sixteen nodes with all that they may have are read in less on a local disk."""
BOOKS_MAX = 8
"""In memory; the one that was asked for the longest ago is let go."""


class _Kept:
    def __init__(self, world: World) -> None:
        self.book = Book(world.paths)
        self.lane = Lane(f"{world.job} histories")
        self.read_at_s = float("-inf")


class Books:
    """For the event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def ask(self, world: World, question: Callable[[Book, Seen], T]) -> T:
        """Ask something of a queue's histories, as they stood a moment ago.

        Args:
            world: the queue.
            question: is asked in a thread.

        Raises:
            StorageSilent: the storage has not answered.
            OSError: it failed.
        """
        seen = await world.latest()
        kept = self._kept.pop(world.paths.root, None) or _Kept(world)
        self._kept[world.paths.root] = kept
        while len(self._kept) > BOOKS_MAX:
            del self._kept[next(iter(self._kept))]

        def work() -> T:
            now = time.monotonic()
            if now - kept.read_at_s >= READ_EVERY_S:
                kept.book.refresh([one.node for one in seen.snapshot.nodes], now)
                kept.read_at_s = now
            return question(kept.book, seen)

        return await kept.lane.within(READ_S, work, "the nodes' histories")
