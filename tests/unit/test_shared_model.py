"""Shared servers as a model: what must hold whatever comes, ends, fails and dies, and in whatever order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.sharing import GpuLeft, Select, Sharing
from gpu_queue.task import Needs
from tests.builders import GIB
from tests.unit.shared_model import World

SHARING = st.builds(
    Sharing,
    gpu_left=st.sampled_from([GpuLeft(), GpuLeft(1, of_free=True), GpuLeft(2, of_free=True)]),
    maximize_resource_utilization=st.booleans(),
    max_concurrent=st.sampled_from([None, None, 1, 2]),
    select=st.sampled_from(Select),
)
SEEDS = st.integers(0, 2**32)


def some_needs(chance: random.Random) -> Needs:
    least = chance.choice([0, 1, 1, 1, 2, 3])
    most = least + chance.choice([0, 0, 1, 5]) * (least > 0)
    memory_gib = chance.choice([None, None, 5, 20, 30, 70])
    queue = chance.choice([None, "1", "2", "3"])
    return Needs(least, most, memory_bytes=None if memory_gib is None else memory_gib * GIB, queue=queue)


@settings(max_examples=30)
@given(SEEDS, SHARING, st.sampled_from([0, 0, 1]))
def test_whatever_happens_nothing_is_given_twice_or_taken_from_others_and_queues_stay_serial(
    seed: int, sharing: Sharing, left_last: int
) -> None:
    chance = random.Random(seed)
    world = World(chance, sharing, left_last=left_last)
    for _ in range(60):
        world.now += chance.choice([1.0, 5.0, 30.0])
        if chance.random() < 0.6:
            world.come(some_needs(chance), chance.choice([500, 500, 500, 100]))
        world.end_some()
        if chance.random() < 0.05:
            world.kill(chance.randrange(2))
        world.disturb()
        world.take_memory()
        for node in chance.sample([0, 1], 2):
            world.serve(node)


@settings(max_examples=20)
@given(SEEDS, SHARING, st.sampled_from([0, 1]))
def test_when_the_strangers_have_gone_and_nothing_new_comes_all_is_done(
    seed: int, sharing: Sharing, left_last: int
) -> None:
    chance = random.Random(seed)
    world = World(chance, sharing, left_last=left_last)
    most = 3 - left_last - (sharing.gpu_left.cards if sharing.gpu_left.of_free else 0)
    for number in range(20):
        needs = some_needs(chance)
        if needs.gpus_min <= most:
            world.come(needs)
        if number < 10:
            world.disturb()
        world.now += 5.0
        world.end_some()
        world.serve(number % 2)
    for card in (card for cards in world.nodes for card in cards):
        card.stranger_gib, card.has_python, card.is_lost, card.is_known = 0, False, False, True
    total = len(world.pending) + len(world.running)
    for _ in range(total * 2 + 2):  # in each round something starts, or nothing can
        world.now += 601.0
        world.end_some()
        for node in (0, 1):
            world.serve(node, fails=0.0)
    assert not world.pending
    assert not world.running or all(one.ends_at <= world.now + 601.0 for one in world.running.values())


@settings(max_examples=20)
@given(SEEDS, st.booleans(), st.sampled_from([None, 5, 30]), st.sampled_from([(3, None), (2, 70), (1, 75)]))
def test_a_large_task_starts_as_soon_as_what_runs_has_ended_however_many_small_ones_come(
    seed: int, utmost: bool, small_gib: int | None, large: tuple[int, int | None]
) -> None:
    """The bound: the longest of the small ones that ran when it came, and a step."""
    chance = random.Random(seed)
    world = World(chance, Sharing(maximize_resource_utilization=utmost))
    world.kill(1)
    small = Needs(memory_bytes=None if small_gib is None else small_gib * GIB)
    came_at, name = 0.0, ""
    for number in range(100):
        world.down_until[1] = float("inf")
        world.now += 5.0
        world.end_some()
        for _ in range(4):
            world.come(small)
        if number == 15:
            gpus, gib = large
            needs = Needs(gpus, gpus, memory_bytes=None if gib is None else gib * GIB)
            came_at, name = world.now, world.come(needs, priority=499).name
        world.serve(0, runs_s=60.0, fails=0.0)
        world.take_memory()
        if name in world.running:
            assert world.now - came_at <= 65.0
            return
    raise AssertionError("it starved")


@pytest.mark.parametrize("seed", range(6))
def test_no_queue_is_passed_over_for_ever_where_all_always_have_something_to_run(seed: int) -> None:
    """The bound: of Q queues each is served within 15 Q starts, with odds of a million to one."""
    queues = [str(number) for number in range(6)]
    world = World(random.Random(seed), Sharing(), cards_per_node=1)
    for queue in queues:
        for _ in range(5):
            world.come(Needs(queue=queue))
    last_served = dict.fromkeys(queues, 0)
    for turn in range(250):
        before = len(world.started)
        world.now += 100.0
        world.end_some()
        world.down_until[1] = float("inf")
        world.serve(0, fails=0.5 * (seed % 2))
        for name in world.started[before:]:
            served = world.running[name].task.needs.queue or ""
            last_served[served] = turn
            world.come(Needs(queue=served))
        assert all(turn - at <= 15 * len(queues) for at in last_served.values()), last_served


@pytest.mark.parametrize("seed", range(4))
def test_a_task_without_a_queue_starts_before_all_that_was_submitted_after_it(seed: int) -> None:
    world = World(random.Random(seed), Sharing(), cards_per_node=1)
    world.down_until[1] = float("inf")
    alone: list[str] = []
    for number in range(120):
        queue = str(number) if number % 3 else None
        task = world.come(Needs(queue=queue))
        if queue is None:
            alone.append(task.name)
        world.now += 100.0
        world.end_some()
        if number % 2 == 0:
            world.serve(0, fails=0.0)
        for name in alone:
            if name not in world.started:
                assert all(other < name for other in world.started), "younger ones began before it"
    assert len(world.started) == 60
