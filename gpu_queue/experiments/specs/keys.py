"""The keys of an experiment file: one table, from which reader, messages, schema and docs are made.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpu_queue.experiments.specs import values
from gpu_queue.experiments.specs.values import Kind


class Shape(Enum):
    """What stands behind a key."""

    VALUE = "value"
    VERSION = "version"
    COMMAND = "command"
    NAMES = "names"
    ENVIRONMENT = "environment"
    MATRIX = "matrix"
    JOB = "job"
    JOBS = "jobs"


@dataclass(frozen=True)
class Key:
    """A row of the table."""

    name: str
    shape: Shape
    meaning: str
    """In Markdown."""
    expected: str
    kind: Kind | None = None
    """Of a single value."""
    default: str = ""
    """For people."""
    takes_none: bool = False
    """The word ``none`` is a value of it, beside ``null``."""


def _value(name: str, kind: Kind, meaning: str, default: str = "", *, takes_none: bool = False) -> Key:
    expected = f"{kind.expected}; or none" if takes_none else kind.expected
    return Key(name, Shape.VALUE, meaning, expected, kind, default, takes_none)


_GROUP = "what it is reported with, and the directory of its logs"

JOB_KEYS = (
    _value("name", values.NAME, "what a run is called: a template, which gives each its own name", "the job's key, with a matrix `key-value-value`"),
    Key("matrix", Shape.MATRIX, "lists of values: a run for each combination; with `include` and `exclude`", "a mapping of lists of values", default="one run"),
    Key("run", Shape.COMMAND, "what runs: a text for `bash`, with `set -e`; or a list of words, without a shell", "a text, or a list of words"),
    _value("gpus", values.GPUS, "how many GPUs each run gets: `2`, or `1-4`, as many of them as are free", "as its script says, else the queue's"),
    _value("nodes", values.NODES, "on how many nodes at once each run is started, with its GPUs on each", "as its script says, else one"),
    _value("memory", values.MEMORY, "what each of its GPUs must have: `20G`", "any"),
    _value("time", values.TIME, "after which it is ended: `90s`, `4h`, `1d12h`", "none"),
    _value("retries", values.RETRIES, "how often it is tried again after a failure of its own", "the queue's"),
    _value("signal", values.SIGNAL, "by which it is told that its end is near, and how many seconds before: `USR1@120`", "none"),
    _value("notify", values.NOTIFY, "who is told when a run has ended: labels, as `ops` or `ops:failed` (docs/notify.md)", "nobody"),
    _value("queue", values.QUEUE, "of runs of one queue one runs at a time", "none"),
    _value("priority", values.PRIORITY, "`0` to `999`, smaller runs first", "`500`"),
    Key("after", Shape.NAMES, "what must be done first: a job (all its runs), a run, or a template of one; a list of such", "the name of a job or a run, or a list of such", default="nothing"),
    Key("env", Shape.ENVIRONMENT, "variables of its environment; those of a job are added to those of `defaults`", "a mapping of variables to values"),
    _value("cwd", values.PATH, "where it runs, from the file's directory", "the file's directory"),
    _value("log_dir", values.PATH, "where `<name>.log` is made, a link to its log; `none`: nowhere", "`logs/<group>` beside the file", takes_none=True),
    _value("skip_done", values.FLAG, "a run that was done and is the same is not run again", "`true`"),
    _value("snapshot", values.FLAG, "it runs in a copy of the working tree as it is when the file is loaded ([snapshots](snapshots.md))", "`false`"),
    _value("group", values.NAME, _GROUP, "the file's"),
)  # fmt: skip
"""Of a job, and of ``defaults``."""

FILE_KEYS = (
    Key("version", Shape.VERSION, "of this notation", "1", default="`1`"),
    _value("group", values.NAME, _GROUP, "the file's name without its ending"),
    _value("notify", values.NOTIFY_OF_ALL, "who is told when all runs of a group have ended; `ops:failed`: where one of them failed", "nobody"),
    Key("defaults", Shape.JOB, "any key of a job: what each job says that does not say it itself", "a mapping with the keys of a job"),
    Key("jobs", Shape.JOBS, "the jobs by their keys; their order is the run order", "a mapping of jobs by their names"),
)  # fmt: skip
"""Of the file."""

MEANT = {
    "attempts": "retries",
    "axes": "matrix",
    "chdir": "cwd",
    "cmd": "run",
    "command": "run",
    "commands": "run",
    "config": "run",
    "dependencies": "after",
    "depends": "after",
    "depends_on": "after",
    "dir": "cwd",
    "directory": "cwd",
    "env_vars": "env",
    "environment": "env",
    "envs": "env",
    "experiments": "jobs",
    "gpu": "gpus",
    "gpu_count": "gpus",
    "gpu_mem": "memory",
    "gpu_memory": "memory",
    "grid": "matrix",
    "hyperparameters": "matrix",
    "log": "log_dir",
    "logdir": "log_dir",
    "logs": "log_dir",
    "max_attempts": "retries",
    "max_retries": "retries",
    "mem": "memory",
    "mail": "notify",
    "memory_gb": "memory",
    "min_memory": "memory",
    "n_gpus": "gpus",
    "needs": "after",
    "ngpu": "gpus",
    "ngpus": "gpus",
    "num_gpus": "gpus",
    "notifications": "notify",
    "num_machines": "nodes",
    "num_nodes": "nodes",
    "output": "log_dir",
    "output_dir": "log_dir",
    "parameters": "matrix",
    "params": "matrix",
    "program": "run",
    "requires": "after",
    "retry": "retries",
    "runs": "jobs",
    "script": "run",
    "search_space": "matrix",
    "stages": "jobs",
    "steps": "run",
    "strategy": "matrix",
    "sweep": "matrix",
    "sweeps": "matrix",
    "tasks": "jobs",
    "time_limit": "time",
    "timelimit": "time",
    "timeout": "time",
    "timeout_minutes": "time",
    "timeout_s": "time",
    "variables": "env",
    "vram": "memory",
    "walltime": "time",
    "work_dir": "cwd",
    "workdir": "cwd",
    "working_dir": "cwd",
    "working_directory": "cwd",
    "workingdir": "cwd",
}
"""How other programs call the same, with ``_`` for ``-``."""
