"""Durations, sizes and times as people write them, to seconds and bytes and back.  Pure."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone

from gpu_queue.errors import BadValue
from gpu_queue.texts import shown

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)([dhms]))", re.ASCII)
_DURATION_UNIT_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}
LONGEST_S = 100 * 366 * 86400
"""Sums of times stay within what a calendar and a float can tell."""
LARGEST_BYTES = 1 << 60
_LAST_STAMP_S = 253402300799
"""The end of the year 9999."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.ASCII | re.IGNORECASE)
_UTC = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_SIZE_UNIT_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def _bounded(seconds: float, text: str) -> float:
    if seconds > LONGEST_S:
        raise BadValue(f"{shown(text)} is more than a hundred years", f"{shown(text)} 超过一百年")
    return seconds


def parse_duration_s(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``4h``, ``1d12h``, ``1h30m``.

    Raises:
        ValueError: the text is none of these, or more than a hundred years.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return _bounded(float(text), text)
    if not text or _DURATION.sub("", text):
        raise BadValue(
            f"{shown(text)} is no duration; expected for example 90s, 30m, 4h or 1d12h",
            f"{shown(text)} 不是时长；应如 90s、30m、4h 或 1d12h",
        )
    return _bounded(sum(float(number) * _DURATION_UNIT_S[unit] for number, unit in _DURATION.findall(text)), text)


def parse_slurm_time_s(text: str) -> float:
    """Seconds of Slurm's ``minutes``, ``MM:SS``, ``HH:MM:SS``, ``D-HH``, ``D-HH:MM``, ``D-HH:MM:SS`` (sbatch(1)).

    Raises:
        ValueError: the text is none of these.
    """
    days, dash, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    numerals = [days, *parts] if dash else parts
    if len(parts) > 3 or not all(re.fullmatch(r"\d{1,12}", part, re.ASCII) for part in numerals):
        raise BadValue(
            f"{shown(text)} is no time as sbatch takes it, for example 30, 4:00:00 or 1-12:00:00",
            f"{shown(text)} 不是 sbatch 的时间写法；应如 30、4:00:00 或 1-12:00:00",
        )
    numbers = [int(part) for part in parts]
    if dash:
        hours, minutes, seconds = (numbers + [0, 0])[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, minutes, seconds = 0, numbers[0], numbers[1] if len(numbers) == 2 else 0
    return _bounded(float(int(days or "0") * 86400 + hours * 3600 + minutes * 60 + seconds), text)


def parse_size_bytes(text: str) -> int:
    """Bytes of ``20G``, ``20GB``, ``512M``, ``1.5g``; units are powers of 1024, as nvidia-smi shows them.

    Raises:
        ValueError: the text is no size, or more than any machine has.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadValue(
            f"{shown(text)} is no size; expected for example 20G or 512M", f"{shown(text)} 不是大小；应如 20G 或 512M"
        )
    size_bytes = float(match[1]) * _SIZE_UNIT_BYTES[match[2].lower()]
    if size_bytes > LARGEST_BYTES:
        raise BadValue(f"{shown(text)} is more memory than there is", f"{shown(text)} 超过可能有的内存")
    return int(size_bytes)


def format_duration(seconds: float) -> str:
    """``7 s``, ``4m05s``, ``3h20m``, ``2d04h``: two units are enough for people."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{max(0.0, seconds):.1f}s" if seconds < 10 else f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def format_exact_duration(seconds: float) -> str:
    """``20s``, ``24h``, ``48h``, ``1d12h``: as people write a time, and nothing of it left out."""
    if 0 < seconds <= 3 * 86400 and seconds % 86400 == 0:
        return f"{seconds / 3600:.0f}h"
    whole = int(seconds)
    parts = [f"{whole // 86400}d", f"{whole % 86400 // 3600}h", f"{whole % 3600 // 60}m"]
    rest_s = round(seconds - whole // 60 * 60, 3)
    return "".join(part for part in (*parts, f"{rest_s:g}s") if part[:-1] != "0") or "0s"


def format_size(size_bytes: float) -> str:
    """``80G``, ``512M``, ``79.6G``: powers of 1024."""
    for unit, one in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size_bytes >= one:
            return f"{size_bytes / one:.1f}".removesuffix(".0") + unit
    return f"{int(size_bytes)}B"


def format_local(epoch_s: float) -> str:
    """``2026-11-23 13:26:46 +0800``: for people, by the clock on their wall."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(epoch_s))


def format_clock(epoch_s: float) -> str:
    """``13:26:46``: for people, of a moment to come soon, by the clock on their wall."""
    return time.strftime("%H:%M:%S", time.localtime(min(max(epoch_s, 0.0), _LAST_STAMP_S)))


def format_utc(epoch_s: float) -> str:
    """ISO 8601 in UTC with seconds: ``2026-11-23T01:44:15Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))


def parse_utc_s(text: str) -> float | None:
    """Epoch seconds of what ``format_utc`` writes; None for any other text."""
    match = _UTC.fullmatch(text)  # strptime takes twenty times as long, and a report reads tens of thousands
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1)).total_seconds()


def stamp(epoch_s: float) -> str:
    """The 18 characters that order names: ``20261123T014415123`` (UTC, milliseconds)."""
    bounded_s = min(max(epoch_s, 0.0), _LAST_STAMP_S)  # a server may show any time for a file
    moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=int(bounded_s * 1000))
    return moment.strftime("%Y%m%dT%H%M%S") + f"{moment.microsecond // 1000:03d}"


def parse_stamp_s(text: str) -> float | None:
    """Epoch seconds of what ``stamp`` writes; None for any other text."""
    try:
        moment = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")
        return (moment - datetime(1970, 1, 1)).total_seconds() + int(text[15:]) / 1000
    except ValueError:
        return None
