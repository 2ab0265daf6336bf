"""A number for each node, as Slurm writes them: ``8(x2),4``.  Pure, and without imports of ours, for ``srun``."""

from __future__ import annotations

import re
from collections.abc import Sequence


def repeated(numbers: Sequence[int]) -> str:
    """The numbers in Slurm's notation."""
    parts: list[list[int]] = []
    for one in numbers:
        if parts and parts[-1][0] == one:
            parts[-1][1] += 1
        else:
            parts.append([one, 1])
    return ",".join(f"{number}(x{times})" if times > 1 else str(number) for number, times in parts)


def counts_of(text: str) -> tuple[int, ...]:
    """The numbers of a text in that notation; none where it is no such text."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,4})(?:\(x([0-9]{1,4})\))?", part, re.ASCII)
        if match is None:
            return ()
        found += [int(match[1])] * int(match[2] or 1)
    return tuple(found)
