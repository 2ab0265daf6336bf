"""Experiment files from the disk."""

from __future__ import annotations

import os

from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.handed import read_handed
from gpu_queue.experiments.specs.expanding import Surroundings
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.experiments.specs.parsing import parse_experiment
from gpu_queue.spool.desk.sources import working_directory
from gpu_queue.texts import printable

FILE_MAX_BYTES = 1 << 20


def read_experiment(path: str) -> Experiment:
    """Read an experiment file; nothing of it is executed.

    Args:
        path: of the file; a link is followed, and its own directory is the link's.

    Raises:
        BadExperimentFile: it cannot be read, or something is wrong with it; the message has a line for each problem,
            ``f.yaml:9:11: gpus: expected …, got …``.
    """
    shown = printable(path)
    if not path or "\0" in path:
        raise BadExperimentFile(f"{shown!r}: expected the path of an experiment file")
    place = os.path.normpath(os.path.join(working_directory(), path))
    try:
        content = read_handed(os.path.realpath(path), "an experiment file", FILE_MAX_BYTES)
    except ValueError as problem:
        raise BadExperimentFile(f"{shown}: {problem}") from problem
    where = Surroundings(os.path.dirname(place), os.path.basename(place), os.path.expanduser("~"))
    return Experiment(os.path.realpath(path), place, parse_experiment(content, where, path))
