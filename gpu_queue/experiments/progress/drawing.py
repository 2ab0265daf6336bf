"""The screen as lines: a bar for each group, what runs where, why the first one waits.  Pure.

What one looks for stands in this order: how far it is and how long still, what runs, why nothing more does.  A screen
that is too low shows less of each, and says how much less.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_queue.experiments.progress.bars import group_lines, lines_per_group
from gpu_queue.experiments.progress.lines import Glyphs, Ink, Line, clean, cut, cut_line, cut_middle, fill, width
from gpu_queue.experiments.progress.nouns import Item, Progress
from gpu_queue.experiments.progress.sentences import agent_in_words, elapsed_in_words, node_of, why_first
from gpu_queue.reasons import Code
from gpu_queue.units import format_duration

GPUS_MAX = 9
NODE_MAX = 16
NAME_MAX = 60
NAME_MIN = 8
RUNNING_MAX = 500
REASONS_MAX = 3
"""So many that wait, each for something else, are told of."""
_GAP = "  "
_LOOKED_MAX = 200
"""So many of those that wait are looked at for other reasons than the first one's."""


@dataclass(frozen=True)
class Size:
    """Of the part of a terminal that may be drawn on."""

    columns: int
    rows: int


def frame(progress: Progress, size: Size, glyphs: Glyphs) -> tuple[Line, ...]:
    """What stands at the foot of the terminal while the runs go on.

    Args:
        progress: how far they are.
        size: no line is wider, and there are no more lines.
        glyphs: what the terminal can show.
    """
    columns, rows = max(1, size.columns), max(1, size.rows)
    agent = agent_in_words(progress)
    head: list[Line] = [((clean(agent, glyphs), Ink.FAILED),)] if agent else []
    room = rows - len(head)
    running, waits = _running(progress, columns, glyphs), _waiting(progress, columns, glyphs)
    bars = (len(progress.groups) + (len(progress.groups) > 1)) * lines_per_group(columns)
    if bars + len(running) + len(waits) > room:
        # Half of a low screen for the groups, a line for the first that waits, the rest for what runs.
        bars = min(bars, max(lines_per_group(columns), room // 2))
        waits = [_first(progress, glyphs)] if waits and room - bars >= 1 else []
        running = _shorter(progress, running, room - bars - len(waits), glyphs)
    groups = group_lines(progress, columns, room - len(running) - len(waits), glyphs)
    made = [*head, *groups, *running, *waits]
    return tuple(cut_line(line, columns, glyphs) for line in made[:rows])


def _running(progress: Progress, columns: int, glyphs: Glyphs) -> list[Line]:
    """A head and a line for each, the longest first."""
    items = progress.running[:RUNNING_MAX]
    if not items:
        return []
    head = f"RUNNING {len(progress.running)}"
    gpus = [_gpus(item) for item in items]
    nodes = [clean(node_of(item.standing.node), glyphs) for item in items]
    times = [_time(item, progress.now) for item in items]
    gpu_columns = min(GPUS_MAX, max(map(width, [*gpus, "GPU"])))
    node_columns = min(NODE_MAX, max(map(width, [*nodes, "NODE"]))) if lines_per_group(columns) == 1 else 0
    taken = len(_GAP) * (4 if node_columns else 3) + gpu_columns + node_columns + max(map(width, times))
    # As wide as the longest of all, so that nothing moves when another one runs.
    names = width(clean(max((item.run.name for item in progress.items), key=len), glyphs))
    name_columns = max(NAME_MIN, min(NAME_MAX, columns - taken, max(names, len(head) - len(_GAP))))

    def row(name: str, gpu: str, node: str, time: str) -> str:
        cells = [
            fill(cut_middle(name, name_columns, glyphs), name_columns),
            fill(cut(gpu, gpu_columns, glyphs), gpu_columns),
        ]
        return _GAP.join(
            (*cells, *([fill(cut(node, node_columns, glyphs), node_columns)] if node_columns else []), time)
        )

    lines: list[Line] = [
        ((fill(head, len(_GAP)) + row("", "GPU", "NODE", "FOR")[len(head) - len(_GAP) :], Ink.STRONG),)
    ]
    for item, gpu, node, time in zip(items, gpus, nodes, times, strict=True):
        lines.append(((_GAP + row(clean(item.run.name, glyphs), gpu, node, time), Ink.PLAIN),))
    return lines


def _shorter(progress: Progress, lines: list[Line], most: int, glyphs: Glyphs) -> list[Line]:
    """The first of those that run, and how many more; with a line alone their names."""
    if len(lines) <= most:
        return lines
    if most >= 3:
        left = len(progress.running) - (most - 2)
        return [*lines[: most - 1], ((f"{_GAP}{glyphs.dots} {left} more", Ink.FAINT),)]
    names = ", ".join(clean(item.run.name, glyphs) for item in progress.running[:RUNNING_MAX])
    line: Line = (f"RUNNING {len(progress.running)}", Ink.STRONG), (f"{_GAP}{names}", Ink.PLAIN)
    return [line][:most]


def _gpus(item: Item) -> str:
    gpus = item.standing.gpus
    return "?" if gpus is None else ",".join(map(str, gpus)) or "-"


def _time(item: Item, now: float) -> str:
    standing = item.standing
    told = "?" if standing.since is None else elapsed_in_words(now - standing.since)
    if standing.limit_s is not None:
        told += f" / {format_duration(standing.limit_s)}"
    if standing.tries > 1:
        told += f"  try {standing.tries}"
    return told if standing.stage in ("", "running") else f"{told}  {standing.stage}"


def _first(progress: Progress, glyphs: Glyphs) -> Line:
    """In one line, why the first one waits."""
    item = progress.waiting[0]
    told = _GAP.join((clean(item.run.name, glyphs), clean(why_first(item), glyphs)))
    return (f"WAITING {len(progress.waiting)}", Ink.STRONG), (_GAP + told, Ink.PLAIN)


def _waiting(progress: Progress, columns: int, glyphs: Glyphs) -> list[Line]:
    """A head, and of each kind of reason the first that waits for it."""
    items = progress.waiting
    if not items:
        return []
    told = _told(items)
    names = [clean(item.run.name, glyphs) for item in told]
    reasons = [clean(why_first(item), glyphs) for item in told]
    lines: list[Line] = [((f"WAITING {len(items)}", Ink.STRONG),)]
    if lines_per_group(columns) > 1:
        for name, reason in zip(names, reasons, strict=True):
            lines.append(((_GAP + cut_middle(name, columns - len(_GAP), glyphs), Ink.PLAIN),))
            lines += [((2 * _GAP + one, Ink.FAINT),) for one in _wrapped(reason, columns - 2 * len(_GAP), glyphs)]
        return lines
    name_columns = min(max(map(width, names)), max(NAME_MIN, columns // 3))
    for name, reason in zip(names, reasons, strict=True):
        room = columns - name_columns - 2 * len(_GAP)
        for place, one in enumerate(_wrapped(reason, room, glyphs) or [""]):
            short = fill("" if place else cut_middle(name, name_columns, glyphs), name_columns)
            lines.append(((_GAP + short + _GAP, Ink.PLAIN), (one, Ink.FAINT)))
    return lines


def _wrapped(text: str, columns: int, glyphs: Glyphs) -> list[str]:
    """Two lines at most."""
    first, *rest = textwrap.wrap(text, max(NAME_MIN, columns), break_on_hyphens=False) or [""]
    return [first, *([cut(" ".join(rest), columns, glyphs)] if rest else [])]


def _told(items: Sequence[Item]) -> list[Item]:
    codes: set[Code | None] = {None, Code.BEHIND}  # of these there is nothing to tell beside the first one
    found: list[Item] = []
    for item in items[:_LOOKED_MAX]:
        reason = item.standing.reason
        code = None if reason is None else reason.code
        if not found or code not in codes:
            found.append(item)
            codes.add(code)
        if len(found) == REASONS_MAX:
            break
    return found
