"""The thread that asks NVML, over the fake driver's library: what hangs hinders nobody else."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_queue.errors import DeviceError
from gpu_queue.gpus import nvml, reader
from gpu_queue.gpus.asking import Question
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health, Readings
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.reader import Reader
from tests.execution.helpers import wait_until
from tests.fake_nvml import GIB, FakeGpu, FakeSlice, Scenario
from tests.gpus.conftest import Use

MEMORY = "nvmlDeviceGetMemoryInfo_v2"
UTILIZATION = "nvmlDeviceGetUtilizationRates"
NO_ONE: frozenset[str] = frozenset()

Begin = Callable[..., Reader]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow is what takes 0.3 s, and old what was asked 2.5 s ago: readings come once a second."""
    monkeypatch.setattr(nvml, "SLOW_S", 0.3)
    monkeypatch.setattr(reader, "SLOW_S", 0.3)
    monkeypatch.setattr(reader, "TOO_OLD_S", 2.5)


@pytest.fixture
def begin(node: Scenario) -> Iterator[Begin]:
    """Makes readers; at the end nothing hangs, and all their threads have gone."""
    made: list[Reader] = []

    def one(within_s: float = 20.0, say: Callable[[str], None] = lambda _: None) -> Reader:
        made.append(Reader(NvmlDevices()))
        made[-1].begin(say, within_s)
        return made[-1]

    yield one
    node.hangs, node.slow = set(), {}
    for gpu in node.gpus:
        gpu.hangs, gpu.slow = set(), {}
    node.write()
    for each in made:
        each.close()
    wait_until(lambda: not threads())


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nvml"]


def healths(readings: Readings) -> list[Health]:
    return [gpu.health for gpu in readings.snapshot()]


def used(readings: Readings) -> list[int | None]:
    return [gpu.memory_used_bytes for gpu in readings.snapshot()]


def calls_of(node: Scenario, card: int, since: float) -> list[str]:
    return [call.function for call in node.calls() if call.card == card and call.at_s >= since]


def test_the_first_reading_is_that_of_the_layer(node: Scenario, begin: Begin) -> None:
    node.gpus[1].slices = [FakeSlice("MIG-x", used=GIB), FakeSlice("MIG-y")]
    node.gpus[2].used = 5 * GIB
    node.write()
    readings: Readings = begin()
    assert readings.snapshot() == NvmlDevices().snapshot()
    assert readings.describe() == NvmlDevices().describe()
    assert readings.kind == "nvml"


def test_it_is_read_again_by_itself(node: Scenario, begin: Begin) -> None:
    readings = begin()
    node.gpus[0].used = GIB
    node.write()
    wait_until(lambda: used(readings)[0] == GIB)


def test_a_watched_card_is_read_ten_times_a_second_and_its_news_told(node: Scenario, begin: Begin) -> None:
    readings, woken = begin(), threading.Event()
    readings.wake_by(woken.set)
    assert not readings.take_news(), "nobody looks closely yet"
    readings.attend({"GPU-b"}, NO_ONE)
    assert woken.wait(5)
    assert readings.take_news() == {"GPU-b"}
    since = time.monotonic()
    wait_until(lambda: calls_of(node, 1, since).count(MEMORY) >= 10)
    took_s = time.monotonic() - since
    assert took_s > 0.8
    assert calls_of(node, 0, since).count(MEMORY) <= took_s + 1


def test_a_hurried_card_is_read_at_once(node: Scenario, begin: Begin) -> None:
    readings = begin()

    def took_s() -> float:
        wait_until(lambda: time.monotonic() - readings.read_at("GPU-c") > 0.1)
        since = time.monotonic()
        readings.attend(NO_ONE, {"GPU-c"})
        wait_until(lambda: readings.read_at("GPU-c") >= since)
        took_s = time.monotonic() - since
        assert readings.take_news() == {"GPU-c"}
        readings.attend(NO_ONE, NO_ONE)
        return took_s

    # When its turn comes it takes up to a second, each time; a busy machine is not slow five times.
    assert min(took_s() for _ in range(5)) < 0.2


def test_a_sampled_card_tells_when_its_utilisation_was_asked_for_and_not_before_it_is_known(
    node: Scenario, begin: Begin
) -> None:
    readings = begin()
    since = time.monotonic()
    readings.attend(NO_ONE, NO_ONE, {"GPU-b"})
    wait_until(lambda: readings.sampled_at("GPU-b") > since + 1.0)
    assert calls_of(node, 1, since).count(UTILIZATION) >= 4
    assert not readings.take_news(), "nobody has to be woken for it"
    node.gpus[1].hangs = {UTILIZATION}
    node.write()
    wait_until(lambda: readings.sampled_at("GPU-b") == float("-inf"))
    node.gpus[1].hangs = set()
    node.write()
    wait_until(lambda: readings.sampled_at("GPU-b") > since)
    assert readings.sampled_at("GPU-nobody") == float("-inf")


def test_eight_cards_with_fillers_take_at_most_200_calls_in_any_second(node: Scenario, begin: Begin) -> None:
    node.gpus = [FakeGpu(f"GPU-{place}") for place in range(8)]
    node.write()
    readings = begin()
    since = time.monotonic()
    readings.attend({gpu.uuid for gpu in node.gpus}, NO_ONE)
    wait_until(lambda: time.monotonic() - since > 3)
    times = [call.at_s for call in node.calls() if since <= call.at_s < since + 3]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 200
    assert sum(call.function == MEMORY for call in node.calls()) > 8 * 20, "they are watched"
    names = [call.function for call in node.calls()]
    assert names.count("nvmlDeviceGetName") == names.count("nvmlDeviceGetUUID") == 8, "once each"


def test_the_compute_mode_is_read_now_and_then(node: Scenario, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_queue.gpus.asking.MODES_S", 0.5)
    readings = begin()

    def wait_for(mode: ComputeMode | None) -> None:
        node.write()
        wait_until(lambda: readings.snapshot()[0].compute_mode is mode)

    for number, mode in (
        (3, ComputeMode.EXCLUSIVE_PROCESS),
        (2, ComputeMode.PROHIBITED),
        (1, ComputeMode.EXCLUSIVE_PROCESS),
        (0, ComputeMode.DEFAULT),
    ):
        node.gpus[0].compute = number
        wait_for(mode)
    node.gpus[0].fails["nvmlDeviceGetComputeMode"] = 3
    wait_for(None)
    assert healths(readings)[0] is Health.OK


# -- slow and hanging -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_a_card_that_hangs_becomes_unknown_and_the_others_go_on(node: Scenario, begin: Begin) -> None:
    readings = begin()
    node.gpus[1].hangs, node.gpus[2].used = {MEMORY}, GIB
    node.write()
    slowest_s = 0.0

    def others_go_on() -> bool:
        nonlocal slowest_s
        begun = time.monotonic()
        found = readings.snapshot()
        slowest_s = max(slowest_s, time.monotonic() - begun)
        assert [found[0].health, found[2].health] == [Health.OK] * 2, found
        return found[1].health is Health.UNKNOWN

    wait_until(others_go_on)
    assert slowest_s < 0.2, "nobody waits for the driver"
    wait_until(lambda: used(readings)[2] == GIB)
    hanging = readings.snapshot()[1]
    assert hanging.problem.startswith("card 1 was last read ")
    assert "the driver has not answered for " in hanging.problem
    assert (hanging.uuid, hanging.memory_used_bytes) == ("GPU-b", None)
    assert len(threads()) == 2
    node.gpus[1].hangs = set()
    node.write()
    wait_until(lambda: len(threads()) == 1)


@pytest.mark.usefixtures("quick")
def test_where_the_whole_driver_hangs_all_are_unknown_and_two_threads_wait(node: Scenario, begin: Begin) -> None:
    readings = begin()
    before = readings.snapshot()
    for gpu in node.gpus:
        gpu.hangs = {"*"}
    node.write()
    wait_until(lambda: set(healths(readings)) == {Health.UNKNOWN})
    waiting = [gpu for gpu in readings.snapshot() if "has not answered what was asked of card" in gpu.problem]
    assert len(waiting) == 1, "the third card, which nobody asks"
    assert len(threads()) == reader.THREADS
    begun = time.monotonic()
    readings.close()
    assert time.monotonic() - begun < 3
    for gpu in node.gpus:
        gpu.hangs = set()
    node.write()
    wait_until(lambda: not threads())
    assert len(before) == 3


@pytest.mark.usefixtures("quick")
def test_when_the_driver_answers_again_all_are_read(
    node: Scenario, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "REST_S", 0.2)
    readings = begin()
    for gpu in node.gpus:
        gpu.hangs = {"*"}
    node.write()
    wait_until(lambda: set(healths(readings)) == {Health.UNKNOWN})
    for gpu in node.gpus:
        gpu.hangs = set()
    node.write()
    wait_until(lambda: set(healths(readings)) == {Health.OK})


@pytest.mark.usefixtures("quick")
def test_a_card_rests_after_a_slow_answer_and_is_asked_nothing(
    node: Scenario, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "REST_S", 3.0)
    readings = begin()
    readings.attend({"GPU-a", "GPU-b", "GPU-c"}, NO_ONE)
    node.gpus[0].slow = {MEMORY: 400}
    node.write()
    wait_until(lambda: "its answer took" in readings.snapshot()[0].problem)
    node.gpus[0].slow = {}
    node.write()
    assert "is asked again in" in readings.snapshot()[0].problem
    asked = [call.at_s for call in node.calls() if call.card == 0]
    wait_until(lambda: healths(readings)[0] is Health.OK)
    again = [call.at_s for call in node.calls() if call.card == 0]
    pause_s = again[len(asked)] - asked[-1]
    assert 3.0 <= pause_s < 10, "it rested"
    others = [call.at_s for call in node.calls() if call.card == 1]
    assert max(later - earlier for earlier, later in itertools.pairwise(others)) < 2


def test_a_card_rests_for_a_minute_after_an_answer_of_more_than_two_seconds() -> None:
    assert (nvml.SLOW_S, reader.REST_S) == (2.0, 60.0)
    assert nvml.SLOW_S + 1 < reader.TOO_OLD_S, "the others are read on before they are too old"


# -- its start ------------------------------------------------------------------------------------------------------


def test_a_start_that_fails_says_why(node: Scenario, begin: Begin) -> None:
    node.init = 9
    node.write()
    with pytest.raises(DeviceError, match="driver is installed but not loaded"):
        begin()


def test_a_driver_that_hangs_at_the_start_is_told_and_not_waited_for_for_ever(
    node: Scenario, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SAID_AFTER_S", 0.2)
    node.hangs = {"nvmlInitWithFlags"}
    node.write()
    said: list[str] = []
    with pytest.raises(DeviceError, match=r"has not answered for .*nvidia-smi.*--simulate 4"):
        begin(0.6, said.append)
    assert len(said) == 1
    assert "waiting for it, at most" in said[0]


@pytest.mark.usefixtures("quick")
def test_a_card_that_hangs_from_the_start_keeps_no_agent_from_starting(node: Scenario, begin: Begin) -> None:
    node.gpus[0].hangs = {"nvmlDeviceGetHandleByIndex_v2"}
    node.write()
    readings = begin()
    assert healths(readings) == [Health.UNKNOWN, Health.OK, Health.OK]
    first = readings.snapshot()[0]
    assert (first.uuid, first.index) == ("index-0", 0)
    assert "card 0 was never read: the driver has not answered for" in first.problem


# -- a driver that comes and goes -----------------------------------------------------------------------------------


def test_a_reload_of_the_driver_is_outlived(node: Scenario, begin: Begin) -> None:
    readings = begin()
    node.load += 1
    node.gpus[0].used = GIB
    node.write()
    wait_until(lambda: used(readings) == [GIB, 0, 0])


def test_while_the_driver_is_away_every_card_is_unknown_and_it_is_tried_once_a_second(
    node: Scenario, begin: Begin
) -> None:
    readings = begin()
    before = readings.snapshot()
    node.load, node.init = 2, 18
    node.write()
    wait_until(lambda: {gpu.problem for gpu in readings.snapshot()} == {nvml.UPGRADED})
    assert [(gpu.uuid, gpu.health) for gpu in readings.snapshot()] == [(gpu.uuid, Health.UNKNOWN) for gpu in before]
    since = time.monotonic()
    wait_until(lambda: time.monotonic() - since > 2.5)
    starts = [call for call in node.calls() if call.function == "nvmlInitWithFlags" and call.at_s >= since]
    assert 1 <= len(starts) <= 4
    node.init = 0
    node.write()
    wait_until(lambda: readings.snapshot() == before)


@pytest.mark.usefixtures("quick")
def test_nvml_is_not_started_again_under_a_call_that_hangs(node: Scenario, begin: Begin) -> None:
    readings = begin()
    node.gpus[0].hangs = {MEMORY}
    node.write()
    wait_until(lambda: healths(readings)[0] is Health.UNKNOWN)
    since = time.monotonic()
    node.load += 1
    node.write()
    wait_until(lambda: set(healths(readings)) == {Health.UNKNOWN})
    wait_until(lambda: time.monotonic() - since > 1.5)
    driver = {call.function for call in node.calls() if call.card < 0 and call.at_s > since}
    assert not driver & {"nvmlShutdown", "nvmlInitWithFlags"}
    node.gpus[0].hangs = set()
    node.write()
    wait_until(lambda: healths(readings)[1:] == [Health.OK, Health.OK])


def test_a_lost_card_is_asked_on_and_comes_back(node: Scenario, begin: Begin) -> None:
    readings = begin()
    before = readings.snapshot()
    node.gpus[1].state = 15
    node.write()
    wait_until(lambda: healths(readings) == [Health.OK, Health.LOST, Health.OK])
    node.gpus[1].state = 0
    node.write()
    wait_until(lambda: readings.snapshot() == before)


def test_a_fault_of_ours_costs_one_card(node: Scenario, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = begin()
    read = NvmlDevices.read

    def broken(self: NvmlDevices, card: nvml.Card, questions: frozenset[Question]) -> tuple[Gpu, ...]:
        if card.index == 0:
            raise ZeroDivisionError("oh")
        return read(self, card, questions)

    monkeypatch.setattr(NvmlDevices, "read", broken)
    wait_until(lambda: "it cannot be read: ZeroDivisionError('oh')" in readings.snapshot()[0].problem)
    node.gpus[1].used = GIB
    node.write()
    wait_until(lambda: used(readings)[1] == GIB)


# -- the stand-in itself --------------------------------------------------------------------------------------------


def test_what_the_driver_reserves_is_neither_used_nor_free(node: Scenario, use: Use, library: Path) -> None:
    use(library)
    node.gpus[0].used, node.gpus[0].reserved = 3 * GIB, GIB
    node.write()
    gpu = NvmlDevices().snapshot()[0]
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.memory_free_bytes) == (80 * GIB, 3 * GIB, 76 * GIB)


def test_a_slow_one_shot_reading_gives_a_card_up(node: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "SLOW_S", 0.1)
    node.gpus[1].slow = {"*": 150}
    node.write()
    begun = time.monotonic()
    assert [gpu.health for gpu in NvmlDevices().snapshot()] == [Health.OK, Health.UNKNOWN, Health.OK]
    assert time.monotonic() - begun < 2, "after its first answer it is asked nothing more"
