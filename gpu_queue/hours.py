"""Quiet hours: when the keep-alive is to be still, as people write it, and whether a moment lies within.  Pure.

``22:00-07:00`` every night; ``mon-fri 09:00-18:00``; several with ``,`` or ``;`` between them; ``sat,sun`` whole
days; ``sat,sun 10:00-16:00`` both days.  A range over midnight belongs to the day on which it begins: ``fri
22:00-07:00`` ends on Saturday morning.  The beginning is within, the end is not.  Times are the node's local ones, as
its clock shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from gpu_queue.texts import shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
GROUPS = {"daily": range(7), "weekdays": range(5), "weekend": range(5, 7)}

_DAY_MIN = 24 * 60
_WEEK_MIN = 7 * _DAY_MIN
_ENTRY = re.compile(r"(?P<days>[a-z][a-z -]*?)?\s*(?P<times>\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2})?", re.ASCII)
_EXPECTED = "expected for example 22:00-07:00, or mon-fri 09:00-18:00; sat,sun"


@dataclass(frozen=True)
class QuietHours:
    """Parts of the week in which no filler runs."""

    spans: tuple[tuple[int, int], ...] = ()
    """(beginning, end) in minutes since Monday 00:00; an end beyond the week's goes on at its beginning."""
    text: str = ""
    """As they were written, for people; empty: there are none."""

    def contains(self, local: datetime) -> bool:
        """Whether the moment, in the node's local time, is quiet."""
        return self._contains(_minute_of(local))

    def until(self, local: datetime) -> str:
        """When the quiet of this moment ends: ``07:00``, ``mon 07:00``; ``""`` if it never does, or is not now."""
        now = _minute_of(local)
        end = now
        # each round goes to the farthest end of the spans that hold there, so spans that touch count as one
        while self._contains(end % _WEEK_MIN):
            end = max(
                end + (stop - start) - (end - start) % _WEEK_MIN
                for start, stop in self.spans
                if (end - start) % _WEEK_MIN < stop - start
            )
            if end - now >= _WEEK_MIN:
                return ""
        if end == now:
            return ""
        day, minute = divmod(end % _WEEK_MIN, _DAY_MIN)
        clock = f"{minute // 60:02d}:{minute % 60:02d}"
        return clock if end - now < _DAY_MIN else f"{DAYS[day]} {clock}"

    def _contains(self, minute: int) -> bool:
        return any((minute - start) % _WEEK_MIN < stop - start for start, stop in self.spans)


NO_HOURS = QuietHours()


def parse_quiet_hours(text: str) -> QuietHours:
    """Quiet hours from their text; none from an empty one, ``none`` and ``off``.

    Raises:
        ValueError: a part is no range of hours; the message says which, and what was expected.
    """
    lowered = text.strip().lower()
    if lowered in ("", "none", "off", "never"):
        return NO_HOURS
    spans: list[tuple[int, int]] = []
    for group in re.split(r"[;\n]", lowered):
        waiting: set[int] = set()  # days named before a comma: they share the hours that follow
        for entry in group.split(","):
            if not entry.strip():
                if group.strip():
                    raise ValueError(f"{shown(text)} has an empty part between commas; {_EXPECTED}")
                continue
            match = _ENTRY.fullmatch(entry.strip())
            if match is None:
                raise ValueError(f"{shown(entry.strip())} is no range of hours; {_EXPECTED}")
            if match["days"]:
                waiting |= _days(match["days"], entry)
            if match["times"]:
                start, stop = _times(match["times"])
                spans += (_span(day, start, stop) for day in sorted(waiting or range(7)))
                waiting = set()
        spans += (_span(day, 0, _DAY_MIN) for day in sorted(waiting))
    return QuietHours(tuple(dict.fromkeys(spans)), text.strip() if spans else "")


def _days(text: str, entry: str) -> set[int]:
    text = text.strip()
    if text in GROUPS:
        return set(GROUPS[text])
    first, dash, last = (part.strip() for part in text.partition("-"))
    start, stop = _day(first, entry), _day(last if dash else first, entry)
    return {(start + offset) % 7 for offset in range((stop - start) % 7 + 1)}


def _day(name: str, entry: str) -> int:
    for names in (DAYS, LONG_DAYS):
        if name in names:
            return names.index(name)
    raise ValueError(f"{shown(name)} in {shown(entry.strip())} is no day; expected {', '.join(DAYS)}, or mon-fri")


def _times(text: str) -> tuple[int, int]:
    start, stop = (_minutes(part, text) for part in text.split("-"))
    if start == stop:
        raise ValueError(f"{shown(text)} begins when it ends; expected 00:00-24:00 for the whole day, or two times")
    if start == _DAY_MIN:
        raise ValueError(f"{shown(text)} begins at 24:00; expected 00:00")
    return start, stop


def _minutes(text: str, of: str) -> int:
    hours, minutes = (int(part) for part in text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _DAY_MIN:
        raise ValueError(f"{shown(text.strip())} in {shown(of)} is no time of day; expected 00:00 to 24:00")
    return hours * 60 + minutes


def _span(day: int, start: int, stop: int) -> tuple[int, int]:
    beginning = day * _DAY_MIN + start
    return beginning, beginning + (stop - start if stop > start else stop - start + _DAY_MIN)


def _minute_of(local: datetime) -> int:
    return local.weekday() * _DAY_MIN + local.hour * 60 + local.minute
