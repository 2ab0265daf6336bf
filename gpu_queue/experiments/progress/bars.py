"""A line or two for each group: its name, one bar for all its runs, counts, times.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpu_queue.experiments.progress.lines import Glyphs, Ink, Line, Piece, clean, cut_middle, fill, width
from gpu_queue.experiments.progress.nouns import Counts, Group, Progress
from gpu_queue.experiments.progress.sentences import elapsed_in_words, rest_in_words

NARROW = 60
"""Below so many columns a group has two lines."""
SHORT = 100
"""Below so many columns times are told in short."""
BAR_MIN, BAR_MAX = 12, 40
NAME_MIN, NAME_WISHED = 8, 18
TIME_COLUMNS = len("23h59m")
REST_LONG, REST_SHORT = len(", at least 23h45m left"), len(", 23h45m+ left")
_GAP = "  "


@dataclass(frozen=True)
class _Cell:
    """A column of counts."""

    name: str
    ink: Ink
    is_share: bool = False
    """Told of all, and told also where it is none."""

    def count(self, group: Group) -> int:
        """Of what it tells."""
        counts = group.counts
        found = {
            "done": counts.all,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
            "running": counts.running,
            "waiting": counts.waiting,
        }
        return found[self.name]

    def text(self, group: Group) -> str:
        """Empty where there are none."""
        if self.is_share:
            return f"{group.counts.done}/{group.counts.all} {self.name}"
        count = self.count(group)
        return f"{count} {self.name}" if count else ""


_CELLS = (
    _Cell("done", Ink.DONE, is_share=True),
    _Cell("failed", Ink.FAILED),
    _Cell("cancelled", Ink.FAILED),
    _Cell("running", Ink.RUNNING),
    _Cell("waiting", Ink.WAITING),
)


def lines_per_group(columns: int) -> int:
    """How many lines a group has in so many columns."""
    return 2 if columns < NARROW else 1


def group_lines(progress: Progress, columns: int, most: int, glyphs: Glyphs) -> list[Line]:
    """The lines of all groups, and of all of them together where there are several.

    Args:
        progress: how far they are.
        columns: no line should be wider.
        most: so many lines at most; of more groups those that run are shown.
        glyphs: what the terminal can show.
    """
    most_groups = max(1, most // lines_per_group(columns))
    groups, total = list(progress.groups), [_total(progress)] if len(progress.groups) > 1 else []
    more: list[Line] = []
    if len(groups) + len(total) > most_groups:
        shown = _chosen(groups, max(0, most_groups - len(total) - 1))
        more = [((f"{glyphs.dots} {len(groups) - len(shown)} more groups", Ink.FAINT),)] if most_groups > 1 else []
        groups = shown
    table = _Table([*groups, *total], progress.now, columns, glyphs)
    above = [line for group in groups for line in table.lines(group)]
    return [*above, *more, *(line for group in total for line in table.lines(group))]


def _chosen(groups: Sequence[Group], most: int) -> list[Group]:
    """Those that run, else those that wait: what has ended is told in the sum."""

    def rank(place: int) -> tuple[int, int]:
        group = groups[place]
        return (0 if group.counts.running else 1 if group.ended_at is None else 2), place

    return [groups[place] for place in sorted(sorted(range(len(groups)), key=rank)[:most])]


def _total(progress: Progress) -> Group:
    began = [group.began_at for group in progress.groups if group.began_at is not None]
    ended = [group.ended_at for group in progress.groups if group.ended_at is not None]
    ended_at = max(ended) if len(ended) == len(progress.groups) else None
    return Group(
        "all", progress.counts, len(progress.earlier), min(began, default=None), ended_at, rest=progress.rest
    )


class _Table:
    """Columns are as wide as what may come to stand in them: nothing moves when a digit or a rest time comes."""

    def __init__(self, groups: Sequence[Group], now: float, columns: int, glyphs: Glyphs) -> None:
        self._now = now
        self._glyphs = glyphs
        self._is_narrow = lines_per_group(columns) > 1
        self._is_short = columns < SHORT
        self._cells = [cell for cell in _CELLS if any(cell.count(group) for group in groups)]
        digits = len(str(max(group.counts.all for group in groups)))
        self._widths = [(2 * digits + 1 if cell.is_share else digits) + len(cell.name) + 1 for cell in self._cells]
        names = max(width(clean(group.name, glyphs)) for group in groups)
        times = TIME_COLUMNS + (REST_SHORT if self._is_short else REST_LONG)
        ends = len(_GAP) + width(glyphs.left + glyphs.right)
        beside = 0 if self._is_narrow else BAR_MIN + ends + len(_GAP) + times
        while len(self._cells) > 2 and min(names, NAME_WISHED) + self._counts_columns() + beside > columns:
            self._cells.pop()  # what runs and waits is told below as well
        left = columns - self._counts_columns() - beside
        self._name_columns = min(names, max(NAME_MIN, left))
        bar = columns - times - ends if self._is_narrow else BAR_MIN + left - self._name_columns
        self._bar_columns = max(1, min(BAR_MAX, bar))

    def _counts_columns(self) -> int:
        return sum(each + len(_GAP) for each, _ in zip(self._widths, self._cells, strict=False))

    def _times(self, group: Group) -> str:
        if group.began_at is None:
            return ""
        end = self._now if group.ended_at is None else group.ended_at
        rest = rest_in_words(group.rest, self._now, is_short=self._is_short)
        return elapsed_in_words(end - group.began_at) + (f", {rest}" if rest else "")

    def lines(self, group: Group) -> Iterator[Line]:
        """Of one group."""
        called = cut_middle(clean(group.name, self._glyphs), self._name_columns, self._glyphs)
        name: Piece = (fill(called, self._name_columns), Ink.STRONG)
        bar = (
            (self._glyphs.left, Ink.FAINT),
            *bar_of(group.counts, self._bar_columns, self._glyphs),
            (self._glyphs.right, Ink.FAINT),
        )
        counts = [
            (_GAP + cell.text(group).rjust(columns), cell.ink)
            for cell, columns in zip(self._cells, self._widths, strict=False)
        ]
        times: Piece = (_GAP + self._times(group), Ink.PLAIN)
        if self._is_narrow:
            yield (name, *counts)
            yield (*bar, times)
        else:
            yield (name, (_GAP, Ink.PLAIN), *bar, *counts, times)


def bar_of(counts: Counts, columns: int, glyphs: Glyphs) -> tuple[Piece, ...]:
    """All runs in one bar: done, failed or cancelled, running, waiting; of what there is one cell at least."""
    parts = (
        (counts.done, glyphs.done, Ink.DONE),
        (counts.failed + counts.cancelled, glyphs.failed, Ink.FAILED),
        (counts.running, glyphs.running, Ink.RUNNING),
        (counts.waiting, glyphs.waiting, Ink.WAITING),
    )
    cells = shares([count for count, _, _ in parts], columns)
    return tuple((glyph * cell, ink) for cell, (_, glyph, ink) in zip(cells, parts, strict=True) if cell)


def shares(counts: Sequence[int], cells: int) -> list[int]:
    """So many cells, shared out by counts: all of them, and none without one that counts (if there are as many)."""
    kinds = [place for place, count in enumerate(counts) if count]
    if cells <= len(kinds):
        return [int(place in kinds[:cells]) for place in range(len(counts))]
    exact = [count * cells / max(1, sum(counts)) for count in counts]
    found = [max(int(share), int(place in kinds)) for place, share in enumerate(exact)]
    while kinds and sum(found) != cells:
        step = 1 if sum(found) < cells else -1
        best = max(
            (place for place in kinds if step > 0 or found[place] > 1),
            key=lambda place: step * (exact[place] - found[place]),
        )
        found[best] += step
    return found
