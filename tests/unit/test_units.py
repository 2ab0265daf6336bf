"""Durations, sizes and stamps: what is written can be read back, and what is no such thing is refused."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.units import (
    format_duration,
    format_exact_duration,
    format_size,
    format_utc,
    parse_duration_s,
    parse_size_bytes,
    parse_slurm_time_s,
    stamp,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("30m", 1800), ("4h", 14400), ("1d12h", 129600), (" 1H30M ", 5400)],
)
def test_a_duration_is_understood(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "soon", "4 h", "-1", "1e3", "h", "4hx", "inf", "nan", "٣h", "1.h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration_s(text)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "d", "40000d", "999999999999h"])
def test_a_duration_beyond_any_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hundred years") as refused:
        parse_duration_s(text)
    assert len(str(refused.value)) < 200


@given(st.integers(0, 36500), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_of_units_is_their_sum(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    assert parse_duration_s(f"{days}d{hours}h{minutes}m{seconds}s") == total
    assert parse_slurm_time_s(f"{days}-{hours}:{minutes}:{seconds}") == total


@given(st.integers(60, 10**9))
def test_a_duration_that_people_are_shown_can_be_given_back_and_is_off_by_one_unit_at_most(seconds: int) -> None:
    unit = 1 if seconds < 3600 else 60 if seconds < 86400 else 3600
    assert 0 <= seconds - parse_duration_s(format_duration(seconds)) < unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0s"), (0, "0.0s"), (7, "7.0s"), (59.9, "59s"), (245, "4m05s"), (12000, "3h20m"), (187200, "2d04h")],
)
def test_people_are_shown_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("4:30", 270), ("4:00:00", 14400), ("1-12", 129600), ("1-12:30", 131400), ("0-0:0:5", 5)],
)
def test_sbatchs_times_are_understood(text: str, seconds: int) -> None:
    assert parse_slurm_time_s(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2:3:4", "x", "1-", "-1", "1--2", ":", "9" * 5000, "9" * 12 + "-0"])
def test_what_is_no_time_of_sbatch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time as sbatch|hundred years"):
        parse_slurm_time_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512M", 512 << 20),
        ("20G", 20 << 30),
        ("20GB", 20 << 30),
        ("20GiB", 20 << 30),
        ("1.5g", 3 << 29),
        ("2 T", 2 << 40),
    ],
)
def test_a_size_is_understood(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1P", "1GG", "1e9", "much", "20 G B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_size_bytes(text)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "T", "99999999T"])
def test_a_size_beyond_any_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more memory than there is"):
        parse_size_bytes(text)


@pytest.mark.parametrize(
    "text", ["20s", "0.5s", "90s", "1m", "4h", "23h30m", "24h", "36h", "48h", "1d12h", "10d", "1d2h3m4s"]
)
def test_a_time_is_told_whole_and_as_people_write_it(text: str) -> None:
    other = {"90s": "1m30s", "36h": "1d12h"}
    assert format_exact_duration(parse_duration_s(text)) == other.get(text, text)


@given(st.integers(0, 10**9))
def test_a_time_that_is_told_whole_is_read_back(seconds: int) -> None:
    assert parse_duration_s(format_exact_duration(seconds)) == seconds


@given(st.integers(0, 1 << 50))
def test_a_size_that_people_are_shown_is_off_by_a_twentieth_of_its_unit_at_most(size: int) -> None:
    shown = format_size(size)
    assert math.isclose(parse_size_bytes(shown), size, rel_tol=0.05, abs_tol=1)


# Later than that a float tells no microseconds any more.
@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)))
def test_a_stamp_is_the_moment_in_milliseconds(moment: datetime) -> None:
    text = stamp(moment.timestamp())
    assert len(text) == 18
    read = datetime.strptime(text + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=timezone.utc)
    assert abs((moment - read).total_seconds()) < 0.002
    assert format_utc(moment.timestamp())[:19] == moment.strftime("%Y-%m-%dT%H:%M:%S")


@given(st.floats(0, 2.5e11), st.floats(0, 2.5e11))
def test_stamps_stand_in_the_order_of_their_moments(one: float, other: float) -> None:
    assert (stamp(one) <= stamp(other)) or one > other


@pytest.mark.parametrize("moment", [-1e18, -1.0, 1e18, 1e300])
def test_a_server_may_show_any_time_for_a_file(moment: float) -> None:
    assert len(stamp(moment)) == 18
