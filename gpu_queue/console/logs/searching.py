"""Search in a log of any size: literal, smart case, a slice of time at a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gpu_queue.console.logs.rows import Read
from gpu_queue.console.models.logs import LogHits

CHUNK_BYTES = 1 << 20
SLICE_S = 0.2
OFFSETS_MAX = 1000
BINS = 200
WORDS_MAX = 20


@dataclass(frozen=True)
class Wanted:
    """What is looked for."""

    words: tuple[bytes, ...]
    is_exact: bool
    """Capitals count: one was typed."""


class NothingWanted(ValueError):
    """Nothing was typed."""


def wanted(text: str, encoding: str = "utf-8") -> Wanted:
    """What somebody typed: ``a|b`` is either; with a capital letter in it, capitals count.

    Raises:
        NothingWanted: nothing was typed.
        UnicodeEncodeError: what cannot be in such a log.
    """
    words = [one for one in text.split("|") if one][:WORDS_MAX]
    if not words:
        raise NothingWanted
    is_exact = text != text.lower()
    return Wanted(tuple(one.encode(encoding) for one in words), is_exact)


def search(
    read: Read,
    size: int,
    what: Wanted,
    start: int,
    end: int | None = None,
    *,
    known: int = 0,
    clock: Callable[[], float] = time.monotonic,
    slice_s: float = SLICE_S,
) -> LogHits:
    """Look through a part of a file for so long.

    A hit counts where it begins inside the part; one that lies in another is counted once, the longer first.

    Args:
        read: how bytes are read.
        size: of the file.
        what: is looked for.
        start: where to begin.
        end: where to stop; None: at the end.
        known: offsets that the asker has already.
        clock: monotonic.
        slice_s: the most time; at least one chunk is looked through.

    Returns:
        What was found, and where to go on.
    """
    ends = size if end is None else max(start, min(end, size))
    start = max(0, min(start, ends))
    overlap = max(map(len, what.words)) - 1
    deadline = clock() + slice_s
    offsets: list[int] = []
    bins = [0] * BINS
    count, at, last = 0, start, start
    while at < ends:
        content = read(at, min(CHUNK_BYTES + overlap, size - at))
        if not content:
            break
        limit = min(CHUNK_BYTES, ends - at)
        for hit in _hits(content if what.is_exact else content.lower(), what.words, limit, last - at):
            place = at + hit[0]
            last = at + hit[1]
            count += 1
            bins[min(BINS - 1, place * BINS // max(1, size))] += 1
            if len(offsets) + known < OFFSETS_MAX:
                offsets.append(place)
        at += limit
        if clock() > deadline:
            break
    return LogHits(
        offsets=offsets,
        count=count,
        bins=bins,
        searched=[start, at],
        next=None if at >= ends else at,
        size_bytes=size,
    )


def _hits(content: bytes, words: tuple[bytes, ...], limit: int, begin: int) -> list[tuple[int, int]]:
    """Hits that begin before ``limit``, none inside another, each with its end."""
    if len(words) == 1:
        return _of_word(content, words[0], limit, max(0, begin))
    found: list[tuple[int, int]] = []
    ended = max(0, begin)
    for place, end in sorted(
        (hit for word in words for hit in _of_word(content, word, limit, 0)), key=lambda hit: (hit[0], -hit[1])
    ):
        if place >= ended:
            found.append((place, end))
            ended = end
    return found


def _of_word(content: bytes, word: bytes, limit: int, begin: int) -> list[tuple[int, int]]:
    found = []
    at = content.find(word, begin, limit + len(word) - 1)
    while at >= 0:
        found.append((at, at + len(word)))
        at = content.find(word, at + len(word), limit + len(word) - 1)
    return found
