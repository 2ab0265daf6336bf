"""What comes after what: names become runs, and nothing waits for itself.  Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from gpu_queue.experiments.specs.expanding import Plan, Planned
from gpu_queue.experiments.specs.nouns import Place, Run
from gpu_queue.experiments.specs.problems import Problems
from gpu_queue.texts import shown

AFTER_MAX_BYTES = 60_000
"""Of the ids that a record names, which has 64 KiB."""
_ID_BYTES = 30
"""What an id has beside the name, with its quotes."""


def ordered(plan: Plan, jobs: Sequence[str], problems: Problems) -> tuple[Run, ...]:
    """The runs with the names of those that come before each, in the order of the file; what is wrong is noted.

    Args:
        plan: all runs.
        jobs: the keys of all jobs, also of those without a run.
        problems: for what is wrong.
    """
    planned = plan.runs
    _unique(planned, problems)
    of_job: dict[str, list[str]] = {job: [] for job in jobs}
    for one in planned:
        of_job[one.run.job].append(one.run.name)
    names = dict.fromkeys(one.run.name for one in planned)
    known = [*jobs, *names]
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    made = []
    for one in planned:
        said = tuple(text for _, text in one.after)
        if said and said not in found:
            before: dict[str, None] = {}
            for place, text in one.after:
                if text in of_job:
                    before.update(dict.fromkeys(of_job[text]))
                elif text in names:
                    before[text] = None
                elif plan.is_whole:
                    _unknown(place, text, known, problems)
            found[said] = tuple(before)
            _bound(one.after[0][0], found[said], problems)
        made.append(replace(one.run, after=found[said]) if said else one.run)
    if not problems:
        _refuse_circles(planned, of_job, problems)
    return tuple(made)


def _bound(place: Place, names: tuple[str, ...], problems: Problems) -> None:
    """Note names of which a record would hold too many."""
    size_bytes = sum(len(name.encode("utf-8", "surrogateescape")) + _ID_BYTES for name in names)
    if size_bytes > AFTER_MAX_BYTES:
        got = f"{len(names)} runs with names of {size_bytes // len(names) - _ID_BYTES} bytes"
        hint = "; give them shorter names, or come after fewer"
        most = f"at most {AFTER_MAX_BYTES // (_ID_BYTES + 10)} short names, or half as many long ones"
        problems.wrong(place, "after", most, got, hint)


def _unique(planned: Sequence[Planned], problems: Problems) -> None:
    first: dict[str, Run] = {}
    told: set[tuple[str, str]] = set()
    for one in planned:
        run = one.run
        if not run.name:
            continue
        other = first.setdefault(run.name, run)
        if other is run or (other.job, run.job) in told:
            continue
        told.add((other.job, run.job))
        where = f"{_told(other)} and {_told(run)}"
        problems.add(
            run.place, f"name: expected a name for each run of its own, got {shown(run.name)} twice: {where}"
        )


def _told(run: Run) -> str:
    values = ", ".join(f"{name}: {value}" for name, value in run.params[:8])
    return f"job {run.job} in line {run.place.line}" + (f" with {values}" if values else "")


def _unknown(place: Place, text: str, known: Sequence[str], problems: Problems) -> None:
    near = [] if problems.are_too_many else difflib.get_close_matches(text, known[:500], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    problems.add(place, f"after: expected the name of a job or a run of this file, got {shown(text)}{hint}")


def _refuse_circles(planned: Sequence[Planned], of_job: dict[str, list[str]], problems: Problems) -> None:
    """Note a run that waits for itself: the edges lead over the jobs, so that there are few of them."""
    runs = {one.run.name: one for one in planned}
    done: set[tuple[str, str]] = set()

    def below(node: tuple[str, str]) -> list[tuple[str, str]]:
        kind, name = node
        if kind == "job":
            return [("run", one) for one in of_job[name]]
        return [("job" if text in of_job else "run", text) for _, text in runs[name].after]

    for one in planned:
        start = ("run", one.run.name)
        if start in done:
            continue
        path = [start]
        on_path = {start: 0}
        left = [iter(below(start))]
        while left:
            after = next(left[-1], None)
            if after is None:
                left.pop()
                gone = path.pop()
                del on_path[gone]
                done.add(gone)
            elif after in on_path:
                circle = [name for kind, name in path[on_path[after] :] if kind == "run"]
                place = runs[circle[0]].after[0][0]
                shown_circle = " -> ".join([*circle[:10], *(["…"] if len(circle) > 10 else []), circle[0]])
                problems.add(place, f"after: expected no circle, got {shown_circle}")
                return
            elif after not in done:
                path.append(after)
                on_path[after] = len(path) - 1
                left.append(iter(below(after)))
