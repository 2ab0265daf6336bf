"""One GPU's keep-alive, step by step: what it orders for which facts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gpu_queue.band import Band
from gpu_queue.gpus.devices import Gpu, Health, failing
from gpu_queue.keepalive.falls import FALLS_MAX
from gpu_queue.keepalive.keeper import (
    LEAVE_TIMEOUT_S,
    SILENT_AFTER_S,
    Keeper,
    KeepFacts,
    KeepState,
    Order,
    Rules,
    WorkerFacts,
)
from gpu_queue.keepalive.occupancy import MEMORY_BACK_S

GIB = 1 << 30
TICK_S = 0.25
TASK = "/node/tries/a-task"


@dataclass
class World:
    """A GPU, its keeper and a worker that does what it is told."""

    keeper: Keeper = field(default_factory=lambda: Keeper("GPU-0", Rules(Band())))
    now: float = 1000.0
    used_by_others: int = 0
    work_of_others: int = 0
    worker: WorkerFacts | None = None
    worker_bytes: int = 0
    """What the worker takes of the card; the memory of one that has gone may linger."""
    obeys: bool = True
    is_mute: bool = False
    rest: str = ""
    holder: str = ""
    holder_runs: bool = False
    elsewhere: bool = False
    health: Health = Health.OK
    ended: str | None = None
    orders: list[Order] = field(default_factory=list)

    def gpu(self) -> Gpu:
        busy = round(100 * self.keeper.duty) if self.worker and self.worker.is_ready else 0
        gpu = Gpu(
            "GPU-0",
            0,
            "a card",
            80 * GIB,
            self.used_by_others + self.worker_bytes,
            min(100, busy + self.work_of_others),
            None,
            None,
            Health.OK,
        )
        return gpu if self.health is Health.OK else failing(gpu, self.health, "")

    def step(self) -> Order:
        self.now += TICK_S
        if self.worker is not None and self.worker.is_ready and not self.is_mute:
            self.worker = replace(
                self.worker, heard_at=self.now, busy=self.keeper.duty, stretch=1.0, reports=self.worker.reports + 1
            )
        gpu = self.gpu()
        facts = KeepFacts(
            self.now,
            gpu,
            gpu.utilization_percent,
            self.rest,
            self.holder,
            self.holder_runs,
            self.elsewhere,
            self.worker,
            self.ended,
        )
        self.ended = None
        order = self.keeper.step(facts)
        self.orders.append(order)
        if self.obeys:
            self._obey(order)
        return order

    def _obey(self, order: Order) -> None:
        if order.start_bytes is not None and self.worker is None:
            self.worker = WorkerFacts(is_ready=True, held_bytes=order.start_bytes, heard_at=self.now)
            self.worker_bytes = order.start_bytes + GIB // 2
        elif (order.leave or order.kill) and self.worker is not None:
            self.end("status 0")

    def end(self, how: str, *, memory_lingers: bool = False) -> None:
        self.worker, self.ended = None, how
        if not memory_lingers:
            self.worker_bytes = 0

    def state(self) -> KeepState:
        return self.keeper.state

    def is_clear(self) -> bool:
        return self.keeper.is_clear

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.step()

    def until(self, state: KeepState, within_s: float) -> None:
        for _ in range(round(within_s / TICK_S)):
            if self.keeper.state is state:
                return
            self.step()
        raise AssertionError(f"{self.keeper.state.value} ({self.keeper.reason}), not {state.value}")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def holding(world: World) -> World:
    world.until(KeepState.HOLDING, 5)
    world.run(5)
    return world


def test_an_idle_gpu_is_held_with_its_share_of_the_memory(holding: World) -> None:
    started = [order.start_bytes for order in holding.orders if order.start_bytes is not None]
    assert started == [int(0.6 * 80 * GIB)]
    assert holding.state() is KeepState.HOLDING
    assert holding.keeper.duty == pytest.approx(0.775, abs=0.03)


def test_a_gpu_that_has_just_become_free_is_left_a_moment_for_the_next_task(world: World) -> None:
    world.step()
    assert world.step().start_bytes is None
    world.until(KeepState.HOLDING, 3)


def test_where_somebody_holds_memory_less_is_taken(world: World) -> None:
    world.used_by_others = 60 * GIB
    world.until(KeepState.HOLDING, 5)
    held = world.worker
    assert held is not None
    assert held.held_bytes == 20 * GIB - (3 << 29), "what is free, less a reserve"


def test_what_others_have_on_the_gpu_is_never_taken_for_the_workers(world: World) -> None:
    world.used_by_others = 20 * GIB
    world.until(KeepState.STARTING, 5)
    assert world.keeper.footprint.others_bytes(20 * GIB) == 20 * GIB
    assert world.keeper.footprint.others_bytes(68 * GIB) == 20 * GIB, "the worker has begun to fill up"
    assert world.keeper.footprint.others_bytes(79 * GIB) > 28 * GIB, "somebody takes more, while it starts"
    world.until(KeepState.HOLDING, 5)
    world.run(3)
    assert world.keeper.footprint.others_bytes(world.used_by_others + world.worker_bytes) == 20 * GIB
    assert world.keeper.footprint.others_bytes(world.worker_bytes) == 0, "they have gone"


def test_who_comes_before_the_filler_is_measured_is_never_taken_for_it(world: World) -> None:
    world.until(KeepState.STARTING, 5)
    world.used_by_others = 25 * GIB
    for _ in range(20):
        world.step()
        used_bytes = world.used_by_others + world.worker_bytes
        assert world.keeper.footprint.others_bytes(used_bytes) > 20 * GIB


def test_who_leaves_while_the_filler_comes_is_not_looked_for_in_its_memory(world: World) -> None:
    world.used_by_others = 20 * GIB
    world.until(KeepState.HOLDING, 5)
    world.used_by_others = 0
    world.run(5)
    assert world.state() is KeepState.HOLDING
    assert world.keeper.footprint.others_bytes(world.worker_bytes) < GIB, "a task may have this GPU"


def test_a_full_gpu_is_not_held_and_looked_at_again(world: World) -> None:
    world.used_by_others = 79 * GIB
    world.run(10)
    assert world.worker is None
    assert "free" in world.keeper.reason
    world.used_by_others = 0
    world.until(KeepState.HOLDING, 40)


def test_a_gpu_at_which_somebody_works_is_not_held(world: World) -> None:
    world.work_of_others = 40
    world.run(20)
    assert world.worker is None
    assert "somebody else" in world.keeper.reason


def test_what_the_gauge_still_shows_of_a_task_that_has_ended_is_nobody_elses(holding: World) -> None:
    holding.holder, holding.work_of_others = TASK, 90
    holding.run(5)
    holding.holder = ""
    holding.run(1)
    assert holding.keeper.reason == "about to start"
    assert holding.worker is None
    holding.work_of_others = 0
    holding.until(KeepState.HOLDING, 3)


def test_a_task_gets_the_gpu_when_the_worker_has_gone_and_its_memory_is_back(holding: World) -> None:
    holding.obeys = False
    holding.holder = TASK
    assert holding.step().leave
    assert holding.state() is KeepState.YIELDING
    holding.end("status 0", memory_lingers=True)
    holding.step()
    assert not holding.is_clear(), "the driver has not given the memory back"
    holding.worker_bytes = 0
    holding.step()
    assert holding.is_clear()
    assert holding.state() is KeepState.OFF
    holding.run(5)
    assert holding.worker is None, "a task has it"


def test_memory_that_does_not_come_back_is_not_waited_for_for_ever(holding: World) -> None:
    holding.obeys = False
    holding.holder = TASK
    holding.step()
    holding.end("status 0", memory_lingers=True)
    holding.run(MEMORY_BACK_S - 1)
    assert not holding.is_clear()
    holding.run(2)
    assert holding.is_clear()
    assert holding.keeper.is_late, "the task starts all the same, with a warning"


def test_a_worker_that_does_not_leave_is_killed(holding: World) -> None:
    holding.obeys = False
    holding.holder = TASK
    holding.run(LEAVE_TIMEOUT_S - TICK_S)
    assert not any(order.kill for order in holding.orders)
    holding.run(3 * TICK_S)
    assert holding.orders[-1].kill


def test_the_filler_comes_back_after_the_task(holding: World) -> None:
    holding.holder = TASK
    holding.used_by_others = 50 * GIB
    holding.run(100)
    assert holding.worker is None
    holding.holder = ""
    holding.used_by_others = 0
    holding.until(KeepState.HOLDING, 5)


@pytest.mark.parametrize("rest", ["switched off by yzy", "quiet hours until 07:00", "the agent is about to end"])
def test_whatever_the_reason_to_rest_the_worker_leaves_and_people_are_told(holding: World, rest: str) -> None:
    holding.rest = rest
    holding.run(3)
    assert holding.worker is None
    assert holding.keeper.reason == rest
    holding.rest = ""
    holding.until(KeepState.HOLDING, 5)


def test_a_gpu_on_which_another_agents_filler_sits_is_left_to_it(world: World) -> None:
    world.elsewhere = True
    world.run(10)
    assert world.worker is None
    assert world.keeper.reason == "another agent keeps it busy"


def test_a_lost_gpu_is_left_and_held_again_when_it_is_back(holding: World) -> None:
    holding.health = Health.LOST
    holding.run(3)
    assert holding.worker is None
    assert "lost" in holding.keeper.reason
    holding.health = Health.OK
    holding.until(KeepState.HOLDING, 10)


def test_a_tenant_is_given_way_to_and_waited_for(holding: World) -> None:
    holding.used_by_others = GIB
    holding.until(KeepState.BACKING_OFF, 3)
    assert "memory grew" in holding.keeper.reason
    assert holding.keeper.footprint.others_bytes(50 * GIB) == 50 * GIB, "no task is to start where somebody works"
    holding.run(3)
    assert holding.worker is None
    holding.run(120)
    assert holding.state() is KeepState.BACKING_OFF, "the tenant is still there"
    holding.used_by_others = 0
    holding.run(55)
    assert holding.state() is KeepState.BACKING_OFF
    holding.until(KeepState.HOLDING, 10)


def test_a_tenant_that_comes_again_is_waited_for_longer(holding: World) -> None:
    for wait_s in (60, 120, 240):
        holding.used_by_others = GIB
        holding.until(KeepState.BACKING_OFF, 3)
        holding.run(2)
        holding.used_by_others = 0
        holding.run(wait_s - 5)
        assert holding.worker is None
        holding.until(KeepState.HOLDING, 10)
        holding.run(10)


def test_a_tenant_is_not_forgotten_over_quiet_hours(holding: World) -> None:
    holding.used_by_others = GIB
    holding.until(KeepState.BACKING_OFF, 3)
    holding.run(2)
    holding.rest = "quiet hours until 07:00"
    holding.run(5)
    assert holding.keeper.reason == holding.rest
    holding.rest = ""
    holding.run(10)
    assert holding.state() is KeepState.BACKING_OFF
    assert "memory grew" in holding.keeper.reason
    assert holding.worker is None
    holding.used_by_others = 0
    holding.run(50)
    assert holding.worker is None
    holding.until(KeepState.HOLDING, 20)


def test_a_task_that_had_the_gpu_ends_the_wait_for_a_tenant(holding: World) -> None:
    holding.used_by_others = GIB
    holding.until(KeepState.BACKING_OFF, 3)
    holding.run(2)
    holding.used_by_others, holding.holder = 0, TASK
    holding.run(5)
    holding.holder = ""
    holding.until(KeepState.HOLDING, 5)


def test_what_the_worker_noticed_itself_counts_at_once(holding: World) -> None:
    assert holding.worker is not None
    holding.worker = replace(holding.worker, tenant="kernel time 2.1x for two launches")
    holding.step()
    assert holding.state() is KeepState.BACKING_OFF
    assert "2.1x" in holding.keeper.reason


def test_a_worker_that_crashes_is_started_again_later_each_time_and_given_up_at_last(holding: World) -> None:
    waits = []
    for _ in range(FALLS_MAX - 1):
        holding.end("status 1: CUDA error")
        begun = holding.now
        holding.step()
        assert "CUDA error" in holding.keeper.reason
        holding.until(KeepState.HOLDING, 100)
        waits.append(holding.now - begun)
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]
    holding.end("status 1: CUDA error")
    holding.run(100)
    assert holding.state() is KeepState.FAILED
    assert "CUDA error" in holding.keeper.reason
    assert holding.worker is None
    holding.keeper.try_again()
    holding.until(KeepState.HOLDING, 10)


def test_crashes_far_apart_do_not_add_up(holding: World) -> None:
    for _ in range(3 * FALLS_MAX):
        holding.end("signal 9")
        holding.run(700)
        assert holding.state() is KeepState.HOLDING


def test_a_worker_that_says_nothing_any_more_is_killed(holding: World) -> None:
    holding.obeys, holding.is_mute = False, True
    holding.run(SILENT_AFTER_S - 1)
    assert not any(order.kill for order in holding.orders)
    holding.run(2)
    assert holding.orders[-1].kill


def test_changed_rules_replace_the_worker(holding: World) -> None:
    holding.keeper.obey(Rules(Band(), memory_fraction=0.3))
    holding.run(1)
    holding.until(KeepState.HOLDING, 10)
    assert holding.worker is not None
    assert holding.worker.held_bytes == int(0.3 * 80 * GIB)
    before = len([order for order in holding.orders if order.leave])
    holding.keeper.obey(Rules(Band(), memory_fraction=0.3, hold_leased=True))
    holding.run(5)
    assert len([order for order in holding.orders if order.leave]) == before, "nothing that concerns it has changed"


def test_a_worker_that_crashes_when_the_rules_change_is_replaced_all_the_same(holding: World) -> None:
    holding.keeper.obey(Rules(Band(), memory_fraction=0.3))
    holding.end("signal 9")
    holding.run(1)
    holding.until(KeepState.HOLDING, 10)
    assert holding.worker is not None
    assert holding.worker.held_bytes == int(0.3 * 80 * GIB)


def test_who_comes_before_the_process_of_a_worker_does_is_left_alone(world: World) -> None:
    world.obeys = False  # torch is still being imported
    world.until(KeepState.STARTING, 5)
    world.used_by_others = 60 * GIB
    assert world.step().start_bytes == 20 * GIB - (3 << 29), "so much is left now"
    world.work_of_others = 50
    world.step()
    assert world.state() is KeepState.OFF
    world.run(3)
    assert world.keeper.reason == "somebody else is at work on it"
    world.work_of_others = 0
    world.until(KeepState.STARTING, 3)
    world.used_by_others = 79 * GIB
    assert world.step().start_bytes is None
    assert "of its memory are free" in world.keeper.reason


# -- beside a task ------------------------------------------------------------------------------------------


@pytest.fixture
def beside() -> World:
    """A light worker beside a task that has left its GPU idle for long."""
    world = World(Keeper("GPU-0", Rules(Band(), hold_leased=True, hold_leased_after_s=600)))
    world.holder, world.holder_runs, world.used_by_others = TASK, True, 10 * GIB
    world.run(590)
    assert world.worker is None
    world.until(KeepState.HOLDING, 20)
    world.run(5)
    return world


def test_a_gpu_that_a_task_leaves_idle_is_held_lightly(beside: World) -> None:
    assert beside.keeper.is_light
    assert beside.worker is not None
    assert beside.worker.held_bytes == 0, "the memory is the task's"


def test_the_light_worker_leaves_at_the_first_sign_of_the_tasks_memory(beside: World) -> None:
    beside.used_by_others += 100 << 20
    beside.run(1)
    assert beside.worker is None
    beside.run(590)
    assert beside.worker is None, "it waits as long as before"


def test_the_light_worker_hears_light_work_in_its_turns_of_silence(beside: World) -> None:
    beside.work_of_others = 5
    beside.run(70)
    assert beside.worker is None
    assert any(order.duty == 0.0 for order in beside.orders)


def test_the_light_worker_leaves_with_the_task(beside: World) -> None:
    beside.holder, beside.holder_runs, beside.used_by_others = "", False, 0
    beside.run(1)
    beside.until(KeepState.HOLDING, 5)
    assert not beside.keeper.is_light
    assert beside.worker is not None
    assert beside.worker.held_bytes == int(0.6 * 80 * GIB)


def test_the_next_task_does_not_inherit_the_light_worker(beside: World) -> None:
    beside.holder = "/node/tries/the-next"
    beside.run(1)
    assert beside.worker is None
    beside.run(500)
    assert beside.worker is None


def test_without_the_rule_a_leased_gpu_is_never_touched() -> None:
    world = World(Keeper("GPU-0", Rules(Band(), hold_leased=False)))
    world.holder, world.holder_runs = TASK, True
    world.run(2000)
    assert not any(order.start_bytes is not None for order in world.orders)
