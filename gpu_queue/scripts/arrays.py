"""``--array=0-9%2,15``.  Pure."""

from __future__ import annotations

import re

from gpu_queue.scripts.reading import Array

MOST = 10000
"""So many tasks in one array."""
_PIECE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", re.ASCII)


def parse_array(text: str) -> Array:
    """The indices, and how many run at once.

    Raises:
        ValueError: it is no list of indices, or one of too many.
    """
    limit: int | None = None
    indices: dict[int, None] = {}
    text = text.strip().replace(" ", "").lstrip("[").replace("]", "")  # LSF: [1-10]%3
    for item in text.split(","):
        piece, percent, at_once = item.partition("%")
        if percent:
            if not re.fullmatch(r"\d{1,7}", at_once, re.ASCII):
                raise ValueError(f"{at_once!r} tasks at once")
            limit = int(at_once) or None
        match = _PIECE.fullmatch(piece)
        if match is None:
            raise ValueError(f"{piece!r} is no index")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or not step or (last - first) // step >= MOST:
            raise ValueError(f"{piece!r} is no range of indices")
        indices.update(dict.fromkeys(range(first, last + 1, step)))
        if len(indices) > MOST:
            raise ValueError(f"more than {MOST} tasks")
    return Array(tuple(sorted(indices)), limit)
