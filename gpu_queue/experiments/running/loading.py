"""What ``gpu-queue run`` queues: at its start, and again when what ran as it was has ended."""

from __future__ import annotations

import sys
from dataclasses import replace

from gpu_queue.experiments import loads, telling
from gpu_queue.experiments.queueing import Loaded, compare_experiment, load_experiment, plan_experiment
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths

RETRIES = 0
"""Of a run that says nothing."""


def agreed(paths: SpoolPaths, experiment: Experiment, *, again: bool, yes: bool) -> int:
    """Show what is changed of an earlier load, and ask where there is a terminal.

    Returns:
        0: go on; else the exit status.

    Raises:
        BadExperimentFile: a run can never be run.
        SpoolError: the spool cannot be used or listed.
    """
    compared = compare_experiment(paths, experiment, again=again)
    if not telling.changes(compared) and not compared.outdated:
        return 0  # it is looked at when it is loaded
    plan = plan_experiment(paths, experiment, again=again, retry_failed=True)
    loads.say([telling.head(experiment, plan), *telling.changed(plan, is_followed=True)])
    if yes or not telling.changes(plan) or not sys.stdin.isatty() or not sys.stderr.isatty():
        return 0
    return loads.asked()


def load(paths: SpoolPaths, experiment: Experiment, *, again: bool) -> Loaded:
    """Queue what is new of an experiment, and try again what has failed.

    Raises:
        BadExperimentFile: a run can never be run; nothing was changed.
        SpoolError: the spool cannot be made, used or listed.
    """
    entrance.make(paths)
    return load_experiment(paths, experiment, again=again, retries=RETRIES, retry_failed=True)


def load_rest(paths: SpoolPaths, experiment: Experiment) -> Loaded:
    """Queue what was left out because it ran as it was; what has ended since the start stays as it is.

    Raises:
        BadExperimentFile: a run can never be run; nothing was changed.
        SpoolError: the spool cannot be used or listed.
    """
    runs = tuple(replace(run, skip_done=True) for run in experiment.runs)
    return load_experiment(paths, replace(experiment, runs=runs), retries=RETRIES)
