"""One GPU's keep-alive, step by step: what it orders for which facts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.band import Band
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health, failing
from gpu_queue.keepalive.facts import KeepFacts, Order, WorkerFacts
from gpu_queue.keepalive.falls import FALLS_MAX
from gpu_queue.keepalive.keeper import (
    FAILED_REST_S,
    LEAVE_TIMEOUT_S,
    SILENT_AFTER_S,
    START_LEAVE_TIMEOUT_S,
    Keeper,
    KeepState,
    Rules,
)
from gpu_queue.keepalive.occupancy import MEMORY_BACK_S
from gpu_queue.keepalive.tenant import CONTEXT_BYTES

MIB = 1 << 20
GIB = 1 << 30
TICK_S = 0.25
TASK = "/node/tries/a-task"
RULES = Rules(Band(), quiet_s=1.0)


def a_keeper(rules: Rules = RULES) -> Keeper:
    return Keeper("GPU-0", rules, lambda: 0.0)


@dataclass
class World:
    """A GPU, its keeper and a worker that does what it is told."""

    keeper: Keeper = field(default_factory=a_keeper)
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
    mode: ComputeMode | None = None
    free_bytes: int | None = None
    """As the driver tells it; None: it does not."""
    memory_is_known: bool = True
    is_slow: bool = False
    """Its worker never gets as far as holding anything."""
    ended: str | None = None
    orders: list[Order] = field(default_factory=list)

    def gpu(self) -> Gpu:
        busy = round(100 * self.keeper.duty) if self.worker and self.worker.is_ready else 0
        gpu = Gpu(
            "GPU-0",
            0,
            "a card",
            80 * GIB,
            self.used_by_others + self.worker_bytes if self.memory_is_known else None,
            min(100, busy + self.work_of_others),
            None,
            None,
            Health.OK,
            memory_free_bytes=self.free_bytes,
            compute_mode=self.mode,
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
            self.worker = WorkerFacts(heard_at=self.now)
            if self.is_slow:
                return
            self.worker = replace(self.worker, is_in_cuda=True, is_ready=True, held_bytes=order.start_bytes)
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


def test_where_little_is_free_less_is_taken(world: World) -> None:
    world.free_bytes = 20 * GIB
    world.until(KeepState.HOLDING, 5)
    held = world.worker
    assert held is not None
    assert held.held_bytes == 20 * GIB - (3 << 29), "what the driver says is free, less a reserve"


def test_what_the_driver_keeps_for_itself_is_not_free(world: World) -> None:
    world.keeper = a_keeper(replace(RULES, memory_fraction=1.0))
    world.free_bytes = 80 * GIB - 620 * MIB
    world.until(KeepState.HOLDING, 5)
    assert world.worker is not None
    assert world.worker.held_bytes == world.free_bytes - (3 << 29)


def test_a_gpu_on_which_others_hold_memory_is_left_to_them(world: World) -> None:
    world.used_by_others = 70 * GIB
    world.run(300)
    assert world.worker is None
    assert world.keeper.reason == "others hold 70G of its memory"
    world.used_by_others = 900 * MIB
    world.until(KeepState.HOLDING, 5)


def test_how_much_others_may_hold_is_a_setting(world: World) -> None:
    world.keeper = a_keeper(replace(RULES, foreign_bytes=4 * GIB))
    world.used_by_others = 3 * GIB
    world.until(KeepState.HOLDING, 5)
    world.run(5)
    world.keeper.obey(replace(RULES, foreign_bytes=2 * GIB))
    world.step()
    assert world.state() is KeepState.BACKING_OFF
    assert "others hold 3G" in world.keeper.reason
    world.run(300)
    assert world.worker is None


def test_a_gpu_whose_memory_cannot_be_read_is_not_held(holding: World) -> None:
    holding.memory_is_known = False
    holding.run(30)
    assert holding.worker is None
    assert holding.keeper.reason == "its memory cannot be read"


def test_a_gpu_whose_past_is_not_known_must_have_been_quiet_for_a_minute() -> None:
    world = World(a_keeper(Rules(Band())))
    world.run(59)
    assert world.worker is None
    assert world.keeper.reason == "starts when nobody has used the GPU for 1m00s"
    world.until(KeepState.HOLDING, 3)


@pytest.mark.parametrize("sign", ["utilisation", "memory"])
def test_one_sign_of_work_begins_the_minute_anew(sign: str) -> None:
    world = World(a_keeper(Rules(Band())))
    world.run(50)
    if sign == "utilisation":
        world.work_of_others = 20
        world.step()
        world.work_of_others = 0
    else:
        world.used_by_others = 200 * MIB
    world.run(59)
    assert world.worker is None
    world.until(KeepState.HOLDING, 3)


def test_after_a_task_of_ours_a_second_will_do() -> None:
    world = World(a_keeper(Rules(Band())))
    world.holder, world.used_by_others, world.work_of_others = TASK, 40 * GIB, 99
    world.run(100)
    world.holder, world.used_by_others, world.work_of_others = "", 0, 0
    world.step()
    assert world.keeper.reason == "about to start"
    world.until(KeepState.HOLDING, 2)


def test_who_works_on_after_a_task_of_ours_is_somebody_else() -> None:
    world = World(a_keeper(Rules(Band())))
    world.holder = TASK
    world.run(10)
    world.holder, world.work_of_others = "", 30
    world.run(10)
    world.work_of_others = 0
    world.run(58)
    assert world.worker is None
    world.until(KeepState.HOLDING, 4)


def test_a_gpu_that_nobody_looked_at_for_a_while_has_a_past_that_is_not_known() -> None:
    world = World(a_keeper(Rules(Band())))
    world.holder = TASK
    world.run(10)
    world.holder = ""
    world.now += 3600  # the machine slept
    world.run(58)
    assert world.worker is None
    world.until(KeepState.HOLDING, 4)


@pytest.mark.parametrize(
    ("mode", "rules", "is_held"),
    [
        (ComputeMode.DEFAULT, RULES, True),
        (ComputeMode.EXCLUSIVE_PROCESS, RULES, False),
        (ComputeMode.EXCLUSIVE_PROCESS, replace(RULES, is_dedicated=True), True),
        (ComputeMode.PROHIBITED, replace(RULES, is_dedicated=True), False),
    ],
)
def test_nobody_is_locked_out_by_a_filler(mode: ComputeMode, rules: Rules, is_held: bool) -> None:
    world = World(a_keeper(rules), mode=mode)
    world.run(10)
    assert (world.worker is not None) is is_held
    assert is_held or "compute mode" in world.keeper.reason


def test_a_gpu_that_is_made_exclusive_while_it_is_held_is_left(holding: World) -> None:
    holding.mode = ComputeMode.EXCLUSIVE_PROCESS
    holding.run(1)
    assert holding.worker is None
    assert "exclusive" in holding.keeper.reason


def test_no_filler_sits_beside_a_task_that_has_a_gpu_exclusively() -> None:
    world = World(a_keeper(replace(RULES, hold_leased=True, is_dedicated=True)), mode=ComputeMode.EXCLUSIVE_PROCESS)
    world.holder, world.holder_runs = TASK, True
    world.run(700)
    assert world.worker is None


def test_what_others_have_on_the_gpu_is_never_taken_for_the_workers(world: World) -> None:
    world.used_by_others = GIB
    world.until(KeepState.STARTING, 5)
    assert world.keeper.footprint.others_bytes(GIB) == GIB
    assert world.keeper.footprint.others_bytes(49 * GIB) == GIB, "the worker has begun to fill up"
    assert world.keeper.footprint.others_bytes(79 * GIB) > 28 * GIB, "somebody takes more, while it starts"
    world.until(KeepState.HOLDING, 5)
    world.run(3)
    assert world.keeper.footprint.others_bytes(world.used_by_others + world.worker_bytes) == GIB
    assert world.keeper.footprint.others_bytes(world.worker_bytes) == 0, "they have gone"


def test_who_comes_while_the_filler_starts_is_given_way_to(world: World) -> None:
    world.until(KeepState.STARTING, 5)
    world.used_by_others = 25 * GIB
    world.step()
    assert world.state() is KeepState.BACKING_OFF
    world.run(3)
    assert world.worker is None


def test_who_leaves_while_the_filler_comes_is_not_looked_for_in_its_memory(world: World) -> None:
    world.used_by_others = GIB
    world.until(KeepState.HOLDING, 5)
    world.used_by_others = 0
    world.run(5)
    assert world.state() is KeepState.HOLDING
    assert world.keeper.footprint.others_bytes(world.worker_bytes) < GIB, "a task may have this GPU"


def test_a_full_gpu_is_not_held_and_looked_at_again(world: World) -> None:
    world.free_bytes = GIB
    world.run(10)
    assert world.worker is None
    assert world.keeper.reason == "only 1G of its memory are free"
    world.free_bytes = 80 * GIB
    world.until(KeepState.HOLDING, 2)


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


@pytest.mark.parametrize(("is_in_cuda", "timeout_s"), [(False, 0.0), (True, START_LEAVE_TIMEOUT_S)])
def test_a_worker_that_has_not_begun_to_hold_is_not_waited_for_as_long(
    world: World, is_in_cuda: bool, timeout_s: float
) -> None:
    world.is_slow = True
    world.until(KeepState.STARTING, 5)
    world.obeys = False
    world.worker = WorkerFacts(is_in_cuda=is_in_cuda, heard_at=world.now)
    world.holder, begun = TASK, world.now + TICK_S
    while not world.step().kill:
        assert world.now - begun < 5
    assert world.now - begun == timeout_s


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
    holding.end("status 1: CUDA error 802")
    holding.run(100)
    assert holding.state() is KeepState.FAILED
    assert "CUDA error 802" in holding.keeper.reason
    assert "tried again every 10m" in holding.keeper.reason
    assert holding.worker is None
    holding.keeper.try_again()
    holding.until(KeepState.HOLDING, 10)


def test_a_gpu_that_failed_is_tried_again_every_ten_minutes_until_it_holds(holding: World) -> None:
    for _ in range(FALLS_MAX):
        holding.end("CUDA error 802")
        holding.run(60)
    assert holding.state() is KeepState.FAILED
    for _ in range(3):
        begun = holding.now
        holding.until(KeepState.HOLDING, FAILED_REST_S + 10)
        assert holding.now - begun >= FAILED_REST_S - 70
        holding.end("CUDA error 802")
        holding.run(5)
        assert holding.state() is KeepState.FAILED, "one more fall will do"
    holding.until(KeepState.HOLDING, FAILED_REST_S + 10)
    holding.run(700)
    holding.end("signal 9")
    holding.until(KeepState.HOLDING, 10)


def test_a_gpu_may_fail_for_weeks(holding: World) -> None:
    for _ in range(2000):
        holding.worker = None
        holding.end("CUDA error 802")
        holding.now += FAILED_REST_S
        holding.step()
    assert holding.state() is KeepState.FAILED


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
    holding.keeper.obey(replace(RULES, memory_fraction=0.3))
    holding.run(1)
    holding.until(KeepState.HOLDING, 10)
    assert holding.worker is not None
    assert holding.worker.held_bytes == int(0.3 * 80 * GIB)
    before = len([order for order in holding.orders if order.leave])
    holding.keeper.obey(replace(RULES, memory_fraction=0.3, hold_leased=True))
    holding.run(5)
    assert len([order for order in holding.orders if order.leave]) == before, "nothing that concerns it has changed"


def test_a_worker_that_crashes_when_the_rules_change_is_replaced_all_the_same(holding: World) -> None:
    holding.keeper.obey(replace(RULES, memory_fraction=0.3))
    holding.end("signal 9")
    holding.run(1)
    holding.until(KeepState.HOLDING, 10)
    assert holding.worker is not None
    assert holding.worker.held_bytes == int(0.3 * 80 * GIB)


def test_who_comes_before_the_process_of_a_worker_does_is_left_alone(world: World) -> None:
    world.obeys = False  # torch is still being imported
    world.until(KeepState.STARTING, 5)
    world.free_bytes = 20 * GIB
    assert world.step().start_bytes == 20 * GIB - (3 << 29), "so much is left now"
    world.work_of_others = 50
    world.step()
    assert world.state() is KeepState.OFF
    world.run(3)
    assert world.keeper.reason == "somebody else is at work on it"
    world.work_of_others = 0
    world.until(KeepState.STARTING, 3)
    world.used_by_others = 2 * GIB
    assert world.step().start_bytes is None
    assert world.keeper.reason == "others hold 2G of its memory"


# -- beside a task ------------------------------------------------------------------------------------------


@pytest.fixture
def beside() -> World:
    """A light worker beside a task that has left its GPU idle for long."""
    world = World(a_keeper(replace(RULES, hold_leased=True)))
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
    world = World(a_keeper())
    world.holder, world.holder_runs = TASK, True
    world.run(2000)
    assert not any(order.start_bytes is not None for order in world.orders)


# -- whatever happens -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happening:
    """What changes before a step."""

    wait_s: float
    others_bytes: int
    others_percent: int
    is_readable: bool
    free_bytes: int | None
    ready_after: int
    """Steps that a worker takes to hold what it is to hold."""
    holder: str
    rest: str
    dies: bool


happenings = st.builds(
    Happening,
    st.sampled_from([0.1, 0.25, 1.0, 5.0, 61.0]),
    st.sampled_from([0, 0, 0, 100 * MIB, GIB, GIB + 1, 3 * GIB, 40 * GIB]),
    st.sampled_from([0, 0, 0, 3, 60]),
    st.sampled_from([True, True, True, True, False]),
    st.sampled_from([None, 0, 30 * GIB]),
    st.integers(0, 3),
    st.sampled_from(["", "", "", "", TASK]),
    st.sampled_from(["", "", "", "", "", "quiet hours"]),
    st.sampled_from([False, False, False, False, True]),
)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.lists(st.tuples(happenings, st.integers(1, 30)), min_size=1, max_size=25), st.floats(0, 1))
def test_in_any_order_of_readings_no_card_is_held_on_which_others_hold_much(
    story: list[tuple[Happening, int]], chance: float
) -> None:
    """The world's worker has the largest context that is allowed it, so that nobody hides behind a smaller one."""
    keeper = Keeper("GPU-0", Rules(Band(), quiet_s=2.0), lambda: chance)
    worker: WorkerFacts | None = None
    ended: str | None = None
    now, goal_bytes, taken_bytes, to_ready = 1000.0, 0, 0, 0
    for happening, times in story:
        for time in range(times):
            now += happening.wait_s
            if worker is not None:
                if happening.dies and time == 0:
                    worker, ended, taken_bytes = None, "signal 9", 0
                elif not worker.is_ready and to_ready <= 0:
                    worker = replace(worker, is_ready=True, held_bytes=goal_bytes)
                    taken_bytes = goal_bytes + CONTEXT_BYTES
                to_ready -= 1
            if worker is not None:
                worker = replace(worker, heard_at=now, busy=keeper.duty, reports=worker.reports + 1)
            used_bytes = min(80 * GIB, happening.others_bytes + taken_bytes) if happening.is_readable else None
            percent = min(100, happening.others_percent + (round(100 * keeper.duty) if worker else 0))
            gpu = Gpu(
                "GPU-0", 0, "a card", 80 * GIB, used_bytes, percent, None, None, Health.OK,
                memory_free_bytes=happening.free_bytes,
            )  # fmt: skip
            order = keeper.step(
                KeepFacts(now, gpu, percent, happening.rest, happening.holder, False, False, worker, ended)
            )
            ended = None
            is_theirs = used_bytes is None or happening.others_bytes > GIB
            if is_theirs:
                assert order.start_bytes is None
                assert keeper.state is not KeepState.HOLDING
            if worker is None and order.start_bytes is not None:
                worker, goal_bytes, to_ready = WorkerFacts(), order.start_bytes, happening.ready_after
            elif worker is not None and (order.leave or order.kill):
                worker, ended, taken_bytes = None, "status 0", 0
