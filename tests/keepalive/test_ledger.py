"""The ledger: what was counted is kept across restarts, torn tables cost their bad lines only, nothing is made up."""

from __future__ import annotations

import subprocess
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.ledger import HEADER, EnergySample, Kind, Ledger, joules_between, parse_ledger

H100 = "NVIDIA H100 80GB HBM3"


def a_ledger() -> Ledger:
    ledger = Ledger()
    ledger.add("2026-11-23", "GPU-b", H100, 1, Kind.TASK, 3600, 2_000_000)
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.FILLER, 60, 30_000)
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.FILLER, 30, None)
    ledger.add("2026-11-22", "GPU-b", H100, 1, Kind.IDLE, 10.25, 700)
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.LIGHT, 5, 900)
    return ledger


def test_the_table_has_a_line_per_day_and_gpu_in_order() -> None:
    assert a_ledger().text() == (
        HEADER + "\n"
        f"2026-11-22\tGPU-b\t1\t{H100}\t0.0\t0.0\t10.2\t0.0\t0.0\t700.0\t0.0\t0.0\t0.0\n"
        f"2026-11-23\tGPU-a\t0\t{H100}\t90.0\t0.0\t0.0\t30000.0\t0.0\t0.0\t30.0\t5.0\t900.0\n"
        f"2026-11-23\tGPU-b\t1\t{H100}\t0.0\t3600.0\t0.0\t0.0\t2000000.0\t0.0\t0.0\t0.0\t0.0\n"
    )


def test_awk_reads_the_columns_by_the_names_of_the_header() -> None:
    program = 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { s += $at["filler_s"]; j += $at["task_j"] }'
    command = ["awk", "-F", "\t", program + ' END { printf "%.0f %.0f", s, j }']
    read = subprocess.run(command, input=a_ledger().text(), capture_output=True, text=True, check=True)
    assert read.stdout == "90 2000000"


def test_a_restarted_agent_goes_on_where_the_table_ends() -> None:
    ledger = parse_ledger(a_ledger().text())
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.FILLER, 10, 5_000)
    (line,) = [line for line in ledger.lines() if line.uuid == "GPU-a"]
    assert (line.seconds[Kind.FILLER], line.joules[Kind.FILLER], line.unmetered_s) == (100, 35_000, 30)


def test_what_was_counted_before_the_table_could_be_read_is_added_to_it() -> None:
    late = Ledger()
    late.add("2026-11-23", "GPU-b", H100, 1, Kind.TASK, 10, None)
    late.merge(parse_ledger(a_ledger().text()))
    (line,) = [line for line in late.lines() if (line.day, line.uuid) == ("2026-11-23", "GPU-b")]
    assert (line.seconds[Kind.TASK], line.joules[Kind.TASK], line.unmetered_s) == (3610, 2_000_000, 10)
    assert len(list(late.lines())) == 3


def test_merging_leaves_the_other_ledger_alone() -> None:
    other = a_ledger()
    before = other.text()
    merged = Ledger()
    merged.merge(other)
    merged.add("2026-11-23", "GPU-a", H100, 0, Kind.FILLER, 10, 1)
    assert other.text() == before


OLD = f"2026-11-23\tGPU-a\t0\t{H100}\t90.0\t0.0\t0.0\t30000.0\t0.0\t0.0\t30.0"
GOOD = f"{OLD}\t0.0\t0.0"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "garbage",
        GOOD[:40],
        GOOD.replace("2026-11-23", "2026-13-41"),
        GOOD.replace("2026-11-23", "yesterday"),
        GOOD.replace("90.0", "-90.0"),
        GOOD.replace("90.0", "nan"),
        GOOD.replace("90.0", "1e9"),
        GOOD.replace("90.0", ""),
        GOOD.replace("\t0\t", "\tx\t", 1),
        GOOD.replace("GPU-a", ""),
        "\0" * 80,
        f"{OLD}\t0.0",
        f"{OLD}\t0.0\tx",
    ],
)
def test_a_line_that_is_none_is_left_out(bad: str) -> None:
    text = f"{HEADER}\n{bad}\n{GOOD}\n"
    assert parse_ledger(text).text() == f"{HEADER}\n{GOOD}\n"


def test_a_table_of_a_later_version_with_more_columns_is_understood() -> None:
    assert parse_ledger(f"{HEADER}\tmore\n{GOOD}\t7\n").text() == f"{HEADER}\n{GOOD}\n"


def test_a_table_from_before_light_fillers_were_told_apart_is_read_and_written_anew() -> None:
    old_header = "\t".join(HEADER.split("\t")[:11])
    assert parse_ledger(f"{old_header}\n{OLD}\n").text() == f"{HEADER}\n{GOOD}\n"


def test_what_a_light_filler_spends_is_a_fillers_and_not_the_tasks() -> None:
    ledger = a_ledger()
    assert ledger.filler_joules("2026-11-23", "GPU-a") == 30_900
    assert ledger.filler_joules("2026-11-23", "GPU-b") == 0
    (line,) = [line for line in ledger.lines() if line.uuid == "GPU-a"]
    assert line.joules[Kind.TASK] == 0


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_ledger(text)


def test_a_name_cannot_break_the_table() -> None:
    ledger = Ledger()
    ledger.add("2026-11-23", "GPU-a", "a\tname\nof two lines", 0, Kind.IDLE, 1, 1)
    (line,) = parse_ledger(ledger.text()).lines()
    assert line.name == "a name of two lines"


def test_a_card_that_moved_is_shown_in_its_latest_place() -> None:
    ledger = a_ledger()
    ledger.add("2026-11-23", "GPU-a", "H200", 5, Kind.IDLE, 1, 1)
    assert [(line.index, line.name) for line in ledger.lines() if line.uuid == "GPU-a"] == [(5, "H200")]


def test_days_older_than_400_are_dropped() -> None:
    ledger = Ledger()
    today = date(2026, 11, 23)
    for ago in (0, 399, 400, 401, 1000):
        ledger.add((today - timedelta(days=ago)).isoformat(), "GPU-a", H100, 0, Kind.IDLE, 1, 1)
    ledger.drop_older(today.isoformat())
    assert [(today - date.fromisoformat(line.day)).days for line in ledger.lines()] == [400, 399, 0]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_not_counted(seconds: float) -> None:
    ledger = Ledger()
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.TASK, seconds, 1)
    assert ledger.text() == HEADER + "\n"


@pytest.mark.parametrize("joules", [-1.0, float("nan"), float("inf"), 1e9])
def test_energy_that_no_card_can_spend_is_not_known(joules: float) -> None:
    ledger = Ledger()
    ledger.add("2026-11-23", "GPU-a", H100, 0, Kind.TASK, 10, joules)
    (line,) = parse_ledger(ledger.text()).lines()
    assert (line.joules[Kind.TASK], line.unmetered_s) == (0, 10)


amounts = st.floats(0, 1e8, exclude_min=True)
additions = st.tuples(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)).map(date.isoformat),
    st.sampled_from(["GPU-a", "GPU-b", "MIG-c"]),
    st.text(max_size=10),
    st.integers(0, 7),
    st.sampled_from(Kind),
    amounts,
    st.none() | amounts,
)


@given(st.lists(additions, max_size=20))
def test_what_is_written_is_read_back_and_written_the_same(
    added: list[tuple[str, str, str, int, Kind, float, float]],
) -> None:
    ledger = Ledger()
    for one in added:
        ledger.add(*one)
    text = ledger.text()
    assert parse_ledger(text).text() == text
    total_s = sum(one[5] for one in added)
    read_s = sum(sum(line.seconds.values()) for line in parse_ledger(text).lines())
    assert read_s == pytest.approx(total_s, abs=0.1 * (len(added) + 1), rel=1e-9)


def sample(now_s: float, energy_j: float | None = None, power_w: float | None = None) -> EnergySample:
    return EnergySample(now_s, energy_j, power_w)


@pytest.mark.parametrize(
    ("before", "after", "joules"),
    [
        (sample(0, 1000, 500), sample(2, 1600, 500), 600),  # the counter is believed where it counts
        (sample(0, 1000), sample(2, 1600), 600),
        (sample(0, 1000), sample(3600, 1_000_000), 999_000),  # also over a gap
        (sample(0, 1000, 500), sample(2, 10, 700), 1200),  # the driver was reloaded
        (sample(0, 1000), sample(2, 10), None),
        (sample(0, None, 500), sample(2, None, 700), 1200),
        (sample(0, 1000, 500), sample(2, None, 700), 1200),
        (sample(0, None, 500), sample(61, None, 500), None),  # too long to know what lay between
        (sample(0, None, None), sample(2, None, 500), None),
        (sample(0, 0, 500), sample(2, 1e9, 500), 1000),  # a jump that no card could take
        (sample(2, 1000, 500), sample(2, 1000, 500), None),
        (sample(3, 1000, 500), sample(2, 1000, 500), None),
    ],
)
def test_energy_comes_from_the_counter_else_from_the_power_else_it_is_not_known(
    before: EnergySample, after: EnergySample, joules: float | None
) -> None:
    assert joules_between(before, after) == joules
