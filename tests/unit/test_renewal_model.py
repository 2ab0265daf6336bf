"""A kept queue against a scheduler that fails, hangs, loses, forgets and answers nonsense: days in seconds."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gpu_queue.scheduling import renewal
from gpu_queue.scheduling.renewal import Answer, Facts, Memory
from tests.cases import long
from tests.unit.renewal_model import MODES, World, check

HOUR_S, DAY_S = 3600.0, 86400.0


class Cluster(RuleBasedStateMachine):
    """What schedulers, people and machines may do to a kept queue, in any order."""

    @initialize(
        slots=st.integers(1, 4),
        can_wait=st.booleans(),
        lifetime_s=st.sampled_from([1800.0, 4 * HOUR_S, DAY_S]),
        seed=st.integers(0, 2**32),
    )
    def begin(self, slots: int, can_wait: bool, lifetime_s: float, seed: int) -> None:
        self.world = World(slots, can_wait, lifetime_s, random.Random(seed))
        self.world.keep_it()

    @rule(minutes=st.sampled_from([1, 7, 30, 180, 1500]))
    def time_passes(self, minutes: int) -> None:
        self.world.run(60.0 * minutes, check)

    @rule(mode=st.sampled_from(MODES))
    def the_scheduler_changes(self, mode: str) -> None:
        self.world.mode = mode

    @rule()
    def the_scheduler_recovers(self) -> None:
        self.world.mode = "healthy"

    @rule(has_work=st.booleans())
    def work_comes_and_goes(self, has_work: bool) -> None:
        self.world.has_work = has_work

    @rule(raw=st.sampled_from(["CANCELLED by 0", "PREEMPTED", "FAILED"]), which=st.integers(0, 99))
    def a_job_is_ended(self, raw: str, which: int) -> None:
        alive = [job for job in self.world.jobs if job.is_alive]
        if alive:
            self.world.end(alive[which % len(alive)], raw)

    @rule(which=st.integers(0, 99))
    def an_agent_dies_in_its_job(self, which: int) -> None:
        if self.world.agents:
            self.world.agents.pop(sorted(self.world.agents)[which % len(self.world.agents)])

    @rule()
    def somebody_keeps_it_again(self) -> None:
        self.world.keep_it()

    @rule()
    def somebody_keeps_it_no_longer(self) -> None:
        self.world.keep = None


def test_whatever_happens_there_are_no_more_than_n_and_no_more_than_n_plus_2_submissions_an_hour() -> None:
    run_state_machine_as_test(Cluster, settings=settings(max_examples=25, stateful_step_count=20))


def test_the_model_finds_agents_that_do_not_look_again_before_they_submit() -> None:
    def begin(*, confirms: bool) -> None:
        for seed in range(10):
            world = World(4, True, DAY_S, random.Random(seed), confirms)
            world.keep_it()
            world.run(HOUR_S, check)

    begin(confirms=True)
    with pytest.raises(AssertionError, match="submissions in an hour"):
        begin(confirms=False)


def test_the_model_finds_agents_that_believe_an_answer_without_their_own_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(before: Memory, answer: Answer, facts: Facts) -> Memory:
        missing = {one.nonce for one in facts.tokens} - {job.nonce for job in answer.jobs}
        return Memory(answer, {one: before.unseen_since.get(one, answer.asked_s) for one in missing})

    def begin() -> None:
        world = World(3, True, DAY_S, random.Random(1), mode="empty")
        world.keep_it()
        world.run(3 * HOUR_S, check)

    begin()
    monkeypatch.setattr(renewal, "observe", believe)
    with pytest.raises(AssertionError, match="has 3 jobs"):
        begin()


QUICK = ("refusing", "hanging", "empty", "dying", "unknown words")


@pytest.mark.parametrize("mode", [*QUICK, *long(*(mode for mode in MODES if mode not in QUICK))])
def test_days_under_a_sick_scheduler_are_no_bomb(mode: str) -> None:
    world = World(3, can_wait=True, lifetime_s=4 * HOUR_S, chance=random.Random(mode))
    world.keep_it()
    world.run(30 * 60, check)
    world.mode = mode
    world.run(2 * DAY_S, check)
    if mode in ("refusing", "hanging", "away", "dying"):
        assert len(world.calls) < 20


@pytest.mark.parametrize(("slots", "can_wait"), [(1, True), (3, False), *long((1, False), (3, True))])
def test_a_healthy_scheduler_has_the_queue_served_for_days(slots: int, can_wait: bool) -> None:
    world = World(slots, can_wait, lifetime_s=DAY_S, chance=random.Random(slots))
    world.keep_it()
    world.run(60, check)
    world.unserved_s = 0.0
    world.run(5 * DAY_S, check)
    assert world.unserved_s <= 5 * 180.0  # the end of the job is 120 s after that of its agent
    assert len(world.calls) <= slots * 7


def test_a_slot_whose_allocation_was_taken_away_is_filled_again() -> None:
    world = World(2, can_wait=True, lifetime_s=DAY_S, chance=random.Random(1))
    world.keep_it()
    world.run(120, check)
    world.end(world.jobs[1], "PREEMPTED")
    world.run(HOUR_S, check)
    assert len(world.agents) == 2


def test_a_scheduler_that_recovers_is_used_again() -> None:
    world = World(1, can_wait=True, lifetime_s=DAY_S, chance=random.Random(1))
    world.keep_it()
    for mode in ("refusing", "hanging", "empty", "garbage", "unknown words"):
        world.mode = mode
        world.run(3 * HOUR_S, check)
    world.mode = "healthy"
    world.unserved_s = 0.0
    world.run(3 * DAY_S, check)
    assert world.unserved_s <= 3 * 180.0


def test_three_that_die_before_an_agent_serves_pause_it() -> None:
    world = World(2, can_wait=True, lifetime_s=DAY_S, chance=random.Random(1))
    world.keep_it()
    world.run(120, check)
    world.mode = "dying"
    world.end(world.jobs[1], "PREEMPTED")
    world.run(DAY_S, check)
    assert world.paused == "the last 3 allocations ended before an agent served in them"
    assert len(world.calls) == 3 + renewal.FAILURES_MAX  # and a successor that waits


def test_without_work_nothing_is_submitted_and_the_chain_ends() -> None:
    world = World(2, can_wait=True, lifetime_s=DAY_S, chance=random.Random(1))
    world.keep_it()
    world.has_work = False
    world.run(3 * DAY_S, check)
    assert len(world.calls) == 2
    assert not world.agents


def test_a_successor_that_finds_no_work_ends_again() -> None:
    world = World(1, can_wait=True, lifetime_s=DAY_S, chance=random.Random(1))
    world.keep_it()
    world.run(HOUR_S, check)
    world.has_work = False
    world.run(DAY_S + 600, check)
    assert [job.raw for job in world.jobs] == ["COMPLETED", "COMPLETED"]
