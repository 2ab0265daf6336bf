r"""Rows of a log: where they begin, and what a terminal would show of each.  Pure over a function that reads bytes.

A row ends behind each ``\n``; and at the end of an aligned block of 256 KiB that has none, so that a bar of 40 MB
without a newline is 160 rows, and the beginning of a row is found in two blocks at most.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpu_queue.console.models.logs import ROWS_MAX, WINDOW_MAX_BYTES, LogRow

BLOCK_BYTES = 256 << 10
TEXT_MAX_BYTES = 16 << 10
READ_MAX_BYTES = 8 << 20
"""Of the file, for one window: rows may be much longer than what is shown of them."""
SGR_BYTES = 64 << 10
SGR_MAX = 40
ENCODINGS = ("utf-8", "gb18030")
_SGR = re.compile(rb"\x1b\[([0-9;:]*)m")

Read = Callable[[int, int], bytes]
"""Bytes of the file: where they begin, how many; less where it ends."""


class Blocks:
    """The aligned blocks of a file of a certain size; what was read last is kept."""

    def __init__(self, read: Read, size: int, kept: int = 48) -> None:
        """Args: how bytes are read; the size that the file has for as long as this lives; blocks that are kept."""
        self.size = size
        self.read_bytes = 0
        self._read = read
        self._kept_max = kept
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def block(self, number: int) -> bytes:
        """One block; empty behind the end."""
        known = self._kept.get(number)
        if known is None:
            begins = number * BLOCK_BYTES
            known = self._read(begins, max(0, min(BLOCK_BYTES, self.size - begins)))
            self.read_bytes += len(known)
            self._kept[number] = known
            if len(self._kept) > self._kept_max:
                self._kept.popitem(last=False)
        return known

    def between(self, start: int, end: int) -> bytes:
        """Bytes across blocks."""
        pieces = []
        while start < end:
            number = start // BLOCK_BYTES
            ends = min(end, (number + 1) * BLOCK_BYTES)
            pieces.append(self.block(number)[start - number * BLOCK_BYTES : ends - number * BLOCK_BYTES])
            start = ends
        return b"".join(pieces)

    def row_start(self, at: int) -> int:
        """The beginning of the row that holds a byte; of the end of the file that of its last row."""
        at = max(0, min(at, self.size))
        number = at // BLOCK_BYTES
        begins = number * BLOCK_BYTES
        found = self.block(number).rfind(b"\n", 0, at - begins)
        if found >= 0:
            return begins + found + 1
        if number == 0:
            return 0
        before = self.block(number - 1).rfind(b"\n")
        return begins if before < 0 else begins - BLOCK_BYTES + before + 1

    def row_end(self, start: int) -> int:
        """Where the row that begins there ends."""
        number = start // BLOCK_BYTES
        begins = number * BLOCK_BYTES
        found = self.block(number).find(b"\n", start - begins)
        if found >= 0:
            return begins + found + 1
        # A row that begins inside a block begins behind its newline: that block is none without one.
        if start > begins:
            number += 1
            begins += BLOCK_BYTES
            found = self.block(number).find(b"\n")
            if found >= 0:
                return begins + found + 1
        return min(self.size, begins + BLOCK_BYTES)

    def forward(self, start: int) -> Iterator[tuple[int, int]]:
        """Rows from there on, each with its end."""
        while start < self.size:
            end = self.row_end(start)
            yield start, end
            start = end


def shown(content: bytes, offset: int, encoding: str = "utf-8", *, whole: bool = False) -> tuple[LogRow, int]:
    r"""A row as a terminal shows it in the end.

    >>> shown(b"eval:  10%\reval: 100%\n", 0)[0].t
    'eval: 100%'

    Args:
        content: its bytes, with its newline if it has one.
        offset: where they begin.
        encoding: of the log.
        whole: all updates (each on a line) and all of its text.

    Returns:
        The row, and how many bytes are none in this encoding.
    """
    has_end = content.endswith(b"\n")
    line = content[:-1].rstrip(b"\r") if has_end else content
    updates = [one for one in line.split(b"\r") if one]
    text = b"\n".join(updates) if whole else (updates[-1] if updates else b"")
    limit = WINDOW_MAX_BYTES if whole else TEXT_MAX_BYTES
    cut = max(0, len(text) - limit)
    decoded = text[:limit].decode(encoding, "replace")
    row = LogRow(
        o=offset,
        n=len(content),
        t=decoded,
        r=max(0, len(updates) - 1),
        c=cut,
        p=not has_end and _is_piece(offset + len(content)),
    )
    # A character that was cut is no fault of the file's.
    return row, max(0, decoded.count("\N{REPLACEMENT CHARACTER}") - (cut > 0))


def _is_piece(end: int) -> bool:
    return end % BLOCK_BYTES == 0


@dataclass(frozen=True)
class Window:
    """Rows that hang together."""

    rows: list[LogRow]
    first: int
    next: int
    replaced_bytes: int


def window(blocks: Blocks, anchor: int, before: int, after: int, encoding: str = "utf-8") -> Window:
    """Rows around a byte: at most so many before the one that holds it, and from that one on.

    Args:
        blocks: the file.
        anchor: a byte; the size: the end.
        before: rows, at most ``ROWS_MAX`` together with those after.
        after: rows, the one that holds the byte among them.
        encoding: of ``ENCODINGS``.
    """
    before, after = max(0, min(before, ROWS_MAX)), max(0, min(after, ROWS_MAX))
    after = min(after, ROWS_MAX - before)
    start = blocks.row_start(anchor)
    first, text = start, 0
    for _ in range(before):
        if first == 0 or text > WINDOW_MAX_BYTES // 2 or blocks.read_bytes > READ_MAX_BYTES // 2:
            break
        earlier = blocks.row_start(first - 1)
        text += min(first - earlier, TEXT_MAX_BYTES)
        first = earlier
    rows: list[LogRow] = []
    replaced, ends = 0, first
    wanted = after
    for row_start, row_end in blocks.forward(first):
        if row_start >= start:
            if wanted <= 0:
                break
            wanted -= 1
        if rows and (text > WINDOW_MAX_BYTES or blocks.read_bytes > READ_MAX_BYTES):
            break
        row, odd = shown(blocks.between(row_start, row_end), row_start, encoding)
        if row_end == blocks.size and not blocks.between(row_end - 1, row_end).endswith(b"\n"):
            row = row.model_copy(update={"u": True, "p": False})
        rows.append(row)
        replaced += odd
        if row_start >= start:
            text += len(row.t)
        ends = row_end
    return Window(rows, first, ends, replaced)


def sgr_before(blocks: Blocks, at: int) -> str:
    """The SGR sequences that are in force at a byte, as far as the last 64 KiB tell."""
    content = blocks.between(max(0, at - SGR_BYTES), at)
    found: list[bytes] = []
    for match in _SGR.finditer(content):
        numbers = match[1].split(b";")
        if numbers[-1] in (b"", b"0", b"00"):
            found = []
        else:
            found.append(match[0])
    return b"".join(found[-SGR_MAX:]).decode("ascii")
