"""Lines of a terminal: pieces of text with what they mean, how wide they are, cut and filled to a width.  Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gpu_queue.texts import TEXT_MAX, printable


class Ink(Enum):
    """What a piece of a line means; a screen has a style for each."""

    PLAIN = "plain"
    STRONG = "strong"
    FAINT = "faint"
    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"


Piece = tuple[str, Ink]
Line = tuple[Piece, ...]
"""Its pieces have no control characters; the texts of others come through :func:`clean`."""


@dataclass(frozen=True)
class Glyphs:
    """The characters beside letters that a terminal can show."""

    encoding: str
    done: str = "█"
    failed: str = "✗"
    running: str = "▒"
    waiting: str = "░"
    left: str = ""
    right: str = ""
    dot: str = " · "
    dots: str = "…"

    @classmethod
    def of(cls, encoding: str | None) -> Glyphs:
        """Those of a stream's encoding; None: nobody knows which it is."""
        name = encoding or "ascii"
        whole = cls(name)
        try:
            "".join((whole.done, whole.failed, whole.running, whole.waiting, whole.dot, whole.dots)).encode(name)
        except (UnicodeEncodeError, LookupError):
            return cls(name, "#", "x", ">", ".", "[", "]", ", ", "..")
        return whole


UNICODE = Glyphs("utf-8")
_NO_DOTS = Glyphs("utf-8", dots="")

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)


def clean(text: str, glyphs: Glyphs, at_most: int = TEXT_MAX) -> str:
    """What others wrote, as this terminal can show it: one line, each byte that is no character of it as ``?``."""
    whole = printable(text, at_most)
    if whole.isascii():
        return whole
    # A text that ends in the middle of a cluster would draw its rest onto what comes next.
    joined = "".join(one for one in whole if unicodedata.category(one) != "Cf")
    try:
        return joined.encode(glyphs.encoding, "replace").decode(glyphs.encoding, "replace")
    except LookupError:
        return joined.encode("ascii", "replace").decode("ascii")


def without_escapes(text: str) -> str:
    """A line of a log as it stood on a terminal at last: no colours, and of a progress bar its last state."""
    plain = _ESCAPES.sub("", text).rstrip("\r")
    return plain.rpartition("\r")[2].expandtabs(4)


def width(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


@functools.lru_cache(1024)
def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, columns: int, glyphs: Glyphs = UNICODE) -> str:
    """A text that takes no more columns than these; where something is missing, dots say so."""
    if width(text) <= columns:
        return text
    left = columns - width(glyphs.dots)
    if left < 0:
        return glyphs.dots[: max(0, columns)]
    kept = 0
    for place, char in enumerate(text):
        kept += _columns(char)
        if kept > left:
            return text[:place] + glyphs.dots
    return text


def cut_middle(text: str, columns: int, glyphs: Glyphs = UNICODE) -> str:
    """The same, where beginning and end are kept: names of one matrix differ in their ends, most of all."""
    if width(text) <= columns:
        return text
    room = columns - width(glyphs.dots)
    if room < 8:
        return cut(text, columns, glyphs)
    end = ""
    for char in reversed(text):
        if width(end) + _columns(char) > room // 2:
            break
        end = char + end
    return cut(text, columns - width(end), glyphs) + end


def fill(text: str, columns: int) -> str:
    """A text with blanks behind it, up to these columns."""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int, indent: str = "    ") -> list[str]:
    """A text in lines of so many columns, broken between words where that can be; later ones are indented."""
    lines, left = [], text
    while width(left) > columns > 2 * len(indent):
        head = cut(left, columns, _NO_DOTS)
        words = head.rfind(" ", columns // 2)
        place = words if words > 0 else len(head)
        lines.append(left[:place].rstrip())
        left = indent + left[place:].lstrip()
    return [*lines, left]


def line_width(line: Line) -> int:
    """How many columns a line takes."""
    return sum(width(text) for text, _ in line)


def cut_line(line: Iterable[Piece], columns: int, glyphs: Glyphs = UNICODE) -> Line:
    """A line that takes no more columns than these, without blanks at its end."""
    kept: list[Piece] = []
    left = columns
    for text, ink in line:
        shorter = cut(text, left, glyphs)
        if shorter:
            kept.append((shorter, ink))
        left -= width(shorter)
        if shorter != text or left <= 0:
            break
    while kept and not kept[-1][0].rstrip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return tuple(kept)


def text_of(line: Sequence[Piece]) -> str:
    """A line without its inks."""
    return "".join(text for text, _ in line)
