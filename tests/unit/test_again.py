"""What a script leaves word of, and what follows: rows of the table of why x status, and their bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.again import as_asked, granted, hurries_of, rest_s, unnamed
from gpu_queue.scheduling.recovery import NOBODY_KNOWS, ClaimFacts, Recovery, Step, recover
from gpu_queue.signals import Signal, parse_sbatch_signal, parse_signal
from gpu_queue.task import Abnormal, Claim, End, RetryLimits, State, TryResult, Why, settle
from gpu_queue.units import format_utc

CLAIM = Claim(500, "20260101T000000000-000000-a.sh", 1, "0a0b0c")
DAY_AGO = "2026-01-01T12:00:00Z"


def ran_again(number: int, ended_at: str, why: Why = Why.AGAIN, *, final: bool = False) -> TryResult:
    return TryResult(number, f"{number:06x}", End(0, why), final, ended_at=ended_at)


# -- what a script has left word of -------------------------------------------------------------------------------


@pytest.mark.parametrize("why", [None, Why.TIMEOUT, Why.LOST])
@pytest.mark.parametrize("status", [0, 3, 143])
def test_a_task_that_asks_is_run_again_whatever_its_status(status: int, why: Why | None) -> None:
    end = as_asked(End(status, why), asks=True)
    assert end == End(status, Why.AGAIN)
    settled = settle(end, (), RetryLimits())
    assert (settled.to, settled.outcome, settled.failures) == (State.PENDING, "again", 0)


def test_a_persons_stop_wins_over_what_its_task_asks() -> None:
    for status in (0, 143):
        end = as_asked(End(status, Why.STOPPED), asks=True, signal=10, is_warned=True)
        assert end.why is Why.STOPPED
    assert settle(End(143, Why.STOPPED), (), RetryLimits()).to is State.FAILED


@pytest.mark.parametrize("why", [Why.REQUEUE, Why.FENCED])
def test_a_task_that_goes_back_anyway_is_not_counted_as_one_that_asks(why: Why) -> None:
    assert as_asked(End(143, why), asks=True) == End(143, why)
    assert as_asked(End(0, why), asks=True) == End(0, Why.AGAIN), "else it were done"


@pytest.mark.parametrize("why", [None, Why.REQUEUE, Why.TIMEOUT, Why.FENCED])
def test_status_0_after_the_warning_is_saved_and_not_finished(why: Why | None) -> None:
    end = as_asked(End(0, why), asks=False, signal=10, is_warned=True)
    assert end == End(0, Why.SAVED)
    assert settle(end, (), RetryLimits()).to is State.PENDING


def test_status_0_is_done_for_a_task_that_nobody_warned_and_for_one_without_a_signal() -> None:
    assert as_asked(End(0), asks=False, signal=10) == End(0)
    assert as_asked(End(0, Why.REQUEUE), asks=False) == End(0, Why.REQUEUE)
    assert settle(End(0, Why.REQUEUE), (), RetryLimits()).to is State.DONE
    assert as_asked(End(0, Why.REQUEUE), asks=False, signal=10) == End(0, Why.SAVED), "TERM told it"


def test_a_script_whose_wait_the_warning_broke_off_has_saved() -> None:
    told = as_asked(End(138), asks=False, signal=10, is_warned=True)
    assert told == End(138, Why.SAVED)
    assert settle(told, (), RetryLimits()).to is State.PENDING
    assert unnamed(told, None) == told, "as the name of its claim has it"
    assert as_asked(End(138), asks=False, signal=10) == End(138), "nobody had warned it"
    assert as_asked(End(140), asks=False, signal=10, is_warned=True) == End(140), "of another signal"
    timed_out = as_asked(End(143, Why.TIMEOUT), asks=False, signal=15, is_warned=True)
    assert timed_out == End(143, Why.TIMEOUT), "it went on, and was ended"


def test_a_failure_after_the_warning_is_a_failure() -> None:
    end = as_asked(End(1), asks=False, signal=10, is_warned=True)
    assert settle(end, (), RetryLimits()).to is State.FAILED


# -- the bound ----------------------------------------------------------------------------------------------------


def test_beyond_the_bound_a_try_ends_as_its_status_says_and_tells_why() -> None:
    limits = RetryLimits(max_again=2)
    earlier = (ran_again(1, "2026-01-02T01:00:00Z"), ran_again(2, "2026-01-02T02:00:00Z", Why.SAVED))
    assert granted(End(3, Why.AGAIN), earlier[:1], limits, DAY_AGO) == (End(3, Why.AGAIN), "")
    failed, why = granted(End(3, Why.AGAIN), earlier, limits, DAY_AGO)
    assert (settle(failed, earlier, limits).to, "2 times within a day (max_again: 2)" in why) == (State.FAILED, True)
    done, _ = granted(End(0, Why.SAVED), earlier, limits, DAY_AGO)
    assert settle(done, earlier, limits).to is State.DONE
    assert granted(End(0, Why.AGAIN), (), RetryLimits(max_again=0), DAY_AGO)[0] == End(0)


def test_only_the_last_day_and_this_round_count() -> None:
    limits = RetryLimits(max_again=1)
    assert granted(End(0, Why.AGAIN), (ran_again(1, "2026-01-01T11:59:59Z"),), limits, DAY_AGO)[1] == ""
    before = (ran_again(1, "2026-01-02T01:00:00Z"), ran_again(2, "2026-01-02T01:00:00Z", final=True))
    assert granted(End(0, Why.AGAIN), before, limits, DAY_AGO)[1] == ""
    assert granted(End(143, Why.REQUEUE), before[:1], limits, DAY_AGO) == (End(143, Why.REQUEUE), "")


def test_a_script_that_says_that_it_has_failed_has_saved_nothing() -> None:
    end, _ = granted(End(0, Why.SAVED), (), RetryLimits(), DAY_AGO, Abnormal())
    assert settle(end, (), RetryLimits(), Abnormal()).to is State.FAILED


def test_neither_counts_as_a_failure_of_the_tries_before() -> None:
    earlier = (ran_again(1, "2026-01-02T01:00:00Z"), ran_again(2, "2026-01-02T01:00:00Z", Why.SAVED))
    assert settle(End(1), earlier, RetryLimits(retries=1)).reason == "retry 1 of 1"


# -- after a crash ------------------------------------------------------------------------------------------------


def test_an_agent_that_finds_a_try_ended_finds_what_its_script_asked() -> None:
    assert recover(ClaimFacts(CLAIM, None, status=3, asks=True)).end == End(3, Why.AGAIN)
    assert recover(ClaimFacts(CLAIM, None, asks=True)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.AGAIN))
    warned = ClaimFacts(CLAIM, None, status=0, signal=10, is_warned=True)
    assert recover(warned).end == End(0, Why.SAVED)
    assert recover(ClaimFacts(CLAIM, None, status=143, why=Why.STOPPED, asks=True)).end == End(143, Why.STOPPED)


def test_the_name_of_a_claim_tells_no_status_0_to_readers_that_do_not_know_these_words() -> None:
    assert unnamed(End(255, Why.SAVED), None) == End(0, Why.SAVED)
    assert unnamed(End(255, Why.AGAIN), 0) == End(0, Why.AGAIN)
    assert unnamed(End(255, Why.AGAIN), None) == End(255, Why.AGAIN), "another node's: nobody here knows it"
    assert unnamed(End(3, Why.REQUEUE), 0) == End(3, Why.REQUEUE)
    assert recover(ClaimFacts(CLAIM, End(255, Why.AGAIN), status=0)) == Recovery(Step.SETTLE, End(0, Why.AGAIN))


# -- its signal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("USR1@120", Signal("USR1", 120)),
        ("B:USR1@120", Signal("USR1", 120)),
        ("all:SIGUSR2@90", Signal("USR2", 90, to_all=True)),
        ("term", Signal("TERM", 60)),
        ("10@0", Signal("USR1", 0)),
    ],
)
def test_a_signal_is_a_name_or_a_number_and_how_long_before(text: str, signal: Signal) -> None:
    assert parse_signal(text) == signal
    assert parse_signal(str(signal)) == signal


@pytest.mark.parametrize(
    "text", ["KILL@60", "9", "STOP", "SEGV", "USR1@65536", "USR1@-1", "USR1@", "@60", "R:USR1", "", "USR3", "USR1@1m"]
)
def test_what_no_program_can_take_for_a_warning_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected a signal that a program can take for a warning"):
        parse_signal(text)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("B:USR1@120", Signal("USR1", 120)),
        ("RB:USR1", Signal("USR1", 60)),
        ("USR1@90", Signal("USR1", 90, to_all=True)),
        ("R:SIGTERM@30", Signal("TERM", 30, to_all=True)),
        ("b:12@5", Signal("USR2", 5)),
        ("USR3@5", None),
        ("", None),
        ("--gpus=8", None),
    ],
)
def test_a_line_of_sbatch_means_what_sbatch_takes_it_for(text: str, signal: Signal | None) -> None:
    assert parse_sbatch_signal(text) == signal


def test_a_line_of_sbatch_that_asks_for_kill_is_impossible() -> None:
    with pytest.raises(ValueError, match="expected a signal"):
        parse_sbatch_signal("B:KILL@60")


def asked(*ended_at_s: float, why: Why | None = Why.AGAIN) -> tuple[TryResult, ...]:
    return tuple(
        TryResult(number, f"{number:06x}", End(1, why), False, ended_at=format_utc(1.7e9 + at))
        for number, at in enumerate(ended_at_s, 1)
    )


def test_who_asks_at_once_to_be_run_again_rests_from_the_fourth_time_on_ever_longer() -> None:
    now_s, ended = 0.0, list[float]()
    rests = []
    for _ in range(12):
        now_s += 2.0
        ended.append(now_s)
        rests.append(rest_s(hurries_of(asked(*ended))))
        now_s += rests[-1]
    assert rests == [0, 0, 0, 30, 60, 120, 240, 480, 600, 600, 600, 600]


def test_who_has_worked_before_it_asks_begins_to_count_anew() -> None:
    assert hurries_of(asked(0, 2, 4, 6, 3600)) == 1
    assert hurries_of(asked(*range(0, 36_000, 3600))) == 1
    assert hurries_of((*asked(0, 2, 4, 6), *asked(8, why=None))) == 0
    assert hurries_of((*asked(0, 2), *asked(4, why=Why.SAVED), *asked(6))) == 1
    assert hurries_of(()) == 0


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_whatever_the_clocks_of_nodes_say_it_counts_no_more_than_there_were(ended_at_s: list[float]) -> None:
    assert 0 <= hurries_of(asked(*ended_at_s)) <= len(ended_at_s)
    assert 0.0 <= rest_s(hurries_of(asked(*ended_at_s))) <= 600.0
