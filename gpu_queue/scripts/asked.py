"""What the lines of a scheduler ask for, whichever scheduler it is.  Pure."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """A line of a script."""

    number: int
    """Counted from 1."""
    text: str


class Said(NamedTuple):
    """A value, and the line that has it."""

    value: str
    line: Line


class Asked:
    """What lines of one kind ask for."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.values: dict[str, Said] = {}
        """By what a :class:`Conclusion` is about; besides ``undivided`` (GPUs that are no multiple of the nodes),
        ``tasks_of_a_node``, ``hetjob`` and ``dependency``."""
        self.is_there = False


def head_of(lines: list[str]) -> list[Line]:
    """The leading lines that are empty or begin with ``#``."""
    head = []
    for number, text in enumerate(lines, 1):
        if text.strip() and not text.startswith("#"):
            break
        head.append(Line(number, text))
    return head
