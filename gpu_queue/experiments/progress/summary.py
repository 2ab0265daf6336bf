"""What stands there when all has ended: a table, each failure with what one types, where logs lie.

Only the ends of logs are read for it.  Also what is asked and answered at Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from gpu_queue.experiments.progress.failures import COPIED_MAX, typed
from gpu_queue.experiments.progress.lines import Glyphs, Ink, Line, clean, cut_line, cut_middle, fill, width, wrapped
from gpu_queue.experiments.progress.logs import log_end, near, working_directory
from gpu_queue.experiments.progress.nouns import Item, Phase, Progress, Queue
from gpu_queue.experiments.progress.sentences import elapsed_in_words, ending, has_run, of_shell, plural, summary
from gpu_queue.units import format_duration

FAILURES_MAX = 50
NAME_MAX = 24
SLOWEST_MAX = 3
_GAP = "  "
_RIGHT = frozenset({"RUNS", "DONE", "FAILED", "CANCELLED", "LEFT", "TIME", "MEDIAN RUN", "GPU-HOURS"})
_DROPPED = ("MEDIAN RUN", "GPU-HOURS", "TIME", "LEFT", "CANCELLED")
"""Columns that a narrow terminal does without, the first one first."""


def summary_lines(progress: Progress, queue: Queue, columns: int, glyphs: Glyphs) -> list[Line]:
    """The last lines of a run.

    Args:
        progress: how far it has come.
        queue: for the commands, and where logs lie.
        columns: of the terminal; commands and paths are not cut.
        glyphs: what it can show.
    """
    lines: list[Line] = [cut_line(line, columns, glyphs) for line in _table(progress, columns, glyphs)]
    slowest = _slowest(progress, glyphs)
    if slowest:
        lines += [((line, Ink.PLAIN),) for line in wrapped(f"Slowest: {slowest}", columns)]
    lines += _failures(progress, columns, glyphs)
    if queue.logs:
        logs = ", ".join(clean(near(one, working_directory()), glyphs, COPIED_MAX) for one in queue.logs)
        lines.append(((f"Logs: {logs}", Ink.PLAIN),))
    if any(item.standing.task_id for item in progress.failed) and of_shell(queue):
        lines.append(((f"For these commands, in a shell: {clean(of_shell(queue), glyphs, COPIED_MAX)}", Ink.FAINT),))
    is_bad = any(True for _ in progress.failed)
    lines.append(((clean(summary(progress), glyphs), Ink.FAILED if is_bad else Ink.DONE),))
    return lines


# -- the table -------------------------------------------------------------------------------------------------------


def _table(progress: Progress, columns: int, glyphs: Glyphs) -> Iterator[Line]:
    rows = [
        _row(group.name, [one for one in progress.items if one.run.group == group.name]) for group in progress.groups
    ]
    times = [(group.began_at, group.ended_at or progress.now) for group in progress.groups]
    if len(rows) > 1:
        rows.append(_row("all", progress.items))
        began = [start for start, _ in times if start is not None]
        times.append((min(began, default=None), max(end for _, end in times)))
    for row, (start, end) in zip(rows, times, strict=True):
        row["TIME"] = "-" if start is None else elapsed_in_words(end - start)
    names = [name for name in rows[0] if name not in ("CANCELLED", "LEFT") or any(row[name] != "0" for row in rows)]
    if all(row["GPU-HOURS"] == "-" for row in rows):
        names.remove("GPU-HOURS")
    for row in rows:
        row["GROUP"] = cut_middle(clean(row["GROUP"], glyphs), NAME_MAX, glyphs)
    widths = {name: max(width(one) for one in (name, *(row[name] for row in rows))) for name in names}
    for name in _DROPPED:
        if sum(widths.values()) + len(_GAP) * (len(widths) - 1) > columns:
            widths.pop(name, None)
    yield ((_GAP.join(_filled(name, name, columns) for name, columns in widths.items()), Ink.STRONG),)
    for row in rows:
        yield tuple(
            (_GAP * bool(place) + _filled(name, row[name], each), _ink(name, row[name]))
            for place, (name, each) in enumerate(widths.items())
        )


def _row(group: str, items: Sequence[Item]) -> dict[str, str]:
    phases = [one.phase for one in items]
    took = [one.standing.ran_s for one in items if one.standing.ran_s is not None]
    known = [one.standing.gpu_s for one in items if one.standing.gpu_s is not None]
    # A sum of which parts are not known is none; what never ran has used nothing.
    is_whole = all(one.standing.gpu_s is not None for one in items if one.standing.tries and has_run(one.standing))
    open_ = sum(phase in (Phase.WAITING, Phase.RUNNING) for phase in phases)
    return {
        "GROUP": group,
        "RUNS": str(len(items)),
        "DONE": str(phases.count(Phase.DONE)),
        "FAILED": str(phases.count(Phase.FAILED)),
        "CANCELLED": str(phases.count(Phase.CANCELLED)),
        "LEFT": str(open_),
        "TIME": "-",
        "MEDIAN RUN": format_duration(median(took)) if took else "-",
        "GPU-HOURS": f"{sum(known) / 3600:.2f}" if known and is_whole else "-",
    }


def _filled(name: str, text: str, columns: int) -> str:
    return " " * (columns - width(text)) + text if name in _RIGHT else fill(text, columns)


def _ink(name: str, text: str) -> Ink:
    if text == "0":
        return Ink.FAINT
    return {"FAILED": Ink.FAILED, "CANCELLED": Ink.FAILED, "DONE": Ink.DONE}.get(name, Ink.PLAIN)


def _slowest(progress: Progress, glyphs: Glyphs) -> str:
    """Those that took longest, where there are enough to tell them from the others."""
    took = [(one.standing.ran_s, one) for one in progress.items if one.standing.ran_s is not None]
    if len(took) <= SLOWEST_MAX:
        return ""
    slow = sorted(took, key=lambda pair: -pair[0])[:SLOWEST_MAX]
    return ", ".join(f"{clean(one.run.name, glyphs)} {format_duration(seconds)}" for seconds, one in slow)


# -- failures --------------------------------------------------------------------------------------------------------


def _failures(progress: Progress, columns: int, glyphs: Glyphs) -> Iterator[Line]:
    items = [*progress.failed]
    here = working_directory()
    for item in items[:FAILURES_MAX]:
        is_cancelled = item.phase is Phase.CANCELLED
        word = "cancelled" if is_cancelled else "FAILED"
        head, *more = wrapped(f"{word} {clean(ending(item), glyphs)}", columns)
        yield (word, Ink.FAINT if is_cancelled else Ink.FAILED), (head[len(word) :], Ink.PLAIN)
        yield from (((line, Ink.PLAIN),) for line in more)
        if item.standing.outcome == "refused" or not item.standing.task_id:
            continue
        # What its log ends with stood there when it failed; the last line says why, mostly.
        last = log_end(item.standing.log, 1) if item.phase is Phase.FAILED and item.standing.log else ()
        yield from (((f"    {clean(line, glyphs)}", Ink.FAINT),) for line in last)
        yield ((typed(item, here, glyphs), Ink.FAINT),)
    if len(items) > FAILURES_MAX:
        yield ((f"{glyphs.dots} and {len(items) - FAILURES_MAX} more; gpu-queue report lists them", Ink.FAINT),)


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------


def question(progress: Progress) -> str:
    """What is asked at Ctrl-C; an empty answer is yes."""
    return f"{_left(progress)}. Leave it running without this screen? [Y/n] "


def says_yes(answer: str) -> bool:
    """Whether an answer to the question means that it goes on: only a clear no stops anything."""
    return not answer.strip().lower().startswith("n")


def left_running(progress: Progress, command: str) -> str:
    """What is said when it goes on without us.

    Args:
        progress: how far it is.
        command: that shows it again, as one types it.
    """
    return f"It goes on: {_left(progress)}. Look again with: {command}"


def stopped(progress: Progress, command: str) -> str:
    """What is said when what ran was stopped; the arguments are those of :func:`left_running`."""
    counts = progress.counts
    return f"Stopped; {plural(counts.running + counts.waiting, 'run')} left. Go on with: {command}"


def _left(progress: Progress) -> str:
    counts = progress.counts
    told = [f"{count} {word}" for count, word in ((counts.running, "running"), (counts.waiting, "waiting")) if count]
    return " and ".join(told) or "nothing is left"
