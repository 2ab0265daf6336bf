"""Texts on a terminal, which counts columns and not characters.  Pure."""

from __future__ import annotations

import unicodedata

from gpu_queue.texts import TEXT_MAX, printable

_MARKS = ("Mn", "Me")
"""They stand on the character before them."""


def whole(text: str) -> str:
    """A text of characters alone: bytes that are none, and halves of such, are U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tame(text: str, at_most: int = TEXT_MAX) -> str:
    """A text as a terminal may be shown it: characters alone, and none that controls it."""
    return whole(printable(text, at_most))


def width_of(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, columns: int) -> str:
    """A text as a terminal may be shown it, in so many columns at most; where it is cut it says so."""
    said = tame(text, 4 * columns)
    if width_of(said) <= columns:
        return said
    kept, left = "", columns - 1
    for character in said:
        left -= _width(character)
        if left < 0:
            break
        kept += character
    return f"{kept}…" if columns > 0 else ""


def padded(text: str, columns: int, *, to_the_right: bool = False) -> str:
    """A text with so many blanks that it takes so many columns."""
    blanks = " " * (columns - width_of(text))
    return blanks + text if to_the_right else text + blanks


def wrapped(text: str, columns: int, indent: str = "  ") -> list[str]:
    """A text as lines of so many columns at most; all but the first are indented, and a longer word is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        one = fitted(word, max(1, columns - len(indent)))
        longer = f"{line} {one}" if line.strip() else f"{line}{one}"
        if line.strip() and width_of(longer) > columns:
            lines.append(line)
            longer = f"{indent}{one}"
        line = longer
    return [*lines, line]
