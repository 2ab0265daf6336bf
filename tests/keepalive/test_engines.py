"""How engines fill a card and load it; on a stand-in for a card and its driver."""

from __future__ import annotations

import functools
import importlib
import math
import os
import time
import warnings
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from gpu_queue.keepalive.protocol import WorkerSpec
from tests.keepalive.nursery import GIB, needs_torch

pytestmark = needs_torch

UUID = "GPU-8f6d3c1e-0000-4a5b-9c7d-123456789abc"
SPEC = WorkerSpec(UUID, "matmul", total_bytes=80 * GIB, goal_bytes=48 * GIB, matrix_size=26624)
CONTEXT_BYTES = GIB // 2


@functools.cache
def engines() -> Any:
    """The module, imported when it is first needed: torch takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns when numpy is not there
        return importlib.import_module("gpu_queue.keepalive.engines")


class Shelf:
    """Memory that runs out."""

    def __init__(self, room_bytes: int):
        self.room_bytes = room_bytes
        self.attempts = 0
        self.given_back = 0

    def allocate(self, size_bytes: int) -> list[int]:
        self.attempts += 1
        if size_bytes > self.room_bytes:
            raise engines().OUT_OF_MEMORY("no room")
        self.room_bytes -= size_bytes
        return [size_bytes]

    def fill(self, goal_bytes: int) -> tuple[int, int]:
        """What was got of a goal, and the halvings."""
        before = self.room_bytes

        def give_back() -> None:
            self.given_back += 1
            self.room_bytes = before

        blocks, halvings = engines().fill(goal_bytes, self.allocate, give_back, lambda: None)
        return sum(block[0] for block in blocks), halvings


@pytest.mark.parametrize(
    ("goal", "room", "got", "halvings"),
    [
        (48 * GIB, 80 * GIB, 48 * GIB, 0),
        (48 * GIB + 5, 80 * GIB, 48 * GIB + 5, 0),
        (0, 0, 0, 0),
        (-3, 0, 0, 0),
        (48 * GIB, 47 * GIB, 24 * GIB, 1),
        (48 * GIB, 15 * GIB, 12 * GIB, 2),
        (48 * GIB, 0, 0, 7),
    ],
)
def test_what_does_not_fit_is_halved_and_in_the_end_given_up(goal: int, room: int, got: int, halvings: int) -> None:
    shelf = Shelf(room)
    assert shelf.fill(goal) == (got, halvings)
    assert shelf.given_back == halvings
    assert shelf.attempts < 200


def test_filling_up_stops_when_it_is_time_to_leave() -> None:
    shelf = Shelf(80 * GIB)
    looks = iter(range(5))

    def look() -> None:
        if next(looks, None) is None:
            raise KeyError("leave")

    with pytest.raises(KeyError):
        engines().fill(48 * GIB, shelf.allocate, lambda: None, look)
    assert shelf.attempts == 5


# -- the engines of real cards, on a stand-in for torch and the card


@dataclass
class FakeEvent:
    """A moment in the card's time."""

    torch: FakeTorch
    blocking: bool
    at_ms: float = 0.0

    def record(self) -> None:
        self.at_ms = self.torch.card_ms

    def synchronize(self) -> None:
        assert self.blocking, "a wait that spins"
        assert not self.torch.synced_in_flight
        self.torch.in_flight = 0

    def elapsed_time(self, other: FakeEvent) -> float:
        return other.at_ms - self.at_ms


class FakeTensor:
    """So many bytes of a card, until nobody refers to them."""

    def __init__(self, torch: FakeTorch, shape: tuple[int, ...], width: int, is_zero: bool = False):
        self.torch = torch
        self.shape = shape
        self.width = width
        self.is_zero = is_zero
        self.size_bytes = math.prod(shape) * width
        torch.take(self.size_bytes)

    def __del__(self) -> None:
        self.torch.live_bytes -= self.size_bytes


class FakeTorch:
    """As much of torch and CUDA as the engines use, with a card of 80 GiB at 700 TFLOP/s and 2 GHz."""

    uint8, float16 = 1, 2
    __version__ = "2.1.0"

    def __init__(self) -> None:
        self.card_ms = 0.0
        self.slowness = 1.0
        self.clock_hz = 2e9
        self.in_flight = 0
        self.synced_in_flight = False
        self.live_bytes = 0
        self.reserved_bytes = 0
        self.room_bytes = 80 * GIB - CONTEXT_BYTES
        self.capped_bytes = 1 << 60
        self.multiplies_zeros: bool | None = None
        self.visible: str | None = None
        self.uuid: object = UUID.removeprefix("GPU-")
        self.count = 1
        self.OutOfMemoryError = engines().OUT_OF_MEMORY
        self.version = SimpleNamespace(cuda="12.1")
        self.cuda = SimpleNamespace(
            Event=lambda enable_timing, blocking: FakeEvent(self, blocking),
            init=self.init,
            device_count=lambda: self.count,
            get_device_properties=lambda _: SimpleNamespace(uuid=self.uuid, total_memory=80 * GIB),
            set_per_process_memory_fraction=self.cap,
            memory_reserved=lambda _: self.reserved_bytes,
            empty_cache=self.empty_cache,
            _sleep=self.sleep,
        )

    def init(self) -> None:
        self.visible = os.environ["CUDA_VISIBLE_DEVICES"]

    def cap(self, fraction: float, device: int) -> None:
        assert isinstance(fraction, float)
        assert 0 < fraction <= 1
        assert device == 0
        self.capped_bytes = int(fraction * 80 * GIB)

    def take(self, size_bytes: int) -> None:
        if self.live_bytes + size_bytes > min(self.room_bytes, self.capped_bytes):
            self.live_bytes += size_bytes  # the tensor that is not made takes it off again
            raise engines().OUT_OF_MEMORY("CUDA out of memory. Tried to allocate")
        self.live_bytes += size_bytes
        self.reserved_bytes = max(self.reserved_bytes, self.live_bytes)

    def empty_cache(self) -> None:
        self.reserved_bytes = self.live_bytes

    def empty(self, *shape: int, dtype: int, device: str) -> FakeTensor:
        assert device == "cuda"
        return FakeTensor(self, shape, dtype)

    def randn(self, *shape: int, dtype: int, device: str) -> FakeTensor:
        return self.empty(*shape, dtype=dtype, device=device)

    def zeros(self, *shape: int, dtype: int, device: str) -> FakeTensor:
        return FakeTensor(self, shape, dtype, is_zero=True)

    def empty_like(self, other: FakeTensor) -> FakeTensor:
        return FakeTensor(self, other.shape, other.width)

    randn_like = empty_like

    def mm(self, a: FakeTensor, b: FakeTensor, *, out: FakeTensor) -> None:
        assert out is not a
        assert out is not b
        self.run(2 * a.shape[0] ** 3 / 700e9)
        self.multiplies_zeros = a.is_zero

    def sleep(self, cycles: int) -> None:
        assert isinstance(cycles, int)
        self.run(cycles / self.clock_hz * 1000)

    def run(self, ms: float) -> None:
        self.in_flight += 1
        self.card_ms += (0.004 + ms) * self.slowness


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    torch = FakeTorch()
    monkeypatch.setattr(engines(), "torch", torch)
    monkeypatch.setattr(engines(), "_ask_for_blocking_sync", lambda: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    return torch


def held(engine: Any) -> float:
    return float(engine.hold(lambda: None))


@pytest.mark.parametrize("kind", ["matmul", "zeros", "spin"])
def test_an_engine_holds_its_goal_measures_its_kernel_and_gives_all_back(fake: FakeTorch, kind: str) -> None:
    engine: Any = engines().make(replace(SPEC, engine=kind))
    assert engine.held_bytes == 0
    kernel_s = held(engine)
    assert fake.visible == UUID
    assert 0.004 < kernel_s <= 0.00505
    assert engine.held_bytes == pytest.approx(48 * GIB, rel=0.001)
    assert fake.live_bytes == engine.held_bytes
    assert engine.tile == (0 if kind == "spin" else 11264)  # 12288 would take 5.3 ms
    assert engine.launch() == pytest.approx(kernel_s, rel=0.01)
    engine.free()
    assert (fake.live_bytes, fake.reserved_bytes) == (0, 0)


def test_a_launch_takes_no_memory_and_leaves_nothing_in_flight(fake: FakeTorch) -> None:
    engine = engines().make(SPEC)
    held(engine)
    before = fake.reserved_bytes
    for _ in range(50):
        engine.launch()
        assert fake.in_flight == 0
    assert fake.reserved_bytes == before


def test_zeros_are_zeros_and_random_matrices_are_not(fake: FakeTorch) -> None:
    for kind, is_zero in (("zeros", True), ("matmul", False)):
        engine = engines().make(replace(SPEC, engine=kind))
        held(engine)
        engine.launch()
        assert fake.multiplies_zeros is is_zero
        engine.free()


def test_ballast_that_finds_no_room_is_halved(fake: FakeTorch) -> None:
    fake.room_bytes = 20 * GIB
    engine = engines().make(SPEC)
    held(engine)
    assert engine.halvings == 2
    assert engine.held_bytes == pytest.approx(12 * GIB, rel=0.1)


def test_matrices_that_find_no_room_are_smaller(fake: FakeTorch) -> None:
    fake.room_bytes = 300 << 20
    engine = engines().make(SPEC)
    held(engine)
    assert engine.tile == 7168
    engine.free()
    fake.room_bytes = 1 << 20
    none = engines().make(SPEC)
    with pytest.raises(engines().OUT_OF_MEMORY):
        held(none)
    none.free()
    assert fake.live_bytes == 0


def test_a_light_filler_holds_three_small_matrices(fake: FakeTorch) -> None:
    engine = engines().make(replace(SPEC, goal_bytes=0))
    held(engine)
    assert (engine.tile, engine.held_bytes) == (8192, 6 * 8192**2)
    spin = engines().make(replace(SPEC, goal_bytes=0, engine="spin"))
    engine.free()
    held(spin)
    assert spin.held_bytes == 0


def test_it_cannot_take_much_more_than_its_goal(fake: FakeTorch) -> None:
    held(engines().make(SPEC))
    assert fake.capped_bytes == pytest.approx(49 * GIB, rel=0.001)


def test_a_spin_follows_the_clock_but_not_a_tenant(fake: FakeTorch) -> None:
    engine = engines().make(replace(SPEC, engine="spin"))
    assert held(engine) == pytest.approx(0.005, rel=0.01)
    fake.clock_hz = 1.7e9
    for _ in range(300):
        engine.launch()
    assert engine.launch() == pytest.approx(0.005, rel=0.01)
    fake.slowness = 2.0
    for _ in range(300):
        engine.launch()
    assert engine.launch() == pytest.approx(0.01, rel=0.01)


def test_clocks_that_rise_while_it_is_measured_do_not_shorten_a_spin(fake: FakeTorch) -> None:
    fake.clock_hz = 0.3e9
    rising = fake.run

    def run(ms: float) -> None:
        fake.clock_hz = min(2e9, fake.clock_hz * 1.05)
        rising(ms)

    fake.run = run  # type: ignore[method-assign]
    assert held(engines().make(replace(SPEC, engine="spin"))) == pytest.approx(0.005, rel=0.06)


def test_without_a_spin_in_torch_it_says_what_to_choose(fake: FakeTorch) -> None:
    del fake.cuda._sleep
    with pytest.raises(RuntimeError, match=r"torch 2.1.0 has no torch.cuda._sleep; choose keepalive.engine: zeros"):
        held(engines().make(replace(SPEC, engine="spin")))


@pytest.mark.parametrize("kind", ["matmul", "spin"])
@pytest.mark.parametrize("clock_tells", ["nothing", "a thousandth"])
def test_a_card_whose_own_clock_is_wrong_gets_no_kernel_that_lasts_longer_than_50_ms(
    fake: FakeTorch, monkeypatch: pytest.MonkeyPatch, kind: str, clock_tells: str
) -> None:
    longest_ms, right, measure = 0.0, fake.run, FakeEvent.elapsed_time

    def run(ms: float) -> None:
        nonlocal longest_ms
        longest_ms = max(longest_ms, ms)
        time.sleep(ms / 1000)
        right(ms)

    def elapsed_time(begun: FakeEvent, ended: FakeEvent) -> float:
        return 0.0 if clock_tells == "nothing" else measure(begun, ended) / 1000

    fake.run = run  # type: ignore[method-assign]
    fake.clock_hz = 210e6
    monkeypatch.setattr(FakeEvent, "elapsed_time", elapsed_time)
    monkeypatch.setattr(engines(), "_CLOCKS_RISE_S", 0.0)
    engine = engines().make(replace(SPEC, engine=kind))
    kernel_s = held(engine)
    assert 0.001 < longest_ms / 1000 <= 0.05
    assert kernel_s > 0.001, "it is told by the host's clock"


@pytest.mark.parametrize(
    ("uuid", "count", "problem"),
    [
        ("11111111-0000-4a5b-9c7d-123456789abc", 1, "CUDA shows GPU 11111111-.* for GPU-8f6d3c1e"),
        (UUID, 2, "CUDA shows 2 GPUs for CUDA_VISIBLE_DEVICES=GPU-8f6d3c1e"),
    ],
)
def test_another_card_than_the_one_meant_is_left_alone(fake: FakeTorch, uuid: str, count: int, problem: str) -> None:
    fake.uuid, fake.count = uuid, count
    engine = engines().make(SPEC)
    with pytest.raises(RuntimeError, match=problem):
        held(engine)
    engine.free()
    assert fake.live_bytes == 0


@pytest.mark.parametrize("uuid", [UUID, UUID.upper().removeprefix("GPU-"), "", "\x8f\x6d<\x1e"])
def test_the_same_card_is_known_however_it_is_spelled_or_not_at_all(fake: FakeTorch, uuid: str) -> None:
    fake.uuid = uuid
    assert held(engines().make(SPEC)) > 0


def test_it_leaves_between_two_steps_of_its_start(fake: FakeTorch) -> None:
    engine = engines().make(SPEC)
    looks = iter(range(3))

    def look() -> None:
        if next(looks, None) is None:
            raise KeyError("leave")

    with pytest.raises(KeyError):
        engine.hold(look)
    engine.free()
    assert fake.live_bytes == 0
