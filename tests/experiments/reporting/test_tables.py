"""A report as a table: what it looks like, and that it stays within its terminal whatever runs are called."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.progress.lines import Glyphs
from gpu_queue.experiments.reporting.tables import table
from gpu_queue.experiments.reporting.whole import report
from gpu_queue.task import State
from tests.experiments.reporting import screens
from tests.experiments.reporting.builders import T0, a_run, a_try, used


def columns_of(line: str) -> int:
    marks = ("Mn", "Me")
    return sum(
        0 if unicodedata.category(one) in marks else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in line
    )


def test_reports_look_like_this() -> None:
    assert screens.told() == screens.GOLDEN.read_text(encoding="utf-8"), (
        "python -m tests.experiments.reporting.screens"
    )


TEXT = st.text(st.characters() | st.sampled_from("\udc80\udcff\ud800\x1b\x9b\n\r\t实验\u202e"), max_size=60)


@given(
    st.lists(st.builds(dict, name=TEXT, group=TEXT, key=TEXT, value=TEXT), min_size=1, max_size=4),
    st.sampled_from([20, 40, 80, 120]),
)
def test_no_line_leaves_its_terminal_or_controls_it(said: list[dict[str, str]], columns: int) -> None:
    tried = a_try(usage=(used(9, 50),))
    runs = [
        a_run(tried, memory="1G", name=one["name"], group=one["group"], params={one["key"]: one["value"]})
        for one in said
    ]
    for glyphs in (Glyphs.of("utf-8"), Glyphs.of("ascii")):
        for line in table(report(runs, T0 + 500, T0 + 500), columns, glyphs):
            assert columns_of(line) <= columns
            assert line.isprintable()
            line.encode(glyphs.encoding)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ({"outcome": "failed(137)", "error_type": "unknown"}, "failed(137)"),
        ({"outcome": "failed(1)", "error_type": "oom"}, "failed oom"),
        ({"outcome": "timeout", "error_type": "timeout"}, "failed timeout"),
        ({"outcome": "lost", "error_type": "node_lost"}, "failed node_lost"),
    ],
)
def test_what_failed_says_how_in_a_word(run: dict[str, Any], told: str) -> None:
    made = report([a_run(a_try(1, 2, **run), state=State.FAILED)], T0, T0)
    assert f"  {told}  " in list(table(made, None))[2]


def test_hours_of_which_a_part_is_not_known_are_the_least_and_little_is_not_none() -> None:
    lost = a_try(1, None, "lost", is_final=False)
    runs = [a_run(lost, a_try(100, 7200), name="a"), a_run(a_try(1, 3), name="b"), a_run(a_try(1, 0), name="c")]
    rows = list(table(report(runs, T0 + 9000, T0 + 9000), None))[2:5]
    assert [row.split()[-1] for row in rows] == [">2.00", "<0.01", "0.00"]
