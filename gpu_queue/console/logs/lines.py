"""How many lines lie before a byte: newlines are counted by block, a slice of time at a call, once."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable

from gpu_queue.console.logs.rows import BLOCK_BYTES, Blocks, Read

SLICE_S = 0.2


class LineIndex:
    """Newlines of a file that grows; for one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is counted yet."""
        self._before = array("Q", [0])
        """Of each whole block, the newlines before it; and of the next one."""
        self._clock = clock

    def count(self, read: Read, size: int, slice_s: float = SLICE_S) -> bool:
        """Go on counting for so long, at least a block; True: all whole blocks are counted."""
        deadline = self._clock() + slice_s
        if (len(self._before) - 1) * BLOCK_BYTES > size:  # it was cut, and is another text
            self._before = array("Q", [0])
        while (len(self._before)) * BLOCK_BYTES <= size:
            content = read((len(self._before) - 1) * BLOCK_BYTES, BLOCK_BYTES)
            if len(content) < BLOCK_BYTES:
                return True  # it was cut meanwhile
            self._before.append(self._before[-1] + content.count(b"\n"))
            if self._clock() > deadline:
                return len(self._before) * BLOCK_BYTES > size
        return True

    def before(self, blocks: Blocks, at: int) -> int | None:
        """Newlines before a byte; None: not counted yet, or it was cut since."""
        number = at // BLOCK_BYTES
        if number >= len(self._before) or (len(self._before) - 1) * BLOCK_BYTES > blocks.size:
            return None
        return self._before[number] + blocks.block(number).count(b"\n", 0, at - number * BLOCK_BYTES)
