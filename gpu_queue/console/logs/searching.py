"""Search in a log of any size: literal, smart case, a slice of time at a call; what a terminal obeys is no text.

A phrase is found also where its colour changes inside.  To look for that in each byte of a gigabyte takes ten
seconds: it is done in chunks that hold an escape, all letters of a phrase and a third of it, as one with two changes
inside does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from gpu_queue.console.logs.rows import Read
from gpu_queue.console.models.logs import LogHits

CHUNK_BYTES = 1 << 20
SLICE_S = 0.2
OFFSETS_MAX = 1000
BINS = 200
WORDS_MAX = 20
ESC = b"\x1b"
_ESCAPE = rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|[ -/][0-~]|[0-Z\\^-~])"
"""As the page drops them: CSI (colours among them), OSC, sets of characters, single ones."""
_ESCAPES_MAX = 8
"""In one place of a phrase."""
_ONE_ESCAPE = re.compile(_ESCAPE)
ESCAPE_BYTES = 2048
"""No escape is longer."""
PLACES_BYTES = 256
"""A phrase with its escapes is longer by no more, where it lies on the border of two chunks."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for."""

    words: tuple[bytes, ...]
    is_exact: bool
    """Capitals count: one was typed."""

    @cached_property
    def letters(self) -> tuple[bytes, ...]:
        """Of each phrase: its bytes, each once."""
        return tuple(bytes(sorted(set(word))) for word in self.words)

    @cached_property
    def thirds(self) -> tuple[bytes, ...]:
        """Of all phrases."""
        return tuple(
            word[at : at + third]
            for word in self.words
            for third in (-(-len(word) // 3),)
            for at in range(0, len(word), third)
        )

    @cached_property
    def across_escapes(self) -> re.Pattern[bytes]:
        """The phrases, with escapes between their letters or without."""
        between = b"(?:%s){0,%d}" % (_ESCAPE, _ESCAPES_MAX)
        spelled = (
            between.join(re.escape(bytes((letter,))) for letter in word)
            for word in sorted(self.words, key=len, reverse=True)
        )
        return re.compile(b"|".join(spelled))


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
    overlap = max(map(len, what.words)) - 1 + PLACES_BYTES
    deadline = clock() + slice_s
    offsets: list[int] = []
    bins = [0] * BINS
    count, at, last = 0, start, start
    while at < ends:
        before = min(at, ESCAPE_BYTES)  # it may begin inside of an escape
        content = read(at - before, min(before + CHUNK_BYTES + overlap, size - at + before))
        if len(content) <= before:
            break
        begins, limit = at - before, before + min(CHUNK_BYTES, ends - at)
        for hit in _seen(content if what.is_exact else content.lower(), what, limit, max(before, last - begins)):
            place = begins + hit[0]
            last = begins + hit[1]
            count += 1
            bins[min(BINS - 1, place * BINS // max(1, size))] += 1
            if len(offsets) + known < OFFSETS_MAX:
                offsets.append(place)
        at = begins + limit
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


def _seen(content: bytes, what: Wanted, limit: int, begin: int) -> list[tuple[int, int]]:
    """As :func:`_hits`, of what a reader sees."""
    if ESC not in content:
        return _hits(content, what.words, limit, begin)
    if not any(all(letter in content for letter in letters) for letters in what.letters):
        return []
    if not any(third in content for third in what.thirds):
        return []
    return [span for span in _hits_seen(content, what, begin) if span[0] < limit]


def _hits_seen(content: bytes, what: Wanted, begin: int) -> Iterator[tuple[int, int]]:
    match = what.across_escapes.search(content, begin)
    while match is not None:
        is_hidden = _is_hidden(content, match.start())
        if not is_hidden:
            yield match.span()
        match = what.across_escapes.search(content, match.start() + 1 if is_hidden else match.end())


def _is_hidden(content: bytes, at: int) -> bool:
    """Whether a byte is a part of an escape."""
    begins = content.rfind(ESC, max(0, at - ESCAPE_BYTES), at)
    escape = None if begins < 0 else _ONE_ESCAPE.match(content, begins)
    return escape is not None and escape.end() > at


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
