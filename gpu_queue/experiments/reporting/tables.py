"""A report as a table for people, within the columns of their terminal.  Pure.

What is not known is ``-``, and a column of nothing else is left out.  Where there is no room, columns go in the order
in which they are missed least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gpu_queue.experiments.progress.lines import UNICODE, Glyphs, clean, cut, cut_middle, fill, width
from gpu_queue.experiments.progress.nouns import Phase
from gpu_queue.experiments.reporting.figures import ENDED, RunFigures, Sum
from gpu_queue.experiments.reporting.whole import GroupReport, Report
from gpu_queue.task import ErrorType
from gpu_queue.units import format_duration, format_size

UNKNOWN = "-"
GAP = INDENT = "  "
NAME_MIN, NAME_FINE = 10, 24
"""Columns of a name: the least, and what it gets before another column goes."""
PARAM_MAX = 16
NAMED_MAX = 3
"""So many runs are named in a sentence."""


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    title: str
    cell: Callable[[RunFigures], str]
    goes: int = 0
    """The highest goes first where there is no room; 0: never."""
    to_the_right: bool = True


def table(report: Report, columns: int | None, glyphs: Glyphs = UNICODE) -> Iterator[str]:
    """The lines of a report.

    Args:
        report: of what.
        columns: of the terminal; None: as many as it takes.
        glyphs: that it can show.
    """
    for number, group in enumerate(report.groups):
        if number:
            yield ""
        yield from _prose(f"{group.name or UNKNOWN}: {_counted(group.sum)}", columns, glyphs)
        yield from _rows(group.runs, columns, glyphs)
        for line in (_took(group.sum), *_failures(group.sum), *_memory(group.sum), *_earlier(group)):
            yield from _prose(line, columns, glyphs)
    if len(report.groups) > 1:
        yield ""
        for line in (f"all groups: {_counted(report.sum)}", _took(report.sum)):
            yield from _prose(line, columns, glyphs)
    if report.groups and report.notes:
        yield ""
    for note in report.notes:
        yield from _prose(note, columns, glyphs)


def _prose(text: str, columns: int | None, glyphs: Glyphs) -> list[str]:
    """A text in lines; all but the first are indented, and a word that is too long is cut."""
    said = clean(text, glyphs, len(text))
    if columns is None:
        return [said]
    lines: list[str] = []
    line = ""
    for word in said.split(" "):
        one = cut(word, max(1, columns - len(INDENT)), glyphs)
        longer = f"{line} {one}" if line else one
        if line and width(longer) > columns:
            lines.append(line)
            longer = f"{INDENT}{one}"
        line = longer
    return [*lines, line]


# -- a row a run ----------------------------------------------------------------------------------------------------


def _columns(runs: Sequence[RunFigures]) -> list[Column]:
    several = any(one.tries > 1 for one in runs)
    params = dict.fromkeys(name for run in runs for name, _ in run.params)
    decimals = _decimals(max((one.gpu_s or 0 for one in runs), default=0) / 3600)
    return [
        *(Column(cut(name, PARAM_MAX), partial(_param, name), 9, to_the_right=False) for name in params),
        Column("STATE", told_state, to_the_right=False),
        Column("TRIES", lambda run: str(run.tries), 5),
        Column("WAITED", lambda run: _duration(run.waited_s), 4),
        *([Column("BETWEEN", lambda run: _duration(run.between_s), 8)] if several else []),
        Column("RAN", lambda run: _duration(run.ran_s), 1),
        *([Column("LAST", lambda run: _duration(run.last_ran_s), 7)] if several else []),
        Column("GPUS", lambda run: UNKNOWN if run.gpus is None else str(run.gpus), 6),
        Column("GPU-H", lambda run: _gpu_hours(run.gpu_s, run.unknown_tries, decimals), 2),
        Column("PEAK", lambda run: _size(run.memory_peak_bytes), 3),
        Column("ASKED", lambda run: _size(run.facts.memory_asked_bytes), 3),
        Column("UTIL", lambda run: _percent(run.utilization_percent), 4),
    ]


def _rows(runs: Sequence[RunFigures], columns: int | None, glyphs: Glyphs) -> Iterator[str]:
    shown = [one for one in _columns(runs) if not one.goes or any(one.cell(run) != UNKNOWN for run in runs)]
    cells = [[clean(column.title, glyphs) for column in shown]]
    cells += [[clean(column.cell(run), glyphs) for column in shown] for run in runs]
    widths = [max(width(row[at]) for row in cells) for at in range(len(shown))]
    names = ["NAME", *(clean(run.name, glyphs) or UNKNOWN for run in runs)]
    longest = max(map(width, names))
    kept = list(range(len(shown)))
    if columns is not None:
        while _total(kept, widths) + min(longest, NAME_FINE) > columns and any(shown[at].goes for at in kept):
            most = max(shown[at].goes for at in kept)
            kept = [at for at in kept if shown[at].goes != most]
        longest = min(longest, max(NAME_MIN, columns - _total(kept, widths)))
    for name, row in zip(names, cells, strict=True):
        told = [fill(cut_middle(name, longest, glyphs), longest)]
        for at in kept:
            blanks = " " * (widths[at] - width(row[at]))
            told.append(blanks + row[at] if shown[at].to_the_right else row[at] + blanks)
        line = GAP.join(told).rstrip()
        yield line if columns is None else cut(line, columns, glyphs)


def _total(kept: Sequence[int], widths: Sequence[int]) -> int:
    return sum(len(GAP) + widths[at] for at in kept)


def _param(name: str, run: RunFigures) -> str:
    return next((cut(value, PARAM_MAX) for key, value in run.params if key == name), UNKNOWN)


def told_state(run: RunFigures) -> str:
    """Where a run is; of one that failed also how."""
    if run.phase is not Phase.FAILED:
        return str(run.phase.value)
    kind = "" if run.error_type == ErrorType.UNKNOWN.value else run.error_type
    if run.outcome.startswith("failed("):
        return f"failed {kind}" if kind else run.outcome
    return f"failed {kind or run.outcome}".rstrip()


def _duration(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else format_duration(seconds)


def _size(size_bytes: int | None) -> str:
    return UNKNOWN if size_bytes is None else format_size(size_bytes)


def _percent(percent: float | None) -> str:
    return UNKNOWN if percent is None else f"{percent:.0f}%"


def _decimals(most_hours: float) -> int:
    return 1 if most_hours >= 100 else 2 if most_hours >= 0.1 else 4


def _gpu_hours(gpu_s: float | None, unknown_tries: int, decimals: int) -> str:
    if gpu_s is None:
        return UNKNOWN
    told = f"{gpu_s / 3600:.{decimals}f}"
    if gpu_s > 0 and float(told) == 0 and not unknown_tries:
        return f"<{10**-decimals:.{decimals}f}"
    return f"{'>' if unknown_tries else ''}{told}"


# -- all together ---------------------------------------------------------------------------------------------------


def _counted(summed: Sum) -> str:
    told = [f"{count} {phase.value}" for phase, count in summed.counts.items() if count]
    return f"{_plural(summed.runs, 'run')}: {', '.join(told)}"


def _took(summed: Sum) -> str:
    if not summed.tries:
        return "nothing has started yet"
    hours = _gpu_hours(summed.gpu_s, 0, _decimals((summed.gpu_s or 0) / 3600))
    told = [f"{'at least ' if summed.unknown_tries and summed.gpu_s is not None else ''}{hours} GPU-hours"]
    told[0] += f" in {_plural(summed.tries, 'try', 'tries')}"
    if summed.unknown_tries:
        told[0] += f" (nobody knows how long {summed.unknown_tries} of them took)"
    if summed.wall_s is not None:
        is_over = all(phase in ENDED or not count for phase, count in summed.counts.items())
        told.append(
            f"{format_duration(summed.wall_s)} from the first start {'to the last end' if is_over else 'until now'}"
        )
    if summed.waited_s is not None:
        told.append(f"a run waited {format_duration(summed.waited_s)} in the mean")
    if summed.utilization_percent is not None:
        told.append(f"GPUs were {summed.utilization_percent:.0f}% busy")
    return "; ".join(told)


def _failures(summed: Sum) -> Iterator[str]:
    if summed.failed_tries:
        told = [f"{kind} {count}" for kind, count in summed.failed_tries.items()]
        yield f"failed tries: {', '.join(told)}"


def _memory(summed: Sum) -> Iterator[str]:
    if summed.far_less:
        yield f"memory: {_named(summed.far_less)} took less than half of what was asked for"
    if summed.more:
        yield f"memory: {_named(summed.more)} took more than was asked for"


def _named(runs: Sequence[RunFigures]) -> str:
    told = [
        f"{run.name} ({_size(run.memory_peak_bytes)} of {_size(run.facts.memory_asked_bytes)})"
        for run in runs[:NAMED_MAX]
    ]
    more = [f"{len(runs) - NAMED_MAX} more"] if len(runs) > NAMED_MAX else []
    every = told + more
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1])))


def _earlier(group: GroupReport) -> Iterator[str]:
    if group.earlier:
        took = _gpu_hours(group.earlier_sum.gpu_s, group.earlier_sum.unknown_tries, 2)
        yield f"not counted: {_plural(len(group.earlier), 'earlier task')} of these runs, {took} GPU-hours"


def _plural(count: int, noun: str, nouns: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or f'{noun}s'}"
