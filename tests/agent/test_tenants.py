"""The cards of a shared server as others use them, told to whoever judges them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.cards import FOREIGN_TICK_S, Cards
from gpu_queue.agent.lookout import Lookout
from gpu_queue.agent.telling import told_states
from gpu_queue.agent.tenants import FRESH_S, SAMPLED_FOR_S, UNSEEN, Tenants
from gpu_queue.gpus.devices import ComputeMode, Gpu
from gpu_queue.gpus.leases import Footprint, Lease
from gpu_queue.gpus.processes import SimulatedProcesses
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.scheduling.admission import Card, Terms, shared
from gpu_queue.scheduling.tenancy import EVERY_S, SAMPLES, SETTLES_S, Look, Tenant
from gpu_queue.sharing import GpuLeft, Sharing
from gpu_queue.states import GpuState

GIB = 1 << 30
OURS, HIS = 1000, 1001
CHECK_S = 5.0


def python(uid: int = OURS, claim: str | None = None, used_bytes: int | None = None) -> Tenant:
    return Tenant(7, 1, "python", uid, used_bytes, claim, is_python=uid == OURS)


class Told(Lookout):
    """A lookout whose looks take no time, or that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(SimulatedProcesses(None), lambda: None, OURS)
        self.found: dict[int, Sequence[Tenant]] | None = {0: (), 1: ()}
        self.looks: list[float] = []
        self.is_slow = False
        self._said: Look | None = None

    def look(self, now: float, at_most_s: float) -> Look | None:
        if self._said is not None and now - self._said.began_at <= at_most_s:
            return self._said
        if not self.is_slow:
            self.answer(now)
        return None

    def answer(self, now: float, began_at: float | None = None) -> None:
        self.looks.append(now)
        tenants = None if self.found is None else {uuid(index): tuple(some) for index, some in self.found.items()}
        self._said = Look(
            now if began_at is None else began_at, now, tenants, "" if tenants is not None else "nothing is told"
        )

    def last(self, now: float) -> Look | None:
        return self._said


def uuid(index: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{index:012x}"


class Gpus(SimulatedDevices):
    """Two cards, read whenever somebody asks."""

    def __init__(self, state: Path) -> None:
        super().__init__(2, 80 * GIB, str(state))
        self.state: dict[str, dict[str, Any]] = {}
        self.path = state
        self.sampled: Set[str] = frozenset()
        self.is_mig = False

    def use(self, index: int, **what: Any) -> None:
        self.state[str(index)] = what
        self.path.write_text(json.dumps(self.state))

    def snapshot(self) -> tuple[Gpu, ...]:
        return tuple(replace(gpu, is_mig=self.is_mig) for gpu in super().snapshot())

    def attend(self, watched: Set[str], hurried: Set[str], sampled: Set[str] = frozenset()) -> None:
        self.sampled = sampled


class Server:
    """One agent's view of a server, whose steps are taken by hand."""

    def __init__(self, state: Path) -> None:
        self.gpus, self.lookout = Gpus(state), Told()
        self.sharing = Sharing(check_time_s=CHECK_S)
        self.said: list[str] = []
        served = frozenset({uuid(0), uuid(1)})
        self.cards = Cards(self.gpus, served)
        self.tenants = self.cards.tenants = Tenants(
            self.lookout, self.gpus, served, lambda: self.sharing, self.said.append, lambda: 0
        )
        self.now = 100.0
        self.agenda = Agenda()
        self.ours: Mapping[str, Sequence[Lease]] = {}

    def step(self, seconds: float = EVERY_S) -> list[Card]:
        self.now += seconds
        self.cards.hear(self.now, self.agenda)
        return self.cards.facts(self.now, self.ours)

    def steps(self, count: int) -> list[Card]:
        return [self.step() for _ in range(count)][-1]

    def may_be_given(self, *indices: int) -> bool:
        return self.cards.may_be_given([uuid(index) for index in indices], self.now, self.agenda)

    def holds(self, *indices: int) -> None:
        self.ours = dict.fromkeys(map(uuid, indices), (Lease("/tries/500-a.try1.abc", None),))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "state.json")


def test_a_quiet_card_is_given_at_once(server: Server) -> None:
    server.step()
    assert server.may_be_given(0) is False, "nobody has looked yet"
    first, _ = server.step(0.01)
    assert server.may_be_given(0, 1)
    assert (first.utilization_percent, first.has_stranger, first.has_user_python, first.is_competed) == (
        (0,),
        False,
        False,
        True,
    )


def test_a_card_on_which_memory_is_used_is_given_when_enough_readings_have_come(server: Server) -> None:
    server.gpus.use(0, used="10G", utilization=20)
    for _ in range(SAMPLES - 1):
        server.step()
        assert not server.may_be_given(0)
        assert server.gpus.sampled == {uuid(0), uuid(1)}, "least_util compares all that fit"
        assert server.agenda.at(Duty.PLAN) <= server.now + EVERY_S
    server.step()
    assert server.may_be_given(0)


def test_a_look_is_made_each_check_time_and_before_a_card_is_given(server: Server) -> None:
    server.steps(100)
    looks = server.lookout.looks
    assert {after - before for before, after in pairwise(looks)} == {CHECK_S + EVERY_S}
    server.step(FRESH_S)
    while server.now - server.lookout.looks[-1] <= FRESH_S:
        server.step()
    count = len(server.lookout.looks)
    assert not server.may_be_given(0)
    assert len(server.lookout.looks) == count + 1
    server.agenda.take(Duty.PLAN, float("inf"))
    server.step(0.01)
    assert server.agenda.at(Duty.PLAN) <= server.now, "its answer plans anew"
    assert server.may_be_given(0)


def test_a_task_without_gpus_waits_for_no_look(server: Server) -> None:
    server.lookout.is_slow = True
    server.step()
    assert server.may_be_given()


def test_a_card_waits_for_a_look_that_takes_long(server: Server) -> None:
    server.step()
    server.lookout.is_slow = True
    server.steps(8)
    assert not server.may_be_given(0)
    server.step()
    assert not server.may_be_given(0)
    server.lookout.answer(server.now, began_at=server.now - 1.5 * FRESH_S)
    server.step(0.01)
    assert server.may_be_given(0), "it would never be given where each look takes so long"


def test_a_stranger_s_process_keeps_a_card_until_enough_readings_came_after_it(server: Server) -> None:
    server.steps(SAMPLES)
    server.lookout.found = {0: (python(HIS),), 1: ()}
    server.gpus.use(0, used="10G")
    server.step()
    first, second = server.step()
    assert (first.has_stranger, second.has_stranger) == (True, False)
    server.lookout.found = {0: (), 1: ()}
    server.gpus.use(0, used="0G")
    left_at = server.now
    while server.step()[0].has_stranger:
        pass
    assert SAMPLES * EVERY_S <= server.now - left_at <= (SAMPLES + 3) * EVERY_S


def test_a_stranger_is_looked_for_at_once_when_memory_comes_or_goes(server: Server) -> None:
    server.steps(SAMPLES)
    count = len(server.lookout.looks)
    server.gpus.use(0, used="1G")
    server.step()
    server.step()
    assert len(server.lookout.looks) == count + 1
    server.steps(5)
    assert len(server.lookout.looks) == count + 1, "once"


def test_where_lists_cannot_be_read_rules_about_processes_are_left_out_and_that_is_told_once(server: Server) -> None:
    server.lookout.found = None
    first, _ = server.steps(100)
    assert (first.has_user_python, first.has_stranger) == (None, False)
    assert server.said == [f"nothing is told; {UNSEEN}"]
    server.gpus.use(0, used="1G")
    looks = len(server.lookout.looks)
    server.step()
    assert server.step()[0].has_stranger
    server.steps(4)
    assert len(server.lookout.looks) <= looks + 2, "nor is asked again and again what nobody answers"
    server.lookout.found = {0: ()}
    first, second = server.steps(30)
    assert (first.has_user_python, second.has_user_python) == (False, None), "one card alone is told"


def test_a_python_of_this_user_is_told_and_one_of_a_task_is_not(server: Server) -> None:
    server.lookout.found = {0: (python(),), 1: (python(claim="500-a.try1.abc", used_bytes=3 * GIB), python(HIS))}
    server.holds(1)
    server.step()
    first, second = server.step()
    assert (first.has_user_python, second.has_user_python) == (True, False)
    assert server.tenants.on(uuid(0)) == (python(),)


def test_a_python_of_a_task_whose_agent_and_shim_were_killed_is_nobody_s_task_any_more(
    server: Server,
) -> None:
    server.lookout.found = {0: [python(claim="500-a.try1.abc", used_bytes=GIB)], 1: ()}
    server.holds(0)
    assert [card.has_user_python for card in server.steps(2 * SAMPLES)] == [False, False]
    server.holds()
    server.step(0.01)
    server.lookout.answer(server.now)
    assert server.step(0.01)[0].has_user_python is False, "it is about to end with its task"
    assert server.may_be_given(1)
    server.steps(SAMPLES)
    server.lookout.answer(server.now)
    assert [card.has_user_python for card in server.step(0.01)] == [True, False]


def test_what_a_task_of_ours_did_says_nothing_about_others(server: Server) -> None:
    server.steps(SAMPLES)
    server.holds(0)
    server.gpus.use(0, used="40G", utilization=100)
    first, _ = server.steps(SAMPLES)
    assert not first.has_stranger
    server.holds()
    first, _ = server.step()
    assert first.utilization_percent == ()
    assert not server.may_be_given(0), "its memory is not free yet"
    server.gpus.use(0, used="0G", utilization=90)
    first, _ = server.step()
    assert (first.has_stranger, first.utilization_percent) == (False, (0,))


def test_a_card_that_a_task_of_ours_has_just_left_empty_is_given_at_once(server: Server) -> None:
    server.steps(SAMPLES)
    server.holds(0)
    server.gpus.use(0, used="40G", utilization=100)
    server.steps(SAMPLES)
    server.holds()
    server.gpus.use(0, used="0G", utilization=100)
    first, _ = server.step()
    assert (first.has_stranger, first.utilization_percent) == (False, (0,))
    if not server.may_be_given(0):
        first, _ = server.step(0.01)
        assert server.may_be_given(0)
    for _ in range(int(SETTLES_S / EVERY_S) - 2):
        assert server.step()[0].utilization_percent == (0,), "the gauge still shows what was ours"
    server.gpus.use(0, used="0G", utilization=0)
    assert server.steps(SAMPLES + 2)[0].utilization_percent == (0,) * SAMPLES


def test_a_part_of_a_card_beside_our_own_task_waits_for_a_look_alone(server: Server) -> None:
    server.gpus.use(0, used="40G", utilization=100)
    server.ours = {uuid(0): (Lease("/tries/500-a.try1.abc", 40 * GIB),)}
    server.step()
    server.step(FRESH_S + 0.1)
    assert not server.may_be_given(0)
    assert server.gpus.sampled == {uuid(1)}, "what our task does there says nothing"
    server.step(0.01)
    assert server.may_be_given(0)


def test_a_card_that_our_task_has_just_left_alarms_nobody_until_it_is_read(server: Server) -> None:
    server.gpus.use(0, used="40G", utilization=100)
    server.holds(0)
    server.steps(2)
    server.holds()
    left = server.step()
    verdict = shared(left[0], None, Terms(GIB)).state
    assert verdict is GpuState.UNKNOWN, "it has no readings yet, and is not given"
    assert told_states({uuid(0): verdict}, server.tenants) == {uuid(0): GpuState.BUSY}
    server.steps(60)
    assert told_states({uuid(0): GpuState.UNKNOWN}, server.tenants) == {uuid(0): GpuState.UNKNOWN}, (
        "it is time to say so"
    )
    assert told_states({uuid(1): GpuState.UNKNOWN}, server.tenants) == {uuid(1): GpuState.UNKNOWN}, "never ours"


def test_a_filler_is_nobody_else(server: Server) -> None:
    server.steps(SAMPLES)
    server.cards.fillers = {uuid(0): Footprint(0, 60 * GIB)}
    server.gpus.use(0, used="50G", utilization=80)
    server.lookout.found = {0: (replace(python(), is_filler=True),), 1: ()}
    first, second = server.steps(SAMPLES)
    assert (first.has_stranger, first.has_user_python, first.tells_utilization) == (False, False, False)
    assert second.tells_utilization


def test_a_mig_device_has_no_utilisation(server: Server) -> None:
    server.gpus.is_mig = True
    assert not server.step()[0].tells_utilization


def test_one_context_keeps_everybody_off_a_card_of_exclusive_mode(server: Server) -> None:
    exclusive = ComputeMode.EXCLUSIVE_PROCESS.value
    server.gpus.use(0, compute_mode=exclusive)
    server.gpus.use(1, compute_mode=exclusive, used="1G")
    server.lookout.found = {0: (replace(python(), is_python=False),), 1: ()}
    server.steps(2)
    first, second = server.step()
    assert (first.has_stranger, second.has_stranger) == (True, True)
    server.lookout.found = {0: (), 1: ()}
    server.gpus.use(1, compute_mode=exclusive)
    first, second = server.steps(40)
    assert (first.has_stranger, second.has_stranger) == (False, False)
    server.ours = {uuid(index): (Lease("/tries/500-a.try1.abc", 4 * GIB),) for index in (0, 1)}
    server.gpus.use(0)
    server.gpus.use(1, compute_mode=exclusive, used="1G")
    server.lookout.found = {0: (), 1: (python(claim="500-a.try1.abc"),)}
    first, second = server.steps(30)
    assert not second.has_stranger, "it is our own task"
    assert (first.reserved[0].reserve_bytes, second.reserved[0].reserve_bytes) == (4 * GIB, None), "nobody beside it"
    server.holds()
    server.gpus.use(1, compute_mode=exclusive)
    assert not server.step()[1].has_stranger, "the last look saw it, and it has gone"


def test_a_card_that_nobody_may_use_is_not_competed_for(server: Server) -> None:
    server.gpus.use(1, compute_mode=ComputeMode.PROHIBITED.value)
    assert [card.is_competed for card in server.step()] == [True, False]


def test_the_list_counts_and_what_it_names_in_vain_is_told_once(server: Server) -> None:
    server.sharing = Sharing(compete_gpus=("1", "0", "7", "\x1b[31m"), gpu_left=GpuLeft(1), check_time_s=CHECK_S)
    server.steps(3)
    assert [card.is_competed for card in server.step()] == [False, True]
    (said,) = server.said
    assert said.startswith("compete_gpus: 7, ")
    assert "\x1b" not in said


def test_cards_that_others_use_are_sampled_while_tasks_wait_and_no_longer(server: Server) -> None:
    server.sharing = Sharing(compete_gpus=("0",), check_time_s=CHECK_S)
    server.step()
    server.cards.watch_foreign({uuid(0): GpuState.FOREIGN, uuid(1): GpuState.FOREIGN}, server.now, server.agenda)
    assert server.gpus.sampled == {uuid(0)}, "the other one is never given"
    assert server.agenda.at(Duty.PLAN) <= server.now + max(EVERY_S, FOREIGN_TICK_S)
    server.step(SAMPLED_FOR_S + 0.1)
    server.step()
    assert server.gpus.sampled == frozenset()
    server.agenda.take(Duty.PLAN, float("inf"))
    server.cards.watch_foreign({uuid(0): GpuState.BUSY, uuid(1): GpuState.FOREIGN}, server.now, server.agenda)
    assert (server.gpus.sampled, server.agenda.at(Duty.PLAN)) == (frozenset(), NEVER)
