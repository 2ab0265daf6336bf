"""The real NVML layer over a fake libnvidia-ml.so.1."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pynvml
import pytest

from gpu_queue.errors import DeviceError
from gpu_queue.gpus.devices import ComputeMode, Devices, Gpu, Health
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.plant import Load, Plant
from tests.execution.helpers import wait_until
from tests.fake_nvml import GIB, FakeGpu, FakeSlice, Scenario, build, environment
from tests.gpus.conftest import Use

UNINITIALIZED, NOT_SUPPORTED, TIMEOUT, LOST, RESET_REQUIRED, MISMATCH, UNKNOWN = 1, 3, 10, 15, 16, 18, 999


def health_of(gpus: tuple[Gpu, ...]) -> list[tuple[str, Health]]:
    return [(gpu.uuid, gpu.health) for gpu in gpus]


def test_a_snapshot_tells_what_each_card_is_and_does(node: Scenario) -> None:
    node.gpus[1].used, node.gpus[1].util, node.gpus[1].power = 10 * GIB, 40, 312_500
    node.write()
    devices: Devices = NvmlDevices()
    assert devices.kind == "nvml"
    assert devices.snapshot()[1] == Gpu(
        uuid="GPU-b",
        index=1,
        name="NVIDIA H100 80GB HBM3",
        memory_total_bytes=80 * GIB,
        memory_used_bytes=10 * GIB,
        utilization_percent=40,
        power_w=312.5,
        energy_j=1000.0,
        health=Health.OK,
        memory_free_bytes=80 * GIB - 10 * GIB - node.gpus[1].reserved,
        compute_mode=ComputeMode.DEFAULT,
        temperature_c=34,
        power_limit_w=700.0,
    )


def test_a_line_for_people_names_cards_driver_and_layer(node: Scenario) -> None:
    assert NvmlDevices().describe() == "3 GPUs (NVIDIA H100 80GB HBM3), driver 550.54.15, NVML"


@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED, 28, UNKNOWN])
def test_a_card_that_is_lost_stays_in_its_place_and_the_others_go_on(node: Scenario, code: int) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    node.gpus[1].state = code
    node.write()
    first, lost, last = devices.snapshot()
    assert (first, last) == (before[0], before[2])
    assert (lost.uuid, lost.index, lost.name) == ("GPU-b", 1, before[1].name)
    assert (lost.health, lost.memory_used_bytes, lost.utilization_percent) == (Health.LOST, None, None)
    assert lost.problem
    assert not lost.problem.startswith("b'")
    assert "1 lost" in devices.describe()

    node.gpus[1].state = 0
    node.write()
    assert devices.snapshot() == before


def test_a_card_that_is_lost_from_the_start_has_a_place_and_later_its_name(node: Scenario) -> None:
    node.gpus[1].state = LOST
    node.write()
    devices = NvmlDevices()
    assert health_of(devices.snapshot()) == [("GPU-a", Health.OK), ("index-1", Health.LOST), ("GPU-c", Health.OK)]
    node.gpus[1].state = 0
    node.write()
    assert health_of(devices.snapshot())[1] == ("GPU-b", Health.OK)


def test_a_card_that_cannot_be_asked_this_time_is_unknown(node: Scenario) -> None:
    devices = NvmlDevices()
    devices.snapshot()
    node.gpus[0].fails["nvmlDeviceGetMemoryInfo_v2"] = TIMEOUT
    node.write()
    gpu = devices.snapshot()[0]
    assert (gpu.uuid, gpu.health, gpu.problem, gpu.memory_used_bytes) == ("GPU-a", Health.UNKNOWN, "Timeout", None)


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_j"),
        ("nvmlDeviceGetUtilizationRates", "utilization_percent"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
    ],
)
@pytest.mark.parametrize("code", [NOT_SUPPORTED, UNKNOWN])
def test_a_question_that_a_card_does_not_support_costs_that_value_alone(
    node: Scenario, question: str, field: str, code: int
) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    node.gpus[0].fails[question] = code
    node.write()
    after = devices.snapshot()
    assert getattr(after[0], field) is None
    assert vars(after[0]) == {**vars(before[0]), field: None}
    assert after[1:] == before[1:]


def test_a_function_that_the_library_lacks_costs_that_value_alone(node: Scenario, use: Use, tmp_path: Path) -> None:
    use(
        build(
            tmp_path / "old",
            without=["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetMigMode", "nvmlDeviceGetTemperature"],
        )
    )
    gpu = NvmlDevices().snapshot()[0]
    assert (gpu.health, gpu.energy_j, gpu.temperature_c, gpu.power_w) == (Health.OK, None, None, 70.0)


def test_without_memory_of_version_2_what_the_driver_reserves_counts_as_used(
    node: Scenario, use: Use, tmp_path: Path
) -> None:
    node.gpus[0].used, node.gpus[0].reserved = 3 * GIB, GIB
    node.write()
    assert NvmlDevices().snapshot()[0].memory_used_bytes == 3 * GIB
    use(build(tmp_path / "old", without=["nvmlDeviceGetMemoryInfo_v2"]))
    assert NvmlDevices().snapshot()[0].memory_used_bytes == 4 * GIB


def test_memory_that_is_not_the_cards_own_is_unknown(node: Scenario) -> None:
    node.gpus[0].fails = {"nvmlDeviceGetMemoryInfo": NOT_SUPPORTED, "nvmlDeviceGetMemoryInfo_v2": NOT_SUPPORTED}
    node.write()
    gpu = NvmlDevices().snapshot()[0]
    assert (gpu.health, gpu.memory_total_bytes, gpu.memory_used_bytes) == (Health.OK, None, None)


def test_mig_devices_stand_in_for_their_card(node: Scenario) -> None:
    node.gpus[1].slices = [FakeSlice("MIG-x", used=GIB), FakeSlice("MIG-y")]
    node.write()
    gpus = NvmlDevices().snapshot()
    assert [(gpu.index, gpu.uuid, gpu.is_mig) for gpu in gpus] == [
        (0, "GPU-a", False),
        (1, "MIG-x", True),
        (2, "MIG-y", True),
        (3, "GPU-c", False),
    ]
    assert (gpus[1].memory_used_bytes, gpus[1].memory_total_bytes) == (GIB, 10 * GIB)
    assert (gpus[1].utilization_percent, gpus[1].power_w, gpus[1].energy_j) == (None, None, None)
    assert (gpus[1].temperature_c, gpus[1].power_limit_w) == (None, None)
    assert gpus[1].name.endswith("MIG 1g.10gb")


def test_mig_devices_are_lost_with_their_card(node: Scenario) -> None:
    node.gpus[1].slices = [FakeSlice("MIG-x"), FakeSlice("MIG-y")]
    node.write()
    devices = NvmlDevices()
    devices.snapshot()
    node.gpus[1].state = LOST
    node.write()
    assert health_of(devices.snapshot())[1:3] == [("MIG-x", Health.LOST), ("MIG-y", Health.LOST)]


def test_a_card_in_mig_mode_without_mig_devices_is_never_free(node: Scenario) -> None:
    node.gpus[0].mig = 1
    node.write()
    gpu = NvmlDevices().snapshot()[0]
    assert (gpu.health, gpu.is_mig, gpu.problem) == (
        Health.UNKNOWN,
        True,
        "MIG is on, but the card has no MIG devices",
    )


def test_a_reload_of_the_driver_is_outlived(node: Scenario) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    node.load += 1
    node.write()
    assert devices.snapshot() == before


def test_while_the_driver_is_away_every_card_is_unknown_in_its_place(node: Scenario) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    node.load, node.init = 2, MISMATCH
    node.write()
    away = devices.snapshot()
    assert [(gpu.uuid, gpu.index) for gpu in away] == [(gpu.uuid, gpu.index) for gpu in before]
    assert {(gpu.health, gpu.problem) for gpu in away} == {
        (Health.UNKNOWN, "the driver was upgraded under this process; restart the agent")
    }
    node.init = 0
    node.write()
    assert devices.snapshot() == before


def test_a_card_that_a_reload_does_not_find_is_lost_and_the_rest_keep_their_places(node: Scenario) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    missing = node.gpus.pop(0)
    node.gpus.append(FakeGpu("GPU-new"))
    node.load += 1
    node.write()
    assert health_of(devices.snapshot()) == [
        ("GPU-a", Health.LOST),
        ("GPU-b", Health.OK),
        ("GPU-c", Health.OK),
        ("GPU-new", Health.OK),
    ]
    node.gpus = [missing, *node.gpus[:2]]
    node.load += 1
    node.write()
    assert health_of(devices.snapshot())[:3] == health_of(before)


def test_a_reload_that_finds_no_card_at_all_does_not_end_the_agent(node: Scenario) -> None:
    node.gpus = [FakeGpu("GPU-a", state=LOST)]
    node.write()
    devices = NvmlDevices()
    assert health_of(devices.snapshot()) == [("index-0", Health.LOST)]
    node.gpus = []
    node.load += 1
    node.write()
    for _ in range(2):
        assert [gpu.health for gpu in devices.snapshot()] == [Health.UNKNOWN]


def test_a_reload_that_finds_more_cards_counts_as_a_new_process_would(node: Scenario) -> None:
    devices = NvmlDevices()
    devices.snapshot()
    node.gpus.insert(0, FakeGpu("GPU-new"))
    node.load += 1
    node.write()
    assert [(gpu.index, gpu.uuid) for gpu in devices.snapshot()][:2] == [(0, "GPU-new"), (1, "GPU-a")]


def test_it_can_be_used_again_after_it_was_closed(node: Scenario) -> None:
    devices = NvmlDevices()
    before = devices.snapshot()
    devices.close()
    devices.close()
    assert devices.snapshot() == before


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (9, "driver is installed but not loaded"),
        (MISMATCH, "driver was upgraded"),
        (4, "may not talk to the NVIDIA driver"),
        (UNKNOWN, "NVML does not start: Unknown Error"),
    ],
)
def test_a_start_that_fails_says_why_and_how_to_go_on(node: Scenario, code: int, problem: str) -> None:
    node.init = code
    node.write()
    devices = NvmlDevices()
    with pytest.raises(DeviceError, match=rf"{problem}.*--simulate 4"):
        devices.snapshot()
    node.init = 0
    node.write()
    assert len(devices.snapshot()) == 3


def test_a_driver_that_shows_no_gpu_is_told(node: Scenario) -> None:
    node.gpus = []
    node.write()
    with pytest.raises(DeviceError, match=r"driver 550.54.15 shows no GPU to this process.*--simulate 4"):
        NvmlDevices().snapshot()


def test_a_machine_without_the_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_library(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "CDLL", no_such_library)
    with pytest.raises(DeviceError, match=r"libnvidia-ml.so.1 is not found.*--simulate 4"):
        NvmlDevices().describe()


def test_missing_bindings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(DeviceError, match="pip install nvidia-ml-py"):
        NvmlDevices().snapshot()


@pytest.mark.parametrize("owns_the_module", [True, False])
def test_bindings_of_the_deprecated_distribution_are_refused(
    node: Scenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owns_the_module: bool
) -> None:
    module = ModuleType("pynvml")
    module.__file__ = str(tmp_path / "pynvml" / "__init__.py")
    if owns_the_module:
        monkeypatch.setitem(sys.modules, "pynvml", module)
    files = [SimpleNamespace(locate=lambda: tmp_path / "pynvml" / "__init__.py")]
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(version="11.5.0", files=files))
    if owns_the_module:
        with pytest.raises(DeviceError, match=r"deprecated distribution pynvml 11.5.0.*pip uninstall pynvml"):
            NvmlDevices().snapshot()
    else:
        assert len(NvmlDevices().snapshot()) == 3


def test_a_program_finds_the_fake_library_as_it_finds_the_real_one(library: Path, node: Scenario) -> None:
    program = "from gpu_queue.gpus.nvml import NvmlDevices; print(NvmlDevices().describe())"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment(library, node), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout == "3 GPUs (NVIDIA H100 80GB HBM3), driver 550.54.15, NVML\n"


def test_its_cards_carry_the_loads_of_a_plant(node: Scenario, tmp_path: Path) -> None:
    node.plant = str(tmp_path / "simulated loads")
    node.gpus[0].used, node.gpus[0].util = GIB, 10
    node.write()
    devices = NvmlDevices()
    assert [gpu.utilization_percent for gpu in devices.snapshot()] == [10, 0, 0]
    first, second, running = Load(node.plant, "GPU-a"), Load(node.plant, "GPU-a"), Load(node.plant, "GPU-b")
    first.hold(2 * GIB)
    second.hold(3 * GIB)
    running.begin()
    now_ns = time.monotonic_ns()
    for load, each_ms in ((first, 4), (second, 6)):
        for place in range(200):  # also ahead of now, so that it does not matter how late it is read
            begin_ns = now_ns + (place - 100) * 10_000_000
            load.book(begin_ns, begin_ns + each_ms * 1_000_000)
    plant = Plant(node.plant).read(time.monotonic_ns())
    one, other, idle = devices.snapshot()
    assert one.memory_used_bytes == 6 * GIB
    assert one.utilization_percent == pytest.approx(10 + 60, abs=3)
    assert 100 * plant["GPU-a"].busy_share == pytest.approx(60, abs=3)
    wait_until(lambda: devices.snapshot()[1].utilization_percent == 100)
    assert (other.memory_used_bytes, idle.memory_used_bytes, idle.utilization_percent) == (0, 0, 0)
    for load in (first, second, running):
        load.close()
    assert [gpu.memory_used_bytes for gpu in devices.snapshot()] == [GIB, 0, 0]


def test_a_load_whose_writer_died_weighs_nothing_for_its_cards(node: Scenario, tmp_path: Path) -> None:
    node.plant = str(tmp_path)
    node.write()
    load = Load(node.plant, "GPU-c")
    load.hold(GIB)
    devices = NvmlDevices()
    assert devices.snapshot()[2].memory_used_bytes == GIB
    left_behind = Path(load.path).read_bytes()
    load.close()
    Path(load.path).write_bytes(left_behind)
    assert devices.snapshot()[2].memory_used_bytes == 0
