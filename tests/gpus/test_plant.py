"""Simulated loads: what writers put down and readers make of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_queue.gpus.plant import KERNELS, Load, Plant, Usage
from gpu_queue.gpus.simulated import SimulatedDevices
from tests.execution.helpers import wait_until
from tests.gpus.gpu_builders import GIB

CARD = "GPU-00000000-0000-0000-0000-000000000000"
OTHER = "GPU-00000000-0000-0000-0000-000000000001"
MS = 1_000_000
NOW = 10_000 * MS

Make = Callable[..., Load]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes loads, and ends them."""
    made: list[Load] = []

    def load(uuid: str = CARD) -> Load:
        made.append(Load(str(tmp_path), uuid))
        return made[-1]

    yield load
    for one in made:
        one.close()


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(str(tmp_path), window_s=0.5)


def run_kernels(load: Load, *, every: int, each: int, until: int = NOW, count: int = 100) -> None:
    """Kernels of ``each`` ms, one in ``every`` ms, the last round ending ``until``."""
    for place in reversed(range(count)):
        begin_ns = until - (place + 1) * every * MS
        load.book(begin_ns, begin_ns + each * MS)


def test_a_directory_that_is_not_there_has_no_loads(tmp_path: Path) -> None:
    assert Plant(str(tmp_path / "nowhere")).read(NOW) == {}


def test_loads_add_up_on_their_own_card_only(make: Make, plant: Plant) -> None:
    first, second, elsewhere = make(), make(), make(OTHER)
    first.hold(3 * GIB)
    second.hold(4 * GIB)
    run_kernels(elsewhere, every=10, each=4)
    assert plant.read(NOW).keys() == {CARD, OTHER}
    assert plant.read(NOW)[CARD] == Usage(7 * GIB, 0.0)
    assert plant.read(NOW)[OTHER].busy_share == pytest.approx(0.4)


def test_kernels_that_run_at_the_same_time_count_once(make: Make, plant: Plant) -> None:
    run_kernels(make(), every=10, each=4)
    run_kernels(make(), every=10, each=6)
    assert plant.read(NOW)[CARD].busy_share == pytest.approx(0.6)


def test_what_ran_before_the_window_is_forgotten(make: Make, plant: Plant) -> None:
    load = make()
    run_kernels(load, every=10, each=8, until=NOW - 250 * MS)
    assert plant.read(NOW)[CARD].busy_share == pytest.approx(0.4)
    assert plant.read(NOW + 600 * MS)[CARD].busy_share == 0


def test_a_kernel_that_still_runs_counts_up_to_now(make: Make, plant: Plant) -> None:
    load = make()
    load.begin()
    assert plant.read(time.monotonic_ns() + 5_000 * MS)[CARD].busy_share == 1
    load.end()
    assert plant.read(time.monotonic_ns() + 5_000 * MS)[CARD].busy_share == 0


def test_a_kernel_that_was_booked_ahead_counts_up_to_now(make: Make, plant: Plant) -> None:
    make().book(NOW - 100 * MS, NOW + 900 * MS)
    assert plant.read(NOW)[CARD].busy_share == pytest.approx(0.2)


def test_kernels_so_short_that_the_file_forgets_them_still_give_the_share(make: Make, plant: Plant) -> None:
    run_kernels(make(), every=1, each=1, count=10)
    load = make(OTHER)
    for place in reversed(range(3 * KERNELS)):
        begin_ns = NOW - (place + 1) * MS
        load.book(begin_ns, begin_ns + MS // 4)
    assert plant.read(NOW)[OTHER].busy_share == pytest.approx(0.25, abs=0.01)


def test_another_load_is_told_from_ones_own(make: Make, plant: Plant) -> None:
    ours, theirs = make(), make()
    ours.begin()
    assert not plant.is_busy(CARD, time.monotonic_ns(), besides=ours)
    theirs.begin()
    assert plant.is_busy(CARD, time.monotonic_ns(), besides=ours)
    assert not plant.is_busy(OTHER, time.monotonic_ns(), besides=ours)
    theirs.end()
    assert not plant.is_busy(CARD, time.monotonic_ns(), besides=ours)


def test_a_load_that_is_closed_is_gone(make: Make, plant: Plant, tmp_path: Path) -> None:
    load = make()
    load.close()
    load.close()
    assert (plant.read(NOW), os.listdir(tmp_path)) == ({}, [])


def test_the_file_of_a_writer_that_was_killed_counts_nothing_and_is_removed(tmp_path: Path, plant: Plant) -> None:
    arguments = ["--directory", str(tmp_path), "--uuid", CARD, "--memory", "10G", "--busy", "1", "--for", "1m"]
    with subprocess.Popen([sys.executable, "-m", "gpu_queue.gpus.plant", *arguments]) as writer:
        wait_until(lambda: plant.read(time.monotonic_ns()).get(CARD, Usage(0, 0)).held_bytes == 10 * GIB)
        writer.send_signal(signal.SIGKILL)
    assert (plant.read(time.monotonic_ns()), os.listdir(tmp_path)) == ({}, [])


def test_other_files_are_left_alone(tmp_path: Path, plant: Plant) -> None:
    (tmp_path / "notes").write_text("mine")
    assert plant.read(NOW) == {}
    assert os.listdir(tmp_path) == ["notes"]


@pytest.mark.parametrize("uuid", ["", "MIG-GPU-1/7/0", "a.b", ".."])
def test_a_name_that_is_no_uuid_is_refused(tmp_path: Path, uuid: str) -> None:
    with pytest.raises(ValueError, match="is no UUID of a simulated GPU"):
        Load(str(tmp_path), uuid)


def test_a_load_by_hand_ends_by_itself(tmp_path: Path) -> None:
    arguments = ["--directory", str(tmp_path), "--uuid", CARD, "--busy", "0.4", "--for", "0.1s"]
    subprocess.run([sys.executable, "-m", "gpu_queue.gpus.plant", *arguments], check=True, timeout=30)
    assert os.listdir(tmp_path) == []


def test_simulated_cards_carry_the_loads_on_top_of_their_state_file(make: Make, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text('{"0": {"used": "10G", "utilization": 30}, "1": {"lost": true}}')
    devices = SimulatedDevices.parse("3x80G", str(state), plant=str(tmp_path))
    load, on_lost = make(), make(OTHER)
    load.hold(20 * GIB)
    load.begin()
    on_lost.hold(GIB)
    wait_until(lambda: devices.snapshot()[0].utilization_percent == 100)
    busy, lost, idle = devices.snapshot()
    assert busy.memory_used_bytes == 30 * GIB
    assert lost.memory_used_bytes is None
    assert (idle.memory_used_bytes, idle.utilization_percent) == (0, 0)
    load.hold(200 * GIB)
    assert devices.snapshot()[0].memory_used_bytes == 80 * GIB
