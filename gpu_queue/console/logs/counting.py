"""Line indices of the logs that are read: counted in the background, each by one at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from gpu_queue.console.logs.lines import LineIndex
from gpu_queue.console.logs.opening import CannotRead, opened
from gpu_queue.console.logs.sources import Place
from gpu_queue.console.world.storage import Lane, StorageCrowded, StorageSilent

KEPT_MAX = 64
SLICE_TIMEOUT_S = 10.0


class Indices:
    """Those of one spool.  For the event loop, but for what ``of`` gives."""

    def __init__(self, lane: Lane) -> None:
        """Nothing is counted yet.

        Args:
            lane: in which files are read.
        """
        self._lane = lane
        self._kept: OrderedDict[tuple[Place, str], LineIndex] = OrderedDict()
        self._counting: asyncio.Task[None] | None = None

    def of(self, place: Place, inode: str) -> LineIndex:
        """The index of a file."""
        key = (place, inode)
        found = self._kept.setdefault(key, LineIndex())
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    def count(self, place: Place, inode: str) -> None:
        """Go on in the background, a slice after the other, so that others read between them; one file at a time."""
        if self._counting is None or self._counting.done():  # else it is asked for again with the next window
            self._counting = asyncio.get_running_loop().create_task(self._count(place, inode))

    async def _count(self, place: Place, inode: str) -> None:
        index = self.of(place, inode)

        def count_slice() -> bool:
            try:
                with opened(place.root, place.below) as file:
                    return file.inode != inode or index.count(file.read, file.size)
            except (CannotRead, OSError):
                return True  # whoever reads it is told

        try:
            while not await self._lane.within(SLICE_TIMEOUT_S, count_slice, "a log"):
                await asyncio.sleep(0)
        except (StorageSilent, StorageCrowded):
            return
