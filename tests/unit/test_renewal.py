"""When an allocation has its successor submitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_queue.agent.allotted import Span
from gpu_queue.agent.renewing import situation_of
from gpu_queue.kept import Keep, Outcome, Slot, Token
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.scheduling import renewal
from gpu_queue.scheduling.facts import Phase
from gpu_queue.scheduling.renewal import Answer, Ask, Facts, Fate, Job, Limits, Memory, Pause, Rest, Submit
from gpu_queue.states import AllocationState
from gpu_queue.task import Needs, Waiting
from tests.builders import a_node, a_task, gpus

NOW_S = 1_000_000.0
QUEUED, RUNNING, ENDED = AllocationState.QUEUED, AllocationState.RUNNING, AllocationState.ENDED
DAY_S = 86400.0


def a_token(slot: str, age_s: float = 4000.0, outcome: Outcome = Outcome.SUBMITTED, **more: Any) -> Token:
    parsed = Slot.parse(slot)
    assert parsed is not None
    return Token(parsed, NOW_S - age_s, f"nonce-{slot}", outcome, **more)


def a_job(slot: str, state: AllocationState = RUNNING, raw: str = "") -> Job:
    return Job(f"id-{slot}", state, raw, f"nonce-{slot}")


def facts(*tokens: Token, jobs: tuple[Job, ...] | None = (), age_s: float = 10.0, **more: Any) -> Facts:
    """An agent in slot 1.1 that has served for an hour of a day, and has work."""
    memory = Memory() if jobs is None else Memory(Answer(NOW_S - age_s, (a_job("1.1"), *jobs)))
    given: dict[str, Any] = {
        "own_ids": ("id-1.1",),
        "served_s": 3600.0,
        "lifetime_s": DAY_S,
        "left_s": DAY_S - 3600,
        "has_work": True,
        "keep": Keep(2, NOW_S - 5000, can_wait=True),
        "tokens": (a_token("1.1", 4900.0, began=True), *tokens),
        "memory": memory,
    }
    return Facts(NOW_S, Slot(1, 1), **(given | more))


def wait_s(decision: object) -> float:
    assert isinstance(decision, Rest)
    return decision.until_s - NOW_S


def test_who_has_served_long_enough_asks_and_then_submits_one_that_waits_for_its_end() -> None:
    assert renewal.decide(facts(jobs=None)) == Ask()
    assert renewal.decide(facts()) == Submit(Slot(1, 2), ("id-1.1",))


def test_an_answer_that_is_older_than_a_minute_is_no_base() -> None:
    assert renewal.decide(facts(age_s=61.0)) == Ask()


@pytest.mark.parametrize(
    "change",
    [
        {"keep": None},
        {"has_work": False},
        {"is_leaving": True},
        {"served_s": 599.0},
        {"served_s": 14.0, "lifetime_s": 30.0},
        {"left_s": None, "lifetime_s": None},
        {"own_ids": (), "left_s": 3600.0},
    ],
)
def test_nothing_is_submitted(change: dict[str, Any]) -> None:
    assert isinstance(renewal.decide(facts(**change)), Rest)


def test_a_way_that_cannot_wait_has_its_successor_ten_minutes_before_the_end() -> None:
    keep = Keep(2, 0.0, can_wait=False)
    assert wait_s(renewal.decide(facts(keep=keep, left_s=610.0))) == pytest.approx(10.0)
    assert renewal.decide(facts(keep=keep, left_s=599.0)) == Submit(Slot(1, 2))


def test_a_chain_has_one_successor() -> None:
    assert isinstance(renewal.decide(facts(a_token("1.2", 60.0), jobs=(a_job("1.2", QUEUED),))), Rest)
    assert isinstance(renewal.decide(facts(a_token("1.2", 60.0))), Rest)  # the scheduler does not know it yet


def test_one_that_was_refused_is_tried_again_after_a_minute_then_two_then_four() -> None:
    refused = [a_token(f"1.{number}", 900.0 - number, Outcome.REFUSED) for number in range(2, 5)]
    for count, wanted_s in ((1, 60.0), (2, 120.0), (3, 240.0)):
        tokens = [replace(one, written_s=NOW_S) for one in refused[:count]]
        limits = Limits(per_hour=100)
        assert wait_s(renewal.decide(facts(*tokens, limits=limits))) == wanted_s
        later = replace(facts(*tokens, limits=limits), now_s=NOW_S + wanted_s)
        later = replace(later, memory=Memory(Answer(later.now_s, (a_job("1.1"),))))
        assert renewal.decide(later) == Submit(Slot(1, 2 + count), ("id-1.1",))


def test_the_hour_sees_two_more_than_there_are_slots_or_what_the_settings_say() -> None:
    tokens = [a_token(f"1.{number}", 3000.0 - number, Outcome.REFUSED) for number in range(2, 6)]
    assert wait_s(renewal.decide(facts(*tokens))) == pytest.approx(1202.0)
    assert isinstance(renewal.decide(facts(*tokens, limits=Limits(per_hour=5))), Submit)


def test_n_are_enough_whoever_submitted_them() -> None:
    mine = facts(a_token("2.1"), jobs=(a_job("2.1"),))
    assert renewal.decide(mine) == Submit(Slot(1, 2), ("id-1.1",))  # it takes our own place
    stranger = Job("77", RUNNING, "", "nonce-of-a-person")
    assert isinstance(renewal.decide(facts(a_token("2.1"), jobs=(a_job("2.1"), stranger))), Rest)


def test_a_slot_that_lost_its_allocation_is_filled_while_something_waits() -> None:
    gone = facts(a_token("1.2"), a_token("2.1"), jobs=(a_job("1.2", QUEUED), a_job("2.1", ENDED, "PREEMPTED")))
    assert isinstance(renewal.decide(gone), Rest)
    assert renewal.decide(replace(gone, has_waiting=True)) == Submit(Slot(2, 2))


@pytest.mark.parametrize(
    ("token", "jobs", "fate"),
    [
        (a_token("2.1"), (a_job("2.1", QUEUED),), Fate.ALIVE),
        (a_token("2.1"), (a_job("2.1", AllocationState.ENDING),), Fate.ALIVE),
        (a_token("2.1"), (a_job("2.1", AllocationState.UNKNOWN, "WHATEVER"),), Fate.OPEN),
        (a_token("2.1"), (a_job("2.1", ENDED, "FAILED"),), Fate.FAILED),
        (a_token("2.1", began=True), (a_job("2.1", ENDED, "FAILED"),), Fate.OVER),
        (a_token("2.1"), (a_job("2.1", ENDED, "CANCELLED by 0"),), Fate.OVER),
        (a_token("2.1"), (a_job("2.1", AllocationState.LOST, "BOOT"),), Fate.OVER),
        (a_token("2.1", outcome=Outcome.REFUSED), (), Fate.REFUSED),
        (a_token("2.1"), (), Fate.OPEN),
        (replace(a_token("2.1", 10.0), nonce=""), (), Fate.OPEN),
        (replace(a_token("2.1"), nonce=""), (), Fate.REFUSED),
        (a_token("2.1", ids=("5",)), (Job("5", ENDED, "FAILED"),), Fate.FAILED),
    ],
)
def test_what_has_become_of_a_token(token: Token, jobs: tuple[Job, ...], fate: Fate) -> None:
    assert renewal.fate_of(token, facts(token, jobs=jobs)) is fate


def test_one_that_the_scheduler_has_not_known_for_five_minutes_is_over() -> None:
    seen = facts(a_token("2.1"))
    memory = renewal.observe(seen.memory, Answer(NOW_S, (a_job("1.1"),)), seen)
    for later_s, fate in ((299.0, Fate.OPEN), (301.0, Fate.FAILED)):
        later = renewal.observe(memory, Answer(NOW_S + later_s, (a_job("1.1"),)), seen)
        assert renewal.fate_of(seen.tokens[1], replace(seen, memory=later, now_s=NOW_S + later_s)) is fate


def test_an_answer_without_our_own_job_is_no_answer() -> None:
    seen = facts(a_token("2.1"))
    memory = renewal.observe(seen.memory, Answer(NOW_S, ()), seen)
    assert (memory.failures, memory.answer) == (1, seen.memory.answer)
    assert wait_s(renewal.decide(replace(seen, memory=memory))) == 60.0
    assert renewal.decide(replace(seen, memory=memory, now_s=NOW_S + 60)) == Ask()


def test_a_clock_that_is_set_back_by_a_day_makes_room_for_nobody_and_stops_nobody() -> None:
    before = facts(a_token("2.1"), age_s=-DAY_S)
    made = a_token("3.1", 5.0)  # by another agent, a moment ago
    assert renewal.decide(before) == Ask()
    assert renewal.fate_of(made, replace(before, tokens=(*before.tokens, made))) is Fate.OPEN
    failed = renewal.unanswered(Memory(), NOW_S + DAY_S, "no answer")
    assert renewal.decide(replace(before, memory=failed)) == Ask()
    # What was written in those days still ends when the scheduler knows nothing of it, and delays nothing.
    late = facts(a_token("2.1", -DAY_S))
    memory = renewal.observe(Memory(None, {"nonce-2.1": NOW_S + DAY_S}), Answer(NOW_S, (a_job("1.1"),)), late)
    memory = renewal.observe(memory, Answer(NOW_S + 301.0, (a_job("1.1"),)), late)
    assert renewal.fate_of(late.tokens[1], replace(late, memory=memory, now_s=NOW_S + 301.0)) is Fate.FAILED
    assert isinstance(renewal.decide(facts(a_token("1.2", -DAY_S, Outcome.REFUSED))), Submit)


def test_three_that_never_served_are_enough() -> None:
    failed = [a_token(f"1.{number}", 3000.0 - number) for number in (2, 3, 4)]
    jobs = tuple(a_job(f"1.{number}", ENDED, "FAILED") for number in (2, 3, 4))
    assert isinstance(renewal.decide(facts(*failed, jobs=jobs)), Pause)
    assert not isinstance(renewal.decide(facts(*failed[:2], jobs=jobs)), Pause)
    since = facts(*failed, jobs=jobs, keep=Keep(2, NOW_S - 100))  # a person has looked, and begun anew
    assert not isinstance(renewal.decide(since), Pause)
    served = [*failed[:2], replace(failed[2], began=True)]
    assert not isinstance(renewal.decide(facts(*served, jobs=jobs)), Pause)


def test_a_token_is_confirmed_by_a_listing_that_was_made_after_it() -> None:
    made = replace(a_token("1.2", 0.0, Outcome.OPEN), is_successor=True)
    assert renewal.confirm(facts(made), made.slot, made.nonce) == ""
    assert "somebody else's" in renewal.confirm(facts(made), made.slot, "another")
    assert "kept no longer" in renewal.confirm(facts(made, keep=None), made.slot, made.nonce)
    many = [a_token(f"2.{number}", 10.0, Outcome.REFUSED) for number in range(1, 5)]
    assert "the hour has seen 4" in renewal.confirm(facts(made, *many), made.slot, made.nonce)
    others = (a_token("2.1", 1.0, Outcome.OPEN), a_token("3.1", 1.0, Outcome.OPEN))
    limits = Limits(per_hour=9)
    assert "2 allocations are there" in renewal.confirm(facts(made, *others, limits=limits), made.slot, made.nonce)


def test_a_successor_ends_where_nobody_wants_it_or_nothing_is_to_be_done() -> None:
    own = a_token("1.1", 100.0, is_successor=True)
    idle = facts(tokens=(own,), has_work=False, served_s=61.0)
    assert renewal.arrival(idle, is_kept=True) == "workless"
    assert renewal.arrival(replace(idle, served_s=59.0), is_kept=True) == ""
    assert renewal.arrival(replace(idle, has_work=True), is_kept=True) == ""
    assert renewal.arrival(replace(idle, has_work=True, served_s=0.0), is_kept=False) == "unkept"
    elsewhere = replace(idle, has_elsewhere=True)
    assert renewal.arrival(replace(elsewhere, served_s=1799.0), is_kept=True) == ""
    assert renewal.arrival(replace(elsewhere, served_s=1801.0), is_kept=True) == "workless"
    by_hand = replace(idle, tokens=(replace(own, is_successor=False),))
    assert renewal.arrival(by_hand, is_kept=False) == ""


@pytest.mark.parametrize(
    ("why", "could"),
    [
        (reason(Code.GPUS, needed=2), True),
        (reason(Code.LIFETIME, time_s=9.0, left_s=1.0), True),
        (reason(Code.LIFETIME, time_s=DAY_S + 1, left_s=1.0), False),
        (reason(Code.AFTER, tasks=("x",)), True),
        (reason(Code.DRAINING, cause="lifetime"), True),
        (reason(Code.AFTER, failed="x"), False),
        (reason(Code.INFEASIBLE, needed=9, served=1), False),
        (Reason(Code.PAUSED), False),
    ],
)
def test_what_waits_for_ever_here_is_no_work(why: Reason, could: bool) -> None:
    assert renewal.could_run(why, DAY_S) is could


@pytest.mark.parametrize(
    "whys",
    [
        {"b": reason(Code.AFTER, tasks=("a",))},
        {"b": reason(Code.AFTER, tasks=("x", "a")), "c": reason(Code.AFTER, tasks=("b",))},
        {"c": reason(Code.AFTER, tasks=("b",)), "b": reason(Code.QUEUE, queue="q", first="500-a")},
        {"b": reason(Code.QUEUE, queue="q", holder="a")},
    ],
)
def test_neither_is_what_waits_for_that(whys: dict[str, Reason]) -> None:
    never = ({"500-a", "a"}, reason(Code.INFEASIBLE, needed=9, served=1))
    behind = [({f"500-{one}", one}, why) for one, why in whys.items()]
    assert not renewal.some_could_run([never, *behind], DAY_S)
    assert not renewal.some_could_run([*behind, never], DAY_S)
    assert renewal.some_could_run(behind, DAY_S)
    assert renewal.some_could_run([never, *behind, ({"500-z", "z"}, Reason(Code.NEXT))], DAY_S)


@pytest.mark.parametrize(
    ("task", "has_waiting"),
    [
        (a_task("t"), True),
        (a_task("t", needs=Needs(1, 1, time_s=3600.0)), True),
        (a_task("t", needs=Needs(1, 1, time_s=DAY_S)), False),
        (a_task("t", least=9), False),
    ],
)
@pytest.mark.parametrize("served_s", [700.0, 80_000.0])
def test_at_the_end_of_its_lifetime_what_its_successor_cannot_run_is_no_work_either(
    task: Waiting, has_waiting: bool, served_s: float
) -> None:
    is_over = served_s > 79_000.0
    serves = replace(a_node(gpus(2), task), lifetime_left_s=80_000.0 - served_s)
    drains = replace(serves, phase=Phase.DRAINING, phase_reason=reason(Code.DRAINING, cause="lifetime"))
    found = situation_of(drains if is_over else serves, (), Span(79_000.0, 80_000.0), served_s)
    assert (found.has_waiting, found.has_work, found.is_leaving) == (has_waiting, has_waiting, False)
