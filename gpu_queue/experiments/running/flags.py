"""What ``gpu-queue run`` is told, and what it tells the agent that it starts.  Pure.

A flag of its command line beats all that else says something of a setting (variables, ``gpu-queue.conf``, the queue's
``config.yaml``), and that beats the defaults here.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gpu_queue.conf import Conf
from gpu_queue.config import SETTINGS, TABLE, Config, Setting, examine
from gpu_queue.spool.paths import SpoolPaths

DEFAULTS: Mapping[str, str] = {
    "sharing.min_memory_bytes": "8000",
    "sharing.max_util_percent": "30",
    "sharing.max_concurrent": "4",
    "sharing.select": "most_free",
    "sharing.check_time_s": "60",
    "sharing.max_wait_time_s": "1h",
    "lifetime_s": "never",
}
"""What the agent is told where nobody says anything, by fields of the settings."""
_TAKEN = (*(field for field in DEFAULTS if field != "lifetime_s"), "gpus", "simulate", "local_dir")
"""Settings of the agent that are flags here too."""
_FIXED = ("--mode", "shared", "--no-keepalive", "--until-empty", "--sweep", "off")
_UNLIMITED = {"GPU_QUEUE_MAX_RETRIES": "none"}
"""Each run says itself how often it is tried again."""


def _row(field: str) -> Setting:
    return next(row for row in SETTINGS if row.field == field and row.flag)


@dataclass(frozen=True)
class Flags:
    """The command line."""

    file: str
    job_id: str | None = None
    """None: the queue beside the file."""
    again: bool = False
    yes: bool = False
    agent: tuple[tuple[str, str], ...] = ()
    """Settings of the agent that were given, with their texts, by fields."""

    @property
    def command(self) -> str:
        """What one types to go on: in the same queue, on the same GPUs."""
        queue = [] if self.job_id is None else [f"--job-id={self.job_id}"]
        agent = [f"{_row(field).flag}={text}" for field, text in self.agent]
        return shlex.join(["gpu-queue", "run", self.file, *queue, *agent])

    def problems(self) -> tuple[str, ...]:
        """What no agent could obey of it."""
        return examine(TABLE, dict(self.agent), {}).problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line, for the program and for what completes it."""
    parser.add_argument("file", metavar="FILE", help="an experiment file (docs/experiments.md)")
    parser.add_argument(
        "--job-id",
        metavar="ID",
        help="the queue $QUEUE_ROOT/ID; default: the file has its own, in .gpu-queue",
    )
    parser.add_argument("--again", action="store_true", help="run also what was done")
    parser.add_argument("--yes", action="store_true", help="ask nothing before what waits is taken out")
    for field in _TAKEN:
        row = _row(field)
        default = DEFAULTS.get(field, row.shown_default)
        meaning = row.meaning.removeprefix("shared: ").replace("`", "").replace("%", "%%")
        told = f"{meaning} (default: {default})" if default else meaning
        parser.add_argument(row.flag, dest=field, metavar=row.metavar, help=told)


def flags_of(chosen: argparse.Namespace) -> Flags:
    """A command line that was read."""
    given = vars(chosen)
    agent = tuple((field, given[field]) for field in _TAKEN if given[field] is not None)
    return Flags(chosen.file, chosen.job_id, chosen.again, chosen.yes, agent)


def said_of(environment: Mapping[str, str], conf: Conf, config: Config) -> frozenset[str]:
    """The settings of which variables or files say something, by fields."""
    return frozenset(
        row.field
        for row in SETTINGS
        if (row.env and (environment.get(row.env) or row.env in conf.said)) or (row.key and row.key in config.values)
    )


def agent_arguments(flags: Flags, said: Collection[str], paths: SpoolPaths) -> list[str]:
    """What the agent is told.

    Args:
        flags: the command line.
        said: of which settings something else says something (:func:`said_of`).
        paths: of the spool that it is to serve.
    """
    root, job_id = os.path.split(paths.root)
    given = {field: text for field, text in DEFAULTS.items() if field not in said} | dict(flags.agent)
    # With "=", for a value may begin with "-".
    told = [f"{_row(field).flag}={text}" for field, text in given.items()]
    return [f"--job-id={job_id}", f"--queue-root={root}", *_FIXED, *told]


def agent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the agent finds in its environment."""
    return {**environment, **_UNLIMITED}
