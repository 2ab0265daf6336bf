"""Quiet hours: what people write is understood, and what is none is refused with its part."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.hours import DAYS, parse_quiet_hours

MONDAY = datetime(2026, 11, 23)


def at(moment: str) -> datetime:
    """``fri 22:30``, in some week."""
    day, clock = moment.split()
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=DAYS.index(day), hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("text", "quiet", "loud"),
    [
        (
            "22:00-07:00",
            ["mon 22:00", "sun 23:59", "mon 00:00", "tue 06:59"],
            ["mon 21:59", "mon 07:00", "sun 12:00"],
        ),
        ("mon-fri 09:00-18:00", ["mon 09:00", "fri 17:59"], ["sat 12:00", "fri 18:00", "mon 08:59"]),
        ("fri 22:00-07:00", ["fri 22:00", "sat 06:59"], ["sat 22:00", "fri 06:00"]),
        ("sun 22:00-07:00", ["sun 23:00", "mon 06:59"], ["mon 07:00", "mon 23:00"]),
        ("fri-mon 10:00-11:00", ["fri 10:30", "sun 10:30", "mon 10:30"], ["tue 10:30", "thu 10:30"]),
        ("sat,sun", ["sat 00:00", "sun 23:59"], ["fri 23:59", "mon 00:00"]),
        ("sat,sun 10:00-16:00", ["sat 10:00", "sun 15:59"], ["sat 09:59", "fri 12:00"]),
        ("sat; sun 10:00-16:00", ["sat 03:00", "sun 10:00"], ["sun 03:00"]),
        ("mon,wed-thu 8:00-9:00, 12:30-13:00", ["mon 08:30", "thu 08:30", "tue 12:45"], ["tue 08:30", "fri 08:30"]),
        ("00:00-24:00", ["mon 00:00", "sun 23:59"], []),
        ("18:00-24:00", ["mon 23:59"], ["tue 00:00"]),
        (" Monday - Friday 9:00 - 18:00 ", ["fri 09:00"], ["sat 09:00"]),
        ("weekdays 09:00-10:00; weekend", ["mon 09:30", "sat 09:30", "sun 22:00"], ["mon 22:00"]),
        ("", [], ["mon 00:00"]),
        ("off", [], ["mon 00:00"]),
    ],
)
def test_hours_mean_what_they_say(text: str, quiet: list[str], loud: list[str]) -> None:
    hours = parse_quiet_hours(text)
    assert [moment for moment in quiet if not hours.contains(at(moment))] == []
    assert [moment for moment in loud if hours.contains(at(moment))] == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("22-7", "'22-7'"),
        ("mon-fri 9:00", "'mon-fri 9:00'"),
        ("someday 09:00-10:00", "'someday'"),
        ("mon-xyz 09:00-10:00", "'xyz'"),
        ("25:00-26:00", "'25:00'"),
        ("09:75-10:00", "'09:75'"),
        ("09:00-09:00", "begins when it ends"),
        ("24:00-07:00", "begins at 24:00"),
        ("22:00-07:00,,", "empty part"),
        ("٢٢:00-07:00", "no range"),
        ("22:00-07:00 mon", "no range"),
    ],
)
def test_what_is_no_range_of_hours_is_refused_with_its_part(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part) as refused:
        parse_quiet_hours(text)
    assert "expected" in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_quiet_hours(text).contains(MONDAY)


@pytest.mark.parametrize(
    ("text", "moment", "end"),
    [
        ("22:00-07:00", "mon 23:00", "07:00"),
        ("22:00-07:00", "mon 12:00", ""),
        ("sat,sun", "sat 12:00", "mon 00:00"),
        ("sat,sun; 22:00-07:00", "fri 23:00", "mon 07:00"),
        ("mon-fri 09:00-18:00; mon-fri 12:00-19:00", "mon 10:00", "19:00"),
        ("00:00-24:00", "mon 10:00", ""),
    ],
)
def test_the_end_of_the_quiet_is_told(text: str, moment: str, end: str) -> None:
    assert parse_quiet_hours(text).until(at(moment)) == end


minutes = st.integers(0, 1439)


@given(st.integers(0, 6), minutes, minutes, st.integers(0, 7 * 1440 - 1))
def test_a_range_holds_from_its_beginning_to_its_end_and_nowhere_else(
    day: int, start: int, stop: int, minute: int
) -> None:
    if start == stop:
        return
    text = f"{DAYS[day]} {start // 60:02d}:{start % 60:02d}-{stop // 60:02d}:{stop % 60:02d}"
    since = (minute - day * 1440 - start) % (7 * 1440)
    expected = since < (stop - start) % 1440
    hours = parse_quiet_hours(text)
    moment = MONDAY + timedelta(minutes=minute)
    assert hours.contains(moment) == expected
    assert bool(hours.until(moment)) == expected
