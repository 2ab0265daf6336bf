"""The numbers of a command file: a queue, a memory, a count of GPUs, each with a comment behind it.  Pure."""

from __future__ import annotations

import re

from gpu_queue.experiments.commandfiles.blocks import GPUS_MAX, MEMORY_MAX_GB, QUEUE_MAX, shown

FULL_COMMA = "\uff0c"
"""As a Chinese keyboard types it."""
_ALONE = re.compile(r"[-+]?\d[\d.]*(?:\s*-\s*\d+)?\s*(?:[kmgt]i?b?)?", re.ASCII | re.IGNORECASE)
_LAST = re.compile(rf"[-+\w. ]*[,{FULL_COMMA}][-+\w., {FULL_COMMA}]*")
_LONGEST = 100
"""Of what may be numbers: a pattern shall not try long on a line without end."""
_QUEUE = re.compile(r"\d{1,9}", re.ASCII)
_MEMORY = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(?:g|gb|gib)?", re.ASCII | re.IGNORECASE)
_GPUS = re.compile(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", re.ASCII)


def is_number(line: str) -> bool:
    """Whether nothing but a number, or a range, stands there: no shell has such a command."""
    text = without_comment(line)
    return len(text) <= _LONGEST and _ALONE.fullmatch(text) is not None


def is_last(line: str) -> bool:
    """Whether it ends a block as ``queue,memory`` does, well written or not."""
    text = without_comment(line)
    return len(text) <= _LONGEST and _LAST.fullmatch(text) is not None and (text[0].isdigit() or " " not in text)


def without_comment(line: str) -> str:
    """What stands before the comment."""
    return line.partition("#")[0].strip()


def queue_of(text: str) -> int:
    """The number of a queue.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    if _QUEUE.fullmatch(text) is None:
        raise ValueError(f"expected the number of a queue, 0 to {QUEUE_MAX}, found {shown(text)}")
    return int(text)


def memory_gb_of(text: str) -> float:
    """Memory in GB.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    found = _MEMORY.fullmatch(text)
    if found is None or float(found[1]) > MEMORY_MAX_GB:
        raise ValueError(f"expected the memory in GB, as in 20 or 15.5, found {shown(text)}")
    return float(found[1])


def gpus_of(text: str) -> tuple[int, int]:
    """How many GPUs at least and at most.

    Raises:
        ValueError: it is no number of GPUs; the message says what was expected.
    """
    found = _GPUS.fullmatch(text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found is not None else (0, 0)
    if not 1 <= least <= most <= GPUS_MAX:
        raise ValueError(f"expected a number of GPUs, as in 2 or 1-4, found {shown(text)}")
    return least, most
