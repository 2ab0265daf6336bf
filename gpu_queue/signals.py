"""The signal by which a task is told that its end is near: ``USR1@120``.  Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from gpu_queue.errors import BadValue
from gpu_queue.texts import shown

NUMBERS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "USR1": 10, "USR2": 12, "ALRM": 14, "TERM": 15, "CONT": 18, "URG": 23, "XCPU": 24,
    "WINCH": 28, "PWR": 30,
}  # fmt: skip
"""Those that a program may take for a warning, by Linux's numbers.  The others cannot be caught (KILL, STOP), stop a
process, or say that it is broken."""
BEFORE_S = 60
"""So long before the end where nothing is said, as Slurm has it."""
BEFORE_MAX_S = 65535
_NO_WARNINGS = (
    *("ABRT", "BUS", "CHLD", "FPE", "ILL", "KILL", "PIPE", "SEGV", "STOP", "SYS", "TRAP", "TSTP", "TTIN", "TTOU"),
    *(str(number) for number in range(1, 65)),
)
_NAMES = {number: name for name, number in NUMBERS.items()}
_OURS = re.compile(r"(?:(all|B):)?([A-Za-z0-9]{1,12})(?:@([0-9]{1,5}))?", re.ASCII)
_SBATCH = re.compile(r"(R?)(B?):?([A-Za-z0-9]{1,12})(?:@([0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
_EXAMPLES = "USR1@120, all:USR2@90 or TERM"


class Signal(NamedTuple):
    """What a task is sent before its end, when, and to whom."""

    name: str
    """Without ``SIG``."""
    before_s: int = BEFORE_S
    to_all: bool = False
    """To all processes of the task that catch it; else to the script's own process alone, if that does."""

    @property
    def number(self) -> int:
        """By which the kernel knows it."""
        return NUMBERS[self.name]

    def __str__(self) -> str:
        return f"{'all:' if self.to_all else ''}{self.name}@{self.before_s}"


def number_of(signal: Signal | None) -> int:
    """By which number the kernel knows what a task is sent before its end; 0: it has named none."""
    return 0 if signal is None else signal.number


def parse_signal(text: str) -> Signal:
    """``[B:|all:]SIG[@seconds]``: a name with or without ``SIG``, or a number.

    Raises:
        BadValue: it is none, or no program can take it for a warning.
    """
    match = _OURS.fullmatch(text.strip())
    if match is None:
        raise _not_one(text)
    return _signal(text, match[2], match[3], to_all=match[1] == "all")


def parse_sbatch_signal(text: str) -> Signal | None:
    """The same as sbatch reads it: ``[B:|R:|RB:]SIG[@seconds]``.

    Without ``B:`` Slurm sends it to what srun has started and not to the batch script: here to all that catch it.
    ``R:`` says what a reservation may do, which concerns nobody here.  None: sbatch refuses it.

    Raises:
        BadValue: no program can take it for a warning.
    """
    match = _SBATCH.fullmatch(text.strip())
    if match is None or _name(match[3]) not in {*NUMBERS, *_NO_WARNINGS}:
        return None
    return _signal(text, match[3], match[4], to_all=not match[2])


def _name(word: str) -> str:
    return _NAMES.get(int(word), word) if word.isdigit() else word.upper().removeprefix("SIG")


def _signal(text: str, word: str, seconds: str | None, *, to_all: bool) -> Signal:
    name = _name(word)
    before_s = BEFORE_S if seconds is None else int(seconds)
    if name not in NUMBERS or before_s > BEFORE_MAX_S:
        raise _not_one(text)
    return Signal(name, before_s, to_all)


def _not_one(text: str) -> BadValue:
    names = ", ".join(NUMBERS)
    return BadValue(
        f"--signal {shown(text)}: expected a signal that a program can take for a warning ({names}), and how many "
        f"seconds before the end, at most {BEFORE_MAX_S}; for example {_EXAMPLES}",
        f"--signal {shown(text)}：应为程序可以当作提醒的信号（{names}）以及提前的秒数，最多 {BEFORE_MAX_S}；如 "
        f"{_EXAMPLES.replace(', ', '、').replace(' or ', ' 或 ')}",
    )
