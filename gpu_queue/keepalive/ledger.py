r"""What the node's GPUs did and what it cost: seconds and joules per day and GPU, filler apart from tasks.  Pure.

- The text form is a table with tabs: ``HEADER``, then one line per day and GPU, ordered by day, index, UUID.  It is
  written whole by the agent, and read by the agent at its next start and by ``gpu_report`` with awk.
- A line that is no such line is left out when it is read: a torn or edited table costs its bad lines, no more.
- Energy that could not be measured is never made up.  ``unmetered_s`` tells for how many of the seconds it is not
  known; while there are none the joules are exact, else they are a lower bound.
- Days older than ``KEEP_DAYS`` are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum

KEEP_DAYS = 400
HEADER = "day\tuuid\tindex\tname\tfiller_s\ttask_s\tidle_s\tfiller_j\ttask_j\tidle_j\tunmetered_s\tlight_s\tlight_j"
_FIRST_COLUMNS, _COLUMNS = 11, 13
"""The last two came later: where they are missing they are 0."""
_LONGEST_GAP_S = 60.0
"""Two readings of the power tell what lay between them no longer than this."""
_MOST_W = 5000.0
"""No card takes more: a counter that rose faster was not counting energy."""
_MOST_S = 1e9
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,6})?", re.ASCII)


class Kind(Enum):
    """What a GPU did for some time."""

    FILLER = "filler"
    TASK = "task"
    IDLE = "idle"
    LIGHT = "light"
    """Held by a task that leaves it idle, and kept busy by a light filler beside it, whose the energy is."""


@dataclass(frozen=True)
class EnergySample:
    """What a device said about its energy at one moment."""

    now_s: float
    """Monotonic."""
    energy_j: float | None
    """Counter since the driver was loaded; None where the card has none or could not be asked."""
    power_w: float | None


def joules_between(before: EnergySample, after: EnergySample) -> float | None:
    """Energy spent between two samples of one device, or None if that cannot be known.

    By the counter where both samples have it and it did not go backwards (a reloaded driver counts from 0 again);
    else by the power, if the samples are at most a minute apart.
    """
    elapsed_s = after.now_s - before.now_s
    if elapsed_s <= 0:
        return None
    if before.energy_j is not None and after.energy_j is not None:
        delta_j = after.energy_j - before.energy_j
        # the counter is refreshed some ten times a second: a short step may hold a little more than its share
        if 0 <= delta_j <= _MOST_W * (elapsed_s + 1):
            return delta_j
    if before.power_w is None or after.power_w is None or elapsed_s > _LONGEST_GAP_S:
        return None
    return (before.power_w + after.power_w) / 2 * elapsed_s


@dataclass
class Line:
    """One GPU on one day."""

    day: str
    """``2026-11-23``, local."""
    uuid: str
    index: int
    name: str
    seconds: dict[Kind, float] = field(default_factory=lambda: dict.fromkeys(Kind, 0.0))
    joules: dict[Kind, float] = field(default_factory=lambda: dict.fromkeys(Kind, 0.0))
    unmetered_s: float = 0.0
    """Of all the seconds, those whose energy is not known."""

    def as_text(self) -> str:
        """The line of the table, without its end."""
        *first, last = Kind
        numbers = [*(self.seconds[kind] for kind in first), *(self.joules[kind] for kind in first), self.unmetered_s]
        numbers += [self.seconds[last], self.joules[last]]
        words = [self.day, _word(self.uuid), str(self.index), _word(self.name)]
        return "\t".join([*words, *(f"{number:.1f}" for number in numbers)])


class Ledger:
    """Lines by day and GPU; add to it, and write ``text()`` from time to time."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], Line] = {}

    def lines(self) -> Iterator[Line]:
        """In the table's order."""
        return iter(sorted(self._lines.values(), key=lambda line: (line.day, line.index, line.uuid)))

    def filler_joules(self, day: str, uuid: str) -> float:
        """What fillers spent on one GPU on one day; seconds whose energy is not known count for nothing."""
        line = self._lines.get((day, uuid))
        return line.joules[Kind.FILLER] + line.joules[Kind.LIGHT] if line else 0.0

    def add(
        self, day: str, uuid: str, name: str, index: int, kind: Kind, seconds: float, joules: float | None
    ) -> None:
        """What one GPU did for ``seconds``, and what that took; None: not known.

        Args:
            day: the local date on which the time ended, ``2026-11-23``.
            uuid: of the GPU.
            name: its model; the latest is shown.
            index: its place on the node; the latest is shown.
            kind: what it did.
            seconds: for how long; nothing is counted unless it is above 0.
            joules: from ``joules_between``.
        """
        if not 0 < seconds < _MOST_S:
            return
        line = self._line(day, uuid, name, index)
        line.seconds[kind] += seconds
        if joules is None or not 0 <= joules <= _MOST_W * seconds + _MOST_W:
            line.unmetered_s += seconds
        else:
            line.joules[kind] += joules

    def merge(self, other: Ledger) -> None:
        """Add all of another ledger: what an agent counted before it could read the table that it had written."""
        for theirs in other.lines():
            key = (theirs.day, theirs.uuid)
            known = self._lines.get(key)
            line = known or self._line(theirs.day, theirs.uuid, theirs.name, theirs.index)
            for kind in Kind:
                line.seconds[kind] += theirs.seconds[kind]
                line.joules[kind] += theirs.joules[kind]
            line.unmetered_s += theirs.unmetered_s

    def drop_older(self, today: str) -> None:
        """Drop the days that lie more than ``KEEP_DAYS`` before today (``2026-11-23``)."""
        first = (date.fromisoformat(today) - timedelta(days=KEEP_DAYS)).isoformat()
        self._lines = {key: line for key, line in self._lines.items() if line.day >= first}

    def text(self) -> str:
        """The whole table: the header, and a line per day and GPU, each ended by a newline."""
        return "".join(f"{line}\n" for line in [HEADER, *(line.as_text() for line in self.lines())])

    def _line(self, day: str, uuid: str, name: str, index: int) -> Line:
        line = self._lines.setdefault((day, uuid), Line(day, uuid, index, name))
        line.index, line.name = index, name
        return line


def parse_ledger(text: str) -> Ledger:
    """The ledger of a table's text.  Lines that are none are left out; two of one day and GPU are added up."""
    ledger = Ledger()
    for row in text.split("\n"):
        line = _parse_line(row)
        if line is not None:
            one = Ledger()
            one._lines[line.day, line.uuid] = line
            ledger.merge(one)
    return ledger


def _parse_line(row: str) -> Line | None:
    words = row.rstrip("\r").split("\t")
    if len(words) == _FIRST_COLUMNS:
        words += ["0", "0"]
    if len(words) < _COLUMNS:
        return None  # more columns are a later version's
    day, uuid, index, name, *numbers = words[:_COLUMNS]
    if not _is_day(day) or not uuid or not re.fullmatch(r"\d{1,6}", index, re.ASCII):
        return None
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    values = [float(number) for number in numbers]
    seconds = [*values[:3], values[7]]
    joules = [*values[3:6], values[8]]
    kinds = list(Kind)
    by_kind = dict(zip(kinds, seconds, strict=True)), dict(zip(kinds, joules, strict=True))
    return Line(day, uuid, int(index), name, *by_kind, values[6])


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _word(text: str) -> str:
    """A field that cannot break the table, whatever a driver calls its card."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text).strip() or "-"
