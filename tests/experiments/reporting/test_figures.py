"""What runs took: each figure, and what is said where something is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.experiments.progress.nouns import Phase
from gpu_queue.experiments.reporting.clocks import Clocks
from gpu_queue.experiments.reporting.facts import RunFacts, TryFacts, tries_of
from gpu_queue.experiments.reporting.figures import ENDED, Memory, RunFigures, figures, summed
from gpu_queue.spool.records import TryRecord
from gpu_queue.task import Claim, State, TryResult, Why
from gpu_queue.units import format_utc
from tests.experiments.reporting.builders import (
    GIB,
    NODE,
    T0,
    a_claim,
    a_file,
    a_record,
    a_result,
    a_run,
    a_try,
    used,
)

NOW = T0 + 10_000


def of(run: RunFacts, now_s: float = NOW) -> RunFigures:
    return figures(run, Clocks(are_known=True), now_s)


def test_a_run_that_was_done_at_once() -> None:
    run = of(a_run(a_try(10, 100, gpus=2, usage=(used(6, 90),)), memory="8G"))
    assert (run.phase, run.outcome, run.error_type, run.tries) == (Phase.DONE, "succeeded", "", 1)
    assert (run.waited_s, run.between_s, run.ran_s, run.last_ran_s) == (10, None, 100, 100)
    assert (run.gpus, run.gpu_s, run.unknown_tries) == (2, 200, 0)
    assert (run.memory_peak_bytes, run.utilization_percent, run.memory) == (6 * GIB, 90, None)
    assert (run.submitted_s, run.started_s, run.ended_s) == (T0, T0 + 10, T0 + 110)


def test_tries_are_added_up_and_the_time_between_them_is_not_running_time() -> None:
    failed = a_try(10, 100, "failed(1)", error_type="oom", is_final=False, usage=(used(9, 80, samples=90),))
    run = of(a_run(failed, a_try(170, 300, gpus=2, usage=(used(4, 20, samples=30),)), memory="8G"))
    assert (run.tries, run.waited_s, run.between_s, run.ran_s, run.last_ran_s) == (2, 10, 60, 400, 300)
    assert run.gpu_s == 100 + 600
    assert run.utilization_percent == pytest.approx((90 * 80 + 30 * 20) / 120), "weighted by the readings"
    assert run.memory is Memory.MORE, "the peak of all its tries"
    assert (run.error_type, run.failures) == ("", ("oom",)), "it is done, whatever came before"


def test_a_run_that_waits_has_waited_until_now_and_took_nothing() -> None:
    run = of(a_run(state=State.PENDING), T0 + 70)
    assert (run.phase, run.tries, run.waited_s) == (Phase.WAITING, 0, 70)
    assert (run.ran_s, run.gpu_s, run.gpus, run.started_s, run.ended_s) == (None, None, None, None, None)


def test_a_try_that_runs_has_run_until_now() -> None:
    run = of(a_run(a_try(10, None, "", is_live=True, gpus=4), state=State.RUNNING), T0 + 60)
    assert (run.phase, run.waited_s, run.ran_s, run.gpu_s, run.unknown_tries) == (Phase.RUNNING, 10, 50, 200, 0)
    assert run.ended_s is None


def test_a_try_that_was_just_claimed_is_one_of_which_nothing_is_known() -> None:
    run = of(a_run(*tries_of((), (), a_claim()), state=State.RUNNING))
    assert (run.phase, run.tries, run.unknown_tries) == (Phase.RUNNING, 1, 1)
    assert (run.waited_s, run.ran_s, run.gpu_s, run.gpus) == (None, None, None, None)


def test_what_a_lost_try_took_nobody_knows_and_the_sum_says_so() -> None:
    lost = a_try(10, None, "lost", error_type="node_lost", is_final=False)
    run = of(a_run(lost, a_try(5000, 60)))
    assert (run.ran_s, run.gpu_s, run.unknown_tries) == (60, 60, 1)
    assert run.between_s is None, "it began when nobody knows the one before had ended"
    assert of(a_run(lost, state=State.PENDING)).ran_s is None


def test_what_was_never_started_is_no_try() -> None:
    refused = a_try(None, None, "refused", gpus=None, reason="after: a has failed")
    run = of(a_run(refused, state=State.FAILED))
    assert (run.phase, run.outcome, run.tries, run.unknown_tries) == (Phase.FAILED, "refused", 0, 0)
    assert (run.waited_s, run.ran_s, run.gpu_s) == (None, None, None)
    assert run.reason == "after: a has failed"


@pytest.mark.parametrize(
    ("tries", "phase"),
    [
        ((), Phase.CANCELLED),
        ((a_try(10, 5, "stopped"),), Phase.CANCELLED),
        ((a_try(10, 5, "failed(1)", is_final=False),), Phase.CANCELLED),  # while it waited for its next try
        ((a_try(10, None, ""),), Phase.CANCELLED),  # taken off a node without an agent
        ((a_try(10, 5, "failed(1)"),), Phase.FAILED),
        ((a_try(10, 5, "timeout"),), Phase.FAILED),
    ],
)
def test_what_a_person_put_into_failed_was_cancelled(tries: tuple[TryFacts, ...], phase: Phase) -> None:
    assert of(a_run(*tries, state=State.FAILED)).phase is phase


def test_a_part_of_a_card_tells_nothing_of_its_memory() -> None:
    shared = a_try(usage=(used(70, 50),), reserve_bytes=8 * GIB)
    run = of(a_run(shared, memory="8G"))
    assert (run.memory_peak_bytes, run.memory) == (None, None)


@pytest.mark.parametrize(
    ("peak_gib", "state", "memory"),
    [
        (3.9, State.DONE, Memory.FAR_LESS),
        (4, State.DONE, None),
        (8, State.DONE, None),
        (8.1, State.DONE, Memory.MORE),
        (1, State.FAILED, None),  # it may not have come to where it needs most
        (9, State.FAILED, Memory.MORE),
        (None, State.DONE, None),
    ],
)
def test_memory_is_held_against_what_was_asked_for(peak_gib: float, state: State, memory: Memory | None) -> None:
    outcome = "succeeded" if state is State.DONE else "failed(1)"
    assert of(a_run(a_try(outcome=outcome, usage=(used(peak_gib),)), state=state, memory="8G")).memory is memory


@pytest.mark.parametrize("said", ["", "much", "0", "9" * 40])
def test_what_cannot_have_been_asked_for_is_not_known(said: str) -> None:
    run = of(a_run(a_try(usage=(used(1),)), memory=said))
    assert (run.facts.memory_asked_bytes, run.memory) == (None, None)


def test_readings_that_cannot_be_are_none() -> None:
    usage = (used(-1, -5), used(None, 101), used(1, 50, samples=0))
    run = of(a_run(a_try(usage=usage)))
    assert (run.memory_peak_bytes, run.utilization_percent) == (GIB, None)


# -- from records ---------------------------------------------------------------------------------------------------


def test_a_try_is_known_by_its_record_its_entry_in_the_index_or_both() -> None:
    record = a_record(1, status=1, outcome="failed(1)", error_type="oom", to="pending", duration_s=5.0)
    both, alone, entry = tries_of(
        [a_result(1, final=False, error_type="oom"), a_result(3, 143, Why.STOPPED)],
        [a_file(record), a_file(a_record(2, 50, status=0, outcome="succeeded", to="done", duration_s=7.0))],
        None,
    )
    assert (both.outcome, both.error_type, both.duration_s, both.gpus) == ("failed(1)", "oom", 5, 1)
    assert (alone.outcome, alone.duration_s, alone.is_final) == ("succeeded", 7, True)
    assert (entry.outcome, entry.duration_s, entry.gpus, entry.is_final) == ("stopped", None, None, True)


def test_a_try_of_which_the_record_tells_an_end_does_not_run_any_more() -> None:
    (one,) = tries_of((), [a_file(a_record(status=0, outcome="succeeded", duration_s=3.0))], a_claim())
    assert (one.is_live, one.duration_s) == (False, 3)


def test_the_record_of_an_end_tells_of_its_writers_clock_and_no_other_does() -> None:
    ended = a_record(status=0, ended_at=format_utc(T0 + 90), outcome="succeeded")
    (one,) = tries_of((), [a_file(ended, T0 + 93)], None)
    assert one.clock is not None
    assert (one.clock.by, one.clock.stored_s - one.clock.at_s) == (NODE, 3)
    runs = a_record()
    assert tries_of((), [a_file(runs, T0 + 700)], None)[0].clock is None, "it may have been written anew since"
    by_another = a_record(status=255, ended_at=format_utc(T0 + 90), settled_by="other", outcome="lost")
    assert tries_of((), [a_file(by_another, T0 + 900)], None)[0].clock is None


USAGE = st.builds(used, st.none() | st.floats(-10, 1e6), st.none() | st.integers(-200, 200), st.integers(0, 99))
RECORDS = st.builds(
    a_record,
    st.integers(1, 5),
    st.none() | st.floats(-1e9, 1e9),
    status=st.none() | st.integers(-1, 300),
    outcome=st.sampled_from(["", "succeeded", "lost", "refused", "x"]),
    duration_s=st.none() | st.floats(-10, 1e18),
    gpu_usage=st.lists(USAGE, max_size=3).map(tuple),
)
RESULTS = st.builds(a_result, st.integers(1, 8), st.integers(0, 255), st.none() | st.sampled_from(Why))


@given(
    st.lists(RECORDS, max_size=6),
    st.lists(RESULTS, max_size=6),
    st.none() | st.builds(a_claim, st.integers(1, 9)),
    st.sampled_from(State),
    st.floats(-1e12, 1e12),
)
def test_no_figure_is_negative_and_none_is_made_up(
    records: list[TryRecord], results: list[TryResult], live: Claim | None, state: State, now_s: float
) -> None:
    tries = tries_of(results, [a_file(one) for one in records], live)
    run = of(a_run(*tries, state=state, memory="8G"), now_s)
    for figure in (run.waited_s, run.between_s, run.ran_s, run.last_ran_s, run.gpu_s, run.memory_peak_bytes):
        assert figure is None or figure >= 0
    assert run.utilization_percent is None or 0 <= run.utilization_percent <= 100
    began = [one for one in tries if one.has_begun]
    assert run.tries == len(began)
    assert (run.gpu_s is None) == (run.unknown_tries == run.tries), "all unknown: no sum"
    whole = summed([run], now_s)
    assert whole.gpu_s == run.gpu_s
    assert whole.runs == 1
    assert (run.ended_s is None) or run.phase in ENDED


# -- all together ---------------------------------------------------------------------------------------------------


def test_the_sum_of_several_runs() -> None:
    failed = a_try(20, 50, "failed(1)", error_type="oom", gpus=2)
    tried_again = (a_try(0, 30, "failed(1)", error_type="oom", is_final=False), a_try(100, 200))
    runs = [
        of(a_run(a_try(10, 100, usage=(used(1, 90),)), memory="8G", name="little")),
        of(a_run(failed, state=State.FAILED, name="failed")),
        of(a_run(*tried_again, name="again")),
    ]
    whole = summed(runs, NOW)
    assert whole.counts == {Phase.DONE: 2, Phase.FAILED: 1, Phase.CANCELLED: 0, Phase.RUNNING: 0, Phase.WAITING: 0}
    assert (whole.tries, whole.gpu_s, whole.unknown_tries) == (4, 100 + 100 + 230, 0)
    assert (whole.first_started_s, whole.last_ended_s, whole.wall_s) == (T0, T0 + 300, 300)
    assert whole.waited_s == pytest.approx((10 + 20 + 0) / 3)
    assert (whole.failed_tries, whole.failed_runs) == ({"oom": 2}, {"oom": 1})
    assert [one.name for one in whole.far_less] == ["little"]
    assert whole.more == ()


def test_as_long_as_something_is_left_the_wall_time_goes_on() -> None:
    runs = [of(a_run(a_try(10, 100))), of(a_run(state=State.PENDING))]
    whole = summed(runs, NOW)
    assert (whole.last_ended_s, whole.wall_s) == (None, NOW - T0 - 10)
    assert whole.waited_s == 10, "of those that began"


def test_of_nothing_nothing_is_known() -> None:
    whole = summed([], NOW)
    assert (whole.runs, whole.gpu_s, whole.wall_s, whole.waited_s, whole.utilization_percent) == (
        0,
        None,
        None,
        None,
        None,
    )
