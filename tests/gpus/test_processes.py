"""Which processes use which GPU, as NVML tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue.gpus.processes import (
    GpuProcess,
    NvmlProcesses,
    SimulatedProcesses,
    exists,
    processes_of,
    unknown_here,
)
from tests.fake_nvml import FakeSlice, Scenario, build
from tests.gpus.conftest import Use

LOST = 15
FIRST, SECOND = (f"GPU-00000000-0000-0000-0000-{index:012x}" for index in range(2))
NOBODY = (1 << 22) - 1


def test_the_processes_of_each_card_are_told_but_of_one_that_is_lost(node: Scenario) -> None:
    node.gpus[0].processes, node.gpus[2].processes = (os.getpid(), (4711, 5 << 30)), (1,)
    node.gpus[2].state = LOST
    node.write()
    mine = GpuProcess(os.getpid(), None)
    assert NvmlProcesses().gpu_processes() == {"GPU-a": (mine, GpuProcess(4711, 5 << 30)), "GPU-b": ()}


def test_those_of_a_mig_device_are_told_as_its_own(node: Scenario) -> None:
    node.gpus[1].slices = [FakeSlice("MIG-0"), FakeSlice("MIG-1", processes=((7, 2048),))]
    node.write()
    found = NvmlProcesses().gpu_processes()
    assert found == {"GPU-a": (), "MIG-0": (), "MIG-1": (GpuProcess(7, 2048),), "GPU-c": ()}


def test_what_is_not_told_of_mig_devices_is_left_out(node: Scenario) -> None:
    node.gpus[1].slices = [FakeSlice("MIG-0")]
    node.gpus[1].fails = {"nvmlDeviceGetComputeRunningProcesses_v3": 3}
    node.write()
    assert NvmlProcesses().gpu_processes() == {"GPU-a": (), "GPU-c": ()}


def test_a_driver_that_is_older_than_its_bindings_tells_nothing(node: Scenario, use: Use, tmp_path: Path) -> None:
    node.gpus[0].processes = (os.getpid(),)
    node.write()
    use(build(tmp_path / "old", without=["nvmlDeviceGetComputeRunningProcesses_v3"]))
    assert NvmlProcesses().gpu_processes() == {}


def test_processes_that_say_themselves_what_they_use_are_gone_when_they_have_ended(
    node: Scenario, tmp_path: Path
) -> None:
    node.tenants = str(tmp_path)
    node.write()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        (tmp_path / f"1.{process.pid}").write_text(f"{3 << 30} 40")
        expected = GpuProcess(process.pid, 3 << 30)
        assert NvmlProcesses().gpu_processes() == {"GPU-a": (), "GPU-b": (expected,), "GPU-c": ()}
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
        assert NvmlProcesses().gpu_processes() == {"GPU-a": (), "GPU-b": (), "GPU-c": ()}


def test_simulated_gpus_tell_what_their_file_says(tmp_path: Path) -> None:
    state = tmp_path / "gpus.json"
    source = processes_of("simulated", str(state))
    assert source.gpu_processes() is None
    state.write_text('{"1": {"processes": [7, [8, "2G"]]}, "0": {"used": "1G"}}')
    assert source.gpu_processes() == {FIRST: (), SECOND: (GpuProcess(7), GpuProcess(8, 2 << 30))}
    for text in ('{"x": 3', '{"0": {"processes": [[1]]}}', '{"0": {"processes": [[1, "x"]]}}'):
        state.write_text(text)
        assert source.gpu_processes() is None
    assert SimulatedProcesses(None).gpu_processes() == {}


def test_pids_that_are_nobody_here_are_found() -> None:
    listed = {FIRST: (GpuProcess(os.getpid()),), SECOND: (GpuProcess(NOBODY), GpuProcess(1 << 40))}
    assert unknown_here(listed) == {NOBODY, 1 << 40}


def test_a_process_that_proc_hides_is_there_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_not(pid: int, _number: int) -> None:
        raise PermissionError if pid == NOBODY else ProcessLookupError

    monkeypatch.setattr(os, "kill", may_not)
    assert exists(NOBODY)
    assert not exists(NOBODY - 1)
