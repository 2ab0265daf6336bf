"""What is another in a text than in the one before it, line by line.  Pure."""

from __future__ import annotations

import difflib

from gpu_queue.console.models.policy import DiffLine
from gpu_queue.console.policy.marks import BREAK

CONTEXT = 3
LINES_MAX = 2000
LINE_MAX = 500


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its break, so that another break is another line."""
    lines, at = [], 0
    for match in BREAK.finditer(text):
        lines.append(text[at : match.end()])
        at = match.end()
    return [*lines, text[at:]] if at < len(text) else lines


def diff(before: str, after: str) -> list[DiffLine]:
    """Lines that were removed and added, with those around them; at most ``LINES_MAX``."""
    old, new = lines_of(before), lines_of(after)
    found: list[DiffLine] = []
    at = 0
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT):
        if group[0][1] > at:
            found.append(DiffLine(kind="gap"))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                pairs = zip(range(i1, i2), range(j1, j2), strict=True)
                found += [DiffLine(kind="same", old=i + 1, new=j + 1, text=_shown(old[i])) for i, j in pairs]
            else:
                found += [DiffLine(kind="removed", old=i + 1, text=_shown(old[i])) for i in range(i1, i2)]
                found += [DiffLine(kind="added", new=j + 1, text=_shown(new[j])) for j in range(j1, j2)]
        at = group[-1][2]
    if at < len(old) and found:
        found.append(DiffLine(kind="gap"))
    return found[:LINES_MAX]


def _shown(line: str) -> str:
    text = BREAK.sub("", line)
    return text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]}…"
