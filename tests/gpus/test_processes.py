"""Which processes use which GPU, as NVML tells it."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_queue.gpus.processes import NvmlProcesses
from tests.fake_nvml import Scenario, build
from tests.gpus.conftest import Use

LOST = 15


def test_the_processes_of_each_card_are_told_but_of_one_that_is_lost(node: Scenario) -> None:
    node.gpus[0].processes, node.gpus[2].processes = (os.getpid(), 4711), (1,)
    node.gpus[2].state = LOST
    node.write()
    assert NvmlProcesses().gpu_processes() == {"GPU-a": (os.getpid(), 4711), "GPU-b": ()}


def test_a_driver_that_is_older_than_its_bindings_tells_nothing(node: Scenario, use: Use, tmp_path: Path) -> None:
    node.gpus[0].processes = (os.getpid(),)
    node.write()
    use(build(tmp_path / "old", without=["nvmlDeviceGetComputeRunningProcesses_v3"]))
    assert NvmlProcesses().gpu_processes() == {}
