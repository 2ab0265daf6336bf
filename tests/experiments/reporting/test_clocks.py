"""Moments by the clocks of several machines: brought to one where the files tell how, else left as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.reporting.clocks import Clocks, clocks_of
from gpu_queue.experiments.reporting.facts import RunFacts, Written
from gpu_queue.experiments.reporting.figures import figures
from gpu_queue.experiments.reporting.whole import report
from gpu_queue.task import State
from tests.experiments.reporting.builders import HOST, NODE, T0, a_run, a_try


def waits(runs: list[RunFacts], clocks: Clocks) -> list[float | None]:
    return [figures(one, clocks, T0 + 10_000).waited_s for one in runs]


def some(host_off_s: float, node_off_s: float, count: int = 5) -> list[RunFacts]:
    """Runs that were submitted at once, and one began each minute."""
    return [
        a_run(a_try(60 * at, 50, off_s=node_off_s), at_s=at / 1000, off_s=host_off_s, name=f"r{at}")
        for at in range(count)
    ]


@given(st.floats(-7200, 7200), st.floats(-7200, 7200))
def test_waiting_times_are_right_whatever_the_clocks_say(host_off_s: float, node_off_s: float) -> None:
    runs = some(host_off_s, node_off_s)
    clocks = clocks_of(runs)
    assert clocks.are_known
    assert waits(runs, clocks) == pytest.approx([60 * at - at / 1000 if at else 0 for at in range(5)], abs=0.01)


def test_a_clock_that_is_off_is_told_and_one_that_is_not_is_not() -> None:
    told = report(some(2, 190), T0 + 500, T0 + 77).notes
    assert told == ("the clock of gpu1-3fa2c1b0 is 3m10s ahead: moments are told by the storage's",)
    assert clocks_of(some(-4000, 1)).off == {HOST: pytest.approx(-4000)}
    assert report(some(2, -3), T0 + 500, T0 + 500).notes == ()


def test_files_that_were_copied_tell_nothing_of_clocks_and_moments_stay_as_they_were_written() -> None:
    copied_s = T0 + 50_000
    runs = [
        a_run(a_try(60 * at + 5, 50, clock=Written(NODE, T0 + 60 * at + 55, copied_s)), name=f"r{at}")
        for at in range(5)
    ]
    clocks = clocks_of(runs)
    assert not clocks.are_known
    assert waits(runs, clocks) == [5 + 60 * at for at in range(5)]
    (note,) = report(runs, T0 + 60_000, T0 + 60_001).notes
    assert "may differ" in note


def test_a_single_run_that_would_begin_before_it_was_submitted_was_copied_too() -> None:
    copied_s = T0 + 9_000
    run = a_run(a_try(5, 50, clock=Written(NODE, T0 + 55, copied_s)))
    copied = RunFacts(run.submission, run.state, Written(HOST, T0, copied_s), run.tries)
    assert waits([copied], clocks_of([copied])) == [5]


def test_files_much_younger_than_what_they_say_were_copied_and_no_clock_is_a_day_off() -> None:
    assert not clocks_of(some(-90_000, 0)).are_known


def test_a_few_files_that_came_late_do_not_spoil_the_others() -> None:
    late = a_run(a_try(700, 50, clock=Written(NODE, T0 + 750, T0 + 1350)), name="late")
    clocks = clocks_of([*some(0, 100, count=9), late])
    assert clocks.are_known
    assert clocks.off == {NODE: pytest.approx(100)}


def test_now_is_the_storages_where_its_clock_is_compared_with_and_else_ours() -> None:
    waiting = a_run(state=State.PENDING)
    assert report([waiting], T0 + 60, T0 + 9_000).groups[0].runs[0].waited_s == 60
    unknown = RunFacts(waiting.submission, State.PENDING, None)
    assert report([unknown], T0 + 60, T0 + 9_000).groups[0].runs[0].waited_s is None


def test_of_a_node_whose_first_try_runs_its_page_tells_the_clock() -> None:
    run = a_run(a_try(10, None, "", is_live=True, off_s=190), state=State.RUNNING)
    beat = Written(NODE, T0 + 40 + 190, T0 + 40)
    (made,) = report([run], T0 + 60, T0, [beat]).groups[0].runs
    assert (made.waited_s, made.ran_s) == (10, 50)
