"""The nouns of a command file: a block of commands, its queue, its memory and its GPUs; what is wrong.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from gpu_queue.texts import printable

QUEUE_MAX = 999_999_999
MEMORY_MAX_GB = 1_000_000
GPUS_MAX = 1024
SHOWN_MAX = 60
"""Of a line, in a message."""
_NAMED = re.compile(r"command_gpu(s?)(?:_([0-9]{1,6}))?\.txt", re.ASCII)


class Mode(str, Enum):
    """Which of the two schedulers a file was written for."""

    SINGLE = "single"
    """Each block has one GPU."""
    MULTI = "multi"
    """Each block says how many GPUs it wants, before its memory."""


class Dialect(str, Enum):
    """How a block says its queue and its memory."""

    QUEUE_LAST = "queue last"
    """Commands, then ``queue,memory``."""
    QUEUE_FIRST = "queue first"
    """The queue in the first line, the memory in the last one."""
    PYTHON = "Python"
    """``(["command", …], queue, memory)``"""


@dataclass(frozen=True)
class Block:
    """Commands that run one after the other: what becomes one task."""

    commands: tuple[str, ...]
    queue: int
    """Blocks with the same one run one after the other, in the order of the file."""
    memory_gb: float
    """Free memory that each GPU must have, in units of 2**30 bytes; 0: any."""
    gpus_min: int = 1
    gpus_max: int = 1
    first_line: int = 0
    """Counted from 1."""
    last_line: int = 0
    command_lines: tuple[int, ...] = ()
    dialect: Dialect = Dialect.QUEUE_LAST

    @property
    def gpus(self) -> str:
        """``2`` or ``1-4``."""
        return f"{self.gpus_min}" if self.gpus_min == self.gpus_max else f"{self.gpus_min}-{self.gpus_max}"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line."""

    line: int
    text: str


@dataclass(frozen=True)
class Parsed:
    """A command file, as far as it could be read."""

    blocks: tuple[Block, ...]
    problems: tuple[Problem, ...]
    """In the order of their lines; where there is one, nothing of the file is to be used."""


def mode_of(name: str) -> Mode:
    """What a name says: ``command_gpus.txt``, ``command_gpus_1.txt`` … are for several GPUs, all others for one."""
    named = _NAMED.fullmatch(name)
    return Mode.MULTI if named is not None and named[1] else Mode.SINGLE


def index_of(name: str) -> int:
    """Which configuration it is: 2 of ``command_gpu_2.txt``; 0 of one without a number."""
    named = _NAMED.fullmatch(name)
    return int(named[2] or 0) if named is not None else 0


def shown(text: str) -> str:
    """A line of the file in a message."""
    clean = printable(text, 4 * SHOWN_MAX)
    return repr(clean if len(clean) <= SHOWN_MAX else f"{clean[: SHOWN_MAX - 1]}…")
