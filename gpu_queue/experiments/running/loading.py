"""What ``gpu-queue run`` queues, one of them at a time: two that compare at once would both queue what is new."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gpu_queue.experiments import loads, telling
from gpu_queue.experiments.queueing import Loaded, compare_experiment, load_experiment, plan_experiment
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.locks import try_lock
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.paths import SpoolPaths

WAIT_S = 60.0
TICK_S = 0.05
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
    if not telling.changes(compare_experiment(paths, experiment, again=again)):
        return 0  # it is looked at when it is loaded
    plan = plan_experiment(paths, experiment, again=again, retry_failed=True)
    loads.say([telling.head(experiment, plan), *telling.changed(plan)])
    return loads.asked() if not yes and sys.stdin.isatty() and sys.stderr.isatty() else 0


def load(paths: SpoolPaths, experiment: Experiment, *, again: bool) -> Loaded:
    """Queue what is new of an experiment, and try again what has failed.

    Raises:
        BadExperimentFile: a run can never be run; nothing was changed.
        SpoolError: the spool cannot be made, used or listed.
    """
    entrance.make(paths)
    with _alone(paths.loading):
        return load_experiment(paths, experiment, again=again, retries=RETRIES, retry_failed=True)


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold the lock of a file, where the storage has locks and nobody holds it for minutes."""
    descriptor: int | None = None
    deadline = time.monotonic() + WAIT_S
    try:
        while (descriptor := try_lock(path)) is None and time.monotonic() < deadline:
            time.sleep(TICK_S)
    except OSError:
        pass  # it has none
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
