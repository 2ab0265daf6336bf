"""Simulated GPUs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gpu_queue.errors import SettingsError
from gpu_queue.gpus.devices import ComputeMode, Devices, Health
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE, SimulatedDevices
from tests.gpus.gpu_builders import GIB


@pytest.mark.parametrize(("text", "count", "gib"), [("4", 4, 80), ("2x24G", 2, 24), (" 1X40g ", 1, 40)])
def test_gpus_are_as_many_and_as_large_as_asked(text: str, count: int, gib: int) -> None:
    gpus = SimulatedDevices.parse(text).snapshot()
    assert [gpu.index for gpu in gpus] == list(range(count))
    assert {gpu.memory_total_bytes for gpu in gpus} == {gib * GIB}


@pytest.mark.parametrize("text", ["", "0", "x80G", "4x", "4x80Q", "four", "-1", "4x0"])
def test_a_text_that_means_nothing_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"GPU_QUEUE_SIMULATE.*expected for example 4 or 4x80G"):
        SimulatedDevices.parse(text)


def test_uuids_are_the_same_everywhere_and_recognisable() -> None:
    uuids = [gpu.uuid for gpu in SimulatedDevices.parse("2").snapshot()]
    assert uuids == ["GPU-00000000-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000001"]


def test_a_line_for_people_says_that_they_are_simulated() -> None:
    devices: Devices = SimulatedDevices.parse("4x80G")
    assert (devices.kind, devices.describe()) == ("simulated", "4 GPUs (simulated 80G)")


def test_a_state_file_drives_them_and_its_end_makes_them_idle_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "gpus.json"
    monkeypatch.setenv(STATE_FILE_VARIABLE, str(state))
    devices = SimulatedDevices.parse("2")
    idle = devices.snapshot()
    assert [gpu.memory_used_bytes for gpu in idle] == [0, 0]

    state.write_text('{"0": {"used": "10G", "utilization": 40}, "1": {"lost": true}}')
    busy, lost = devices.snapshot()
    assert (busy.memory_used_bytes, busy.utilization_percent) == (10 * GIB, 40)
    assert (lost.health, lost.memory_used_bytes, lost.uuid) == (Health.LOST, None, idle[1].uuid)
    assert "1 lost" in devices.describe()

    state.write_text('{"0": {"name": "NVIDIA L4", "temperature_c": 61.6, "power_w": 412.5, "power_limit_w": 700}}')
    told, silent = devices.snapshot()
    assert (told.name, told.temperature_c, told.power_w, told.power_limit_w) == ("NVIDIA L4", 62, 412.5, 700)
    assert (silent.temperature_c, silent.power_w, silent.power_limit_w) == (None, None, None)

    state.write_text("{}")
    assert devices.snapshot() == idle
    state.unlink()
    assert devices.snapshot() == idle


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"0": ', "Expecting value"),
        ("[]", r"\[\]; expected an object"),
        ('{"7": {}}', "index '7'; there are 0, 1"),
        ('{"0": 3}', "GPU 0: 3; expected an object"),
        ('{"0": {"usd": "1G"}}', "GPU 0: 'usd'; expected used"),
        ('{"0": {"used": "much"}}', "GPU 0: used: 'much' is no size"),
        ('{"0": {"used": "90G"}}', "GPU 0: used '90G' of simulated 80G"),
        ('{"0": {"utilization": 101}}', "GPU 0: utilization 101; expected 0-100"),
        ('{"0": {"utilization": true}}', "GPU 0: utilization True"),
        ('{"0": {"lost": "yes"}}', "GPU 0: lost 'yes'; expected true or false"),
        ('{"0": {"compute_mode": "mine"}}', "GPU 0: compute_mode 'mine'; expected default, prohibited or exclusive"),
        ('{"0": {"name": 4}}', "GPU 0: name 4; expected a text"),
        ('{"0": {"power_w": true}}', "GPU 0: power_w True; expected a number from 0 to 10,000"),
        ('{"0": {"temperature_c": NaN}}', "GPU 0: temperature_c nan; expected a number"),
        ('{"0": {"compute_mode": []}}', r"GPU 0: compute_mode \[\]; expected default"),
    ],
)
def test_a_state_file_that_cannot_be_obeyed_makes_them_unknown_and_says_why(
    tmp_path: Path, content: str, problem: str
) -> None:
    state = tmp_path / "gpus.json"
    state.write_text(content)
    devices = SimulatedDevices.parse("2", str(state))
    for gpu in devices.snapshot():
        assert gpu.health is Health.UNKNOWN
        assert gpu.problem.startswith(f"{state}: ")
        assert re.search(problem, gpu.problem)
    state.write_text(json.dumps({"0": {"utilization": 7}}))
    assert [gpu.utilization_percent for gpu in devices.snapshot()] == [7, 0]


def test_the_state_file_sets_the_compute_mode_also_of_a_lost_card(tmp_path: Path) -> None:
    state = tmp_path / "gpus.json"
    state.write_text(
        '{"0": {"compute_mode": "exclusive process"}, "1": {"compute_mode": "prohibited", "lost": true}}'
    )
    modes = [gpu.compute_mode for gpu in SimulatedDevices.parse("3", str(state)).snapshot()]
    assert modes == [ComputeMode.EXCLUSIVE_PROCESS, ComputeMode.PROHIBITED, ComputeMode.DEFAULT]
