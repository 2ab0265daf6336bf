"""``gpu-queue load FILE.yaml``: the plan is shown where it changes what is there, asked for, and carried out.

Sentences go to stderr.  A pipe on stdout gets the names of what was queued.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments import telling
from gpu_queue.experiments.plans import Plan
from gpu_queue.experiments.queueing import compare_experiment, load_experiment, plan_experiment
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths

LEFT_BY_CTRL_C = 130


def load(
    files: Sequence[str], job_id: str | None = None, *, is_dry: bool = False, again: bool = False, yes: bool = False
) -> int:
    """Load experiment files, one after the other; all of them are read and looked at before anything is changed.

    Args:
        files: their paths.
        job_id: the queue; None: as the environment says.
        is_dry: only show what would be done.
        again: also what was done or has failed is queued once more.
        yes: ask nothing.

    Returns:
        The exit status: 0 loaded, 1 a person said no, 130 or left.

    Raises:
        BadExperimentFile: something is wrong with one of them; the message tells of all.
        NotPublished: the storage did not take all.
        SpoolError: the queue cannot be used.
    """
    experiments = read_all(files)
    paths = entrance.named(job_id, None)
    if is_dry:
        for experiment in experiments:
            plan = plan_experiment(paths, experiment, again=again)
            put([telling.head(experiment, plan), *telling.planned(plan)])
        put(["nothing was queued"])
        return 0
    shown = _changing(paths, experiments, again=again)
    for experiment, plan in shown:
        say([telling.head(experiment, plan), *telling.changed(plan)])
    if shown and not yes and sys.stdin.isatty() and sys.stderr.isatty() and (status := asked()):
        return status
    were_shown = {experiment.path for experiment, _ in shown}
    is_terminal = sys.stdout.isatty()
    for experiment in experiments:
        loaded = load_experiment(paths, experiment, again=again)
        if experiment.path in were_shown:
            say([telling.short(experiment, loaded)])
        else:
            say([telling.head(experiment, loaded.plan), *telling.done(loaded, tells_all=is_terminal)])
        say([f"note: {note}" for note in telling.notes(loaded)])
        if not is_terminal:
            put([str(task) for _, task in loaded.queued])
    return 0


def read_all(files: Sequence[str]) -> list[Experiment]:
    """All files, each once, in their order.

    Raises:
        BadExperimentFile: something is wrong with one of them; the message tells of all.
    """
    read: dict[str, Experiment] = {}
    problems: list[str] = []
    for file in files:
        try:
            experiment = read_experiment(file)
        except BadExperimentFile as error:
            problems += error.problems
        else:
            read.setdefault(experiment.path, experiment)
    if problems:
        raise BadExperimentFile(*problems)
    return list(read.values())


def _changing(paths: SpoolPaths, experiments: Sequence[Experiment], *, again: bool) -> list[tuple[Experiment, Plan]]:
    """Those that change something of an earlier load; where there are several, all were looked at."""
    if len(experiments) == 1 and not telling.changes(compare_experiment(paths, experiments[0], again=again)):
        return []  # its scripts are looked at when it is loaded
    plans = []
    problems: list[str] = []
    for experiment in experiments:
        try:
            plans.append((experiment, plan_experiment(paths, experiment, again=again)))
        except BadExperimentFile as error:
            problems += error.problems
    if problems:
        raise BadExperimentFile(*problems)
    return [(experiment, plan) for experiment, plan in plans if telling.changes(plan)]


def asked() -> int:
    """Ask whether to go on: 0 is yes, else it is the exit status."""
    try:
        sys.stderr.write("go on? [Y/n] ")
        sys.stderr.flush()
        line = sys.stdin.buffer.readline().decode("utf-8", "replace")
    except KeyboardInterrupt:
        say(["", "nothing was changed"])
        return LEFT_BY_CTRL_C
    if line.strip().lower() in ("", "y", "yes") and line:
        return 0
    say([*([] if line else [""]), "nothing was changed"])
    return 1


def say(lines: Sequence[str]) -> None:
    """Sentences, to stderr."""
    _write(sys.stderr.fileno(), lines)


def put(lines: Sequence[str]) -> None:
    """What a pipe wants, to stdout."""
    _write(sys.stdout.fileno(), lines)


def _write(descriptor: int, lines: Sequence[str]) -> None:
    """Lines whose bytes need not be characters."""
    if lines:
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
