"""The band as gauges of all windows show it, held by the real pace and the real controller, in a time of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.band import Band
from gpu_queue.gpus.devices import Gpu, Health
from gpu_queue.keepalive.controller import Controller
from gpu_queue.keepalive.facts import KeepFacts, WorkerFacts
from gpu_queue.keepalive.keeper import Keeper, KeepState, Rules
from tests.keepalive.gauge import SPEC, UUID, Gauge

GIB = 1 << 30
WINDOWS_S = (0.1, 0.167, 0.5, 1.0)
"""From the shortest to the longest over which drivers average."""
PROMPT_S, LATE_S = 0.0005, 0.005
"""How late a worker wakes at most, on a host that has time for it and on one that has little."""
TASK = "/node/tries/a-task"


@contextmanager
def a_gauge(base: Path, window_s: float, late_s: float, *, keeps_value: bool = False) -> Iterator[Gauge]:
    gauge = Gauge(base / "plant", window_s, SPEC.tile_s, late_s, keeps_value=keeps_value)
    yield gauge
    gauge.close()


@pytest.mark.parametrize(
    ("window_s", "late_s", "least"),
    # Measured: 99.5 % with the shortest window and a busy host, 100 % with all others.  With launches of 7.9 ms in
    # periods of 30 ms it was 97.1 and 97.8 %.
    [(0.1, LATE_S, 0.99), (0.1, PROMPT_S, 0.998), *((window_s, LATE_S, 0.999) for window_s in WINDOWS_S[1:])],
)
def test_of_ten_readings_a_second_nearly_all_are_in_the_band(
    tmp_path: Path, window_s: float, late_s: float, least: float
) -> None:
    controller, readings = Controller(Band()), []
    with a_gauge(tmp_path, window_s, late_s) as gauge:
        controller.restart(gauge.now)
        for _ in range(3000):
            reading, mean = gauge.run(controller.duty)
            controller.step(gauge.now, mean)
            readings.append(reading)
    settled = readings[50:]
    assert sum(70 <= reading <= 85 for reading in settled) / len(settled) >= least
    assert sum(settled) / len(settled) == pytest.approx(77.5, abs=0.5)


@pytest.mark.parametrize("is_light", [True, False], ids=["light", "alone"])
@pytest.mark.parametrize("window_s", WINDOWS_S[:1])  # the shortest scatters most
@pytest.mark.parametrize("minutes", [10, pytest.param(62, marks=pytest.mark.long)])
def test_the_scatter_of_the_gauge_is_not_taken_for_somebody_else(
    tmp_path: Path, minutes: int, window_s: float, is_light: bool
) -> None:
    rules = Rules(Band(), hold_leased=True, hold_leased_after_s=1.0, quiet_s=1.0)
    keeper = Keeper(UUID, rules, lambda: 0.0)
    worker: WorkerFacts | None = None
    holder = TASK if is_light else ""
    before, held_bytes = (10 * GIB if is_light else 0), 0
    with a_gauge(tmp_path, window_s, LATE_S, keeps_value=True) as gauge:
        for tick in range(minutes * 600):
            reading, mean = gauge.run(keeper.duty if worker else 0.0)
            if worker is not None and tick % 5 == 0:
                worker = WorkerFacts(True, True, held_bytes, gauge.busy, 1.0, worker.reports + 1, gauge.now)
            used_bytes = before + (held_bytes + GIB // 2 if worker else 0)
            gpu = Gpu(UUID, 0, "a card", 80 * GIB, used_bytes, reading, None, None, Health.OK)
            order = keeper.step(KeepFacts(gauge.now, gpu, mean, holder=holder, holder_runs=is_light, worker=worker))
            assert not order.leave, f"after {tick / 10:.0f} s: {keeper.reason}"
            if order.start_bytes is not None:
                held_bytes = order.start_bytes
                worker = WorkerFacts(True, True, held_bytes, heard_at=gauge.now)
    assert keeper.state is KeepState.HOLDING
    assert keeper.is_light is is_light
    assert gauge.launches > minutes * 600
