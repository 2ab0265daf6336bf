"""The part of a file that a request asks for (RFC 9110, 14.1)."""

from __future__ import annotations

import re

_PART = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def part_of(asked: str | None, size: int) -> tuple[int, int] | None:
    """Where the part begins and ends; an empty one: nothing of it is there; None: the whole file is to be sent.

    >>> part_of("bytes=2-4", 10), part_of("bytes=-3", 10), part_of("bytes=1-2,5-6", 10)
    ((2, 5), (7, 10), None)

    Args:
        asked: the header `Range`; several parts, and what cannot be read, are ignored, as the standard allows.
        size: of the file, in bytes.
    """
    match = _PART.fullmatch((asked or "").strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    begin = int(match[1])
    if match[2] and int(match[2]) < begin:
        return None
    return begin, min(size, int(match[2]) + 1) if match[2] else size
