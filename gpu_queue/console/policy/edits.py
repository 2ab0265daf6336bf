"""Pieces of a text that are replaced.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """A piece, in characters, and what comes in its place."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Sequence[Edit]) -> str | None:
    """The text with all of them; None: two of them meet."""
    made: list[str] = []
    at = 0
    for one in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if one.start < at or one.end < one.start:
            return None
        made += text[at : one.start], one.text
        at = one.end
    return "".join([*made, text[at:]])
