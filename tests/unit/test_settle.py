"""What follows from the end of a try: the table of why x status, row by row."""

from __future__ import annotations

import pytest

from gpu_queue.task import Abnormal, End, RetryLimits, State, TryResult, Why, settle


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
