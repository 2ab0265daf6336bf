"""A report for programs: CSV with a row a run, JSON with all there is.  Pure.

- What is not known is empty, or null.
- Whatever bytes a name holds, what comes out is UTF-8 without control characters.
- A spreadsheet takes no cell for a formula: one that looks like it gets a ``'`` in front.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_queue.experiments.progress.nouns import Phase
from gpu_queue.experiments.reporting.figures import RunFigures, Sum
from gpu_queue.experiments.reporting.whole import GroupReport, Report
from gpu_queue.texts import printable
from gpu_queue.units import format_utc

VERSION = 1
PARAM = "param_"
"""In front of a matrix's keys, as columns."""
_ODD = re.compile(r"[^\n -~]+")
_LATEST_S = 253402300799
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet begins to calculate at, also in the wide form."""


@dataclass(frozen=True)
class Source:
    """Where a report was made from."""

    spool: str
    file: str | None = None
    group: str | None = None


def as_json(report: Report, source: Source) -> bytes:
    """All of a report, as one JSON object."""
    value = {
        "version": VERSION,
        "spool": source.spool,
        "file": source.file,
        "group": source.group,
        "at": _moment(report.now_s),
        "groups": [_group(one) for one in report.groups],
        "sum": _sum(report.sum),
        "notes": list(report.notes),
    }
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=2)
    return (
        "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text).encode() + b"\n"
    )


def as_csv(report: Report) -> bytes:
    """A row for each run, with the values of its matrix behind its name."""
    params = dict.fromkeys(name for group in report.groups for run in group.runs for name, _ in run.params)
    rows = [_row(group.name, run) for group in report.groups for run in group.runs]
    columns = list(_row("", None))
    at = columns.index("job") + 1
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([_cell(one) for one in (*columns[:at], *(f"{PARAM}{name}" for name in params), *columns[at:])])
    for row, run in zip(rows, (run for group in report.groups for run in group.runs), strict=True):
        own, values = dict(run.params), list(row.values())
        writer.writerow([_cell(one) for one in (*values[:at], *map(own.get, params), *values[at:])])
    return written.getvalue().encode()


def _row(group: str, run: RunFigures | None) -> dict[str, Any]:
    """A run's figures by their names, for both."""
    submission = run.facts.submission if run else None
    part = submission.experiment if submission else None
    return {
        "group": group,
        "name": run and run.name,
        "job": part and part.job,
        "state": run and run.phase.value,
        "outcome": run and (run.outcome or None),
        "error_type": run and (run.error_type or None),
        "tries": run and run.tries,
        "unknown_tries": run and run.unknown_tries,
        "submitted_at": run and _moment(run.submitted_s),
        "started_at": run and _moment(run.started_s),
        "ended_at": run and _moment(run.ended_s),
        "waited_s": run and _rounded(run.waited_s),
        "between_s": run and _rounded(run.between_s),
        "ran_s": run and _rounded(run.ran_s),
        "last_ran_s": run and _rounded(run.last_ran_s),
        "gpus": run and run.gpus,
        "gpu_hours": run and _hours(run.gpu_s),
        "memory_asked_bytes": run and run.facts.memory_asked_bytes,
        "memory_peak_bytes": run and run.memory_peak_bytes,
        "utilization_mean_percent": run and _rounded(run.utilization_percent, 1),
        "node": run and (run.node or None),
        "id": submission and submission.task_id,
        "reason": run and (run.reason or None),
    }


def _group(group: GroupReport) -> dict[str, Any]:
    return {
        "group": group.name,
        "files": list(group.files),
        "sum": _sum(group.sum),
        "runs": [_run(group.name, one) for one in group.runs],
        "earlier_sum": _sum(group.earlier_sum),
        "earlier": [_run(group.name, one) for one in group.earlier],
    }


def _run(group: str, run: RunFigures) -> dict[str, Any]:
    return {**_row(group, run), "params": dict(run.params), "memory": run.memory and run.memory.value}


def _sum(summed: Sum) -> dict[str, Any]:
    return {
        "runs": summed.runs,
        "states": {phase.value: summed.counts[phase] for phase in Phase},
        "tries": summed.tries,
        "unknown_tries": summed.unknown_tries,
        "gpu_hours": _hours(summed.gpu_s),
        "first_started_at": _moment(summed.first_started_s),
        "last_ended_at": _moment(summed.last_ended_s),
        "wall_s": _rounded(summed.wall_s),
        "waited_mean_s": _rounded(summed.waited_s),
        "utilization_mean_percent": _rounded(summed.utilization_percent, 1),
        "failed_tries": dict(summed.failed_tries),
        "failed_runs": dict(summed.failed_runs),
        "far_less_memory": [one.name for one in summed.far_less],
        "more_memory": [one.name for one in summed.more],
    }


# -- values ---------------------------------------------------------------------------------------------------------


def _moment(epoch_s: float | None) -> str | None:
    return format_utc(epoch_s) if epoch_s is not None and 0 <= epoch_s <= _LATEST_S else None


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(float(value), digits)


def _hours(seconds: float | None) -> float | None:
    return _rounded(None if seconds is None else seconds / 3600, 6)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, Mapping):
        return {_whole(str(key)): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _whole(text: str) -> str:
    """A text of characters alone: bytes that are none, and halves of such, are U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = _whole(printable(str(value), len(str(value))))
    is_formula = text.lstrip().startswith(_FORMULA) and _NUMBER.fullmatch(text) is None
    return f"'{text}" if is_formula else text
