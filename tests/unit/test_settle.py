"""What follows from the end of a try: the table of why x status, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scheduling.backoff import rest_s, rests_until
from gpu_queue.scheduling.facts import Limits
from gpu_queue.sharing import RetryConfig
from gpu_queue.task import Abnormal, End, RetryLimits, State, TryResult, Why, current_round, failures_of, settle


def lost(number: int, *, final: bool = False) -> TryResult:
    return TryResult(number, f"{number:06x}", End(255, Why.LOST), final)


def failed(number: int, *, final: bool = False) -> TryResult:
    return TryResult(number, f"{number:06x}", End(1), final)


@pytest.mark.parametrize("why", [None, Why.REQUEUE, Why.STOPPED, Why.TIMEOUT, Why.FENCED, Why.LOST])
def test_status_0_is_done_whatever_was_asked_meanwhile(why: Why | None) -> None:
    assert settle(End(0, why), (), RetryLimits()).to is State.DONE


@pytest.mark.parametrize("why", [Why.REQUEUE, Why.FENCED])
def test_a_requeued_or_fenced_try_goes_back_however_often(why: Why) -> None:
    assert settle(End(143, why), tuple(lost(n) for n in range(2)), RetryLimits()).to is State.PENDING


def test_the_third_lost_try_gives_the_task_up() -> None:
    limits = RetryLimits(max_lost=3)
    assert settle(End(255, Why.LOST), (lost(1),), limits).to is State.PENDING
    given_up = settle(End(255, Why.LOST), (lost(1), lost(2)), limits)
    assert given_up.to is State.FAILED
    assert "3 tries" in given_up.reason


def test_a_stopped_task_fails_and_is_never_retried() -> None:
    assert settle(End(143, Why.STOPPED), (), RetryLimits(retries=5)).to is State.FAILED


def test_a_task_that_ran_out_of_time_fails() -> None:
    assert settle(End(143, Why.TIMEOUT), (), RetryLimits(retries=5)).outcome == "timeout"


def test_a_failure_is_retried_while_retries_are_left() -> None:
    limits = RetryLimits(retries=2)
    assert settle(End(1), (failed(1),), limits).to is State.PENDING
    assert settle(End(1), (failed(1), failed(2)), limits).to is State.FAILED


@pytest.mark.parametrize("why", [Why.LOST, Why.REQUEUE, Why.FENCED, Why.NOSTART])
def test_only_a_failure_of_the_scripts_own_uses_a_retry_up(why: Why) -> None:
    not_its_own = TryResult(1, "000001", End(143, why), False)
    assert settle(End(1), (not_its_own, not_its_own), RetryLimits(retries=1)).to is State.PENDING
    assert settle(End(1), (not_its_own, failed(2)), RetryLimits(retries=1)).to is State.FAILED


def test_only_a_lost_try_counts_as_lost_and_only_a_start_that_failed_as_that() -> None:
    limits = RetryLimits(retries=9, max_lost=2, max_nostart=2)
    others = tuple(TryResult(n, f"{n:06x}", End(143, why), False) for n, why in enumerate((None, Why.REQUEUE)))
    not_started = TryResult(7, "000007", End(255, Why.NOSTART), False)
    assert settle(End(255, Why.LOST), (*others, not_started), limits).to is State.PENDING
    assert settle(End(255, Why.NOSTART), (*others, lost(7)), limits).to is State.PENDING


def test_a_retry_by_hand_starts_the_counters_anew() -> None:
    assert settle(End(1), (failed(1), failed(2, final=True)), RetryLimits(retries=1)).to is State.PENDING
    assert settle(End(255, Why.LOST), (lost(1), lost(2), lost(3, final=True)), RetryLimits()).to is State.PENDING


def test_a_task_that_no_node_can_start_is_given_up_after_three() -> None:
    earlier = tuple(TryResult(n, f"{n:06x}", End(255, Why.NOSTART), False) for n in (1, 2))
    assert settle(End(255, Why.NOSTART), earlier[:1], RetryLimits()).to is State.PENDING
    assert settle(End(255, Why.NOSTART), earlier, RetryLimits()).to is State.FAILED


@pytest.mark.parametrize("why", [None, Why.STOPPED, Why.TIMEOUT])
def test_a_script_that_says_itself_that_it_failed_has_failed_whatever_its_status(why: Why | None) -> None:
    assert settle(End(0, why), (), RetryLimits(), Abnormal("oom")).to is State.FAILED


@pytest.mark.parametrize("why", [Why.REQUEUE, Why.FENCED, Why.LOST])
def test_a_script_that_says_so_because_its_node_was_taken_back_goes_on_elsewhere(why: Why) -> None:
    assert settle(End(0, why), (), RetryLimits(), Abnormal()).to is State.PENDING


def test_its_own_word_counts_as_a_failure_against_the_retries() -> None:
    said = TryResult(1, "000001", End(0), final=False)
    assert settle(End(0), (), RetryLimits(1), Abnormal()).to is State.PENDING
    assert settle(End(0), (said,), RetryLimits(1), Abnormal()).to is State.FAILED


def test_retries_without_end_never_give_a_task_up() -> None:
    earlier = tuple(failed(number) for number in range(1, 1000))
    assert settle(End(1), earlier, RetryLimits(None)).to is State.PENDING


def test_a_tasks_own_retries_only_lower_those_of_a_shared_server_and_stand_for_those_of_a_dedicated_one() -> None:
    shared = RetryLimits(5, is_most=True)
    assert [shared.of_task(own).retries for own in (None, 2, 9)] == [5, 2, 5]
    assert [RetryLimits(None, is_most=True).of_task(own).retries for own in (None, 2)] == [None, 2]
    assert [RetryLimits(5).of_task(own).retries for own in (None, 2, 9)] == [5, 2, 9]


def test_a_rest_is_told_with_the_failure_that_it_comes_after() -> None:
    limits = RetryLimits(None, rest_every=3, rest="10m")
    assert settle(End(1), (failed(1),), limits).reason == "retry 2"
    assert settle(End(1), (failed(1), failed(2)), limits).reason == "retry 3, after a rest of 10m"
    assert settle(End(1), (failed(1), failed(2)), RetryLimits(4)).reason == "retry 3 of 4"


ENDS = st.one_of(
    st.builds(End, st.sampled_from([1, 137, 255]), st.sampled_from([None, *Why])),
    st.just(End(0)),
    st.just(End(0, Why.NOSTART)),
)


def lived(
    ends: list[tuple[End, Abnormal | None]], limits: RetryLimits, kept: int
) -> tuple[tuple[TryResult, ...], list[State]]:
    """The tries of a task that is retried by hand whenever it failed, by an index that forgets all but the last."""
    tries: tuple[TryResult, ...] = ()
    states = []
    for number, (end, abnormal) in enumerate(ends, 1):
        result = settle(end, tries, limits, abnormal)
        states.append(result.to)
        final = result.to is not State.PENDING
        tries = (*tries, TryResult(number, f"{number:06x}", end, final, failures=result.failures))[-kept:]
        if result.to is State.DONE:
            break
    return tries, states


@given(
    st.lists(st.tuples(ENDS, st.sampled_from([None, Abnormal(), Abnormal("oom")])), max_size=40),
    st.one_of(st.none(), st.integers(0, 6)),
    st.integers(1, 3),
)
def test_what_the_index_forgets_changes_nothing_but_how_often_a_task_was_lost(
    ends: list[tuple[End, Abnormal | None]], retries: int | None, kept: int
) -> None:
    limits = RetryLimits(retries, max_lost=10**6, max_nostart=10**6)
    whole, short = lived(ends, limits, 10**6), lived(ends, limits, kept)
    assert short[1] == whole[1]


@given(st.lists(st.tuples(ENDS, st.sampled_from([None, Abnormal()])), max_size=40), st.integers(0, 6))
def test_no_round_has_more_failures_than_the_retries_allow_and_one(
    ends: list[tuple[End, Abnormal | None]], retries: int
) -> None:
    tries, states = lived(ends, RetryLimits(retries), 10**6)
    rounds: list[list[TryResult]] = [[]]
    for one in tries:
        rounds[-1].append(one)
        if one.final:
            rounds.append([])
    for its in rounds:
        assert sum(one.is_failure and (one.end.status != 0 or not one.final) for one in its) <= retries + 1
    for one, state in zip(tries, states, strict=True):
        if state is State.DONE:
            assert one.end.status == 0
    assert failures_of(current_round(tries)) <= retries


@given(st.integers(1, 300), st.integers(1, 9), st.floats(1, 1e5), st.floats(0, 1e9))
def test_a_rest_comes_after_each_so_many_failures_and_after_no_other(
    failures: int, every: int, duration_s: float, at_s: float
) -> None:
    config = RetryConfig(every, duration_s)
    limits = Limits(retry_config=config)
    told = settle(
        End(1),
        (TryResult(1, "a", End(1), final=False, failures=failures - 1),),
        RetryLimits(None, rest_every=every, rest="x"),
    )
    if failures > 1:
        assert ("rest" in told.reason) == (rest_s(failures, config) > 0) == (failures % every == 0)
    until_s = rests_until(failures, at_s, limits)
    assert until_s == (at_s + duration_s if failures % every == 0 else 0.0)
    assert rests_until(failures, at_s, limits, is_fresh=False) == 0.0


@pytest.mark.parametrize("why", [Why.REQUEUE, Why.FENCED, Why.LOST, Why.NOSTART])
def test_a_try_that_was_no_failure_carries_the_count_of_those_before_it_on(why: Why) -> None:
    went_back = settle(End(255, why), (failed(1), failed(2)), RetryLimits(None))
    assert (went_back.to, went_back.failures) == (State.PENDING, 2)
