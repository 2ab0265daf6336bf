"""A real agent on the real NVML layer, over the fake driver's library: lost, foreign and sliced GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.harness import Cluster, wait_until
from tests.fake_nvml import GIB, FakeGpu, FakeSlice, Scenario, build, environment


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def test_a_gpu_that_is_lost_takes_no_task_and_the_others_go_on(cluster: Cluster, library: Path) -> None:
    scenario = Scenario(cluster.base / "scenario", gpus=[FakeGpu("GPU-aaaa"), FakeGpu("GPU-bbbb")])
    scenario.write()
    cluster.start(simulate=None, env=environment(library, scenario))
    whole = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(whole, "done")
    assert "[0]" in cluster.log(whole)
    scenario.gpus[0].state = 15
    scenario.write()
    wait_until(lambda: "\tlost\t" in cluster.node_text(), "the lost GPU in the node file", 40, cluster.dump)
    rest = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(rest, "done")
    assert "[GPU-bbbb]" in cluster.log(rest), "an index may mean another card now"
    both = cluster.submit("#GPUQ --gpus 2\ntrue\n")
    wait_until(lambda: "waits for 2 GPUs: 1 idle (1 lost)" in cluster.node_text(), "the reason", dump=cluster.dump)
    assert cluster.where(both) == ["pending"]


def test_a_gpu_that_somebody_else_uses_is_left_alone_until_it_is_free(cluster: Cluster, library: Path) -> None:
    scenario = Scenario(cluster.base / "scenario", gpus=[FakeGpu("GPU-aaaa", used=20 * GIB)])
    scenario.write()
    cluster.start(simulate=None, env=environment(library, scenario))
    task = cluster.submit("true\n")
    wait_until(lambda: "waits for 1 GPU: 0 idle (1 foreign)" in cluster.node_text(), "the reason", dump=cluster.dump)
    scenario.gpus[0].used = 0
    scenario.write()
    cluster.wait_for(task, "done")


def test_slices_of_a_card_are_devices_of_their_own(cluster: Cluster, library: Path) -> None:
    slices = [FakeSlice("MIG-one"), FakeSlice("MIG-two")]
    scenario = Scenario(cluster.base / "scenario", gpus=[FakeGpu("GPU-aaaa", mig=1, slices=slices)])
    scenario.write()
    cluster.start(simulate=None, env=environment(library, scenario))
    task = cluster.submit("#GPUQ --gpus 2\necho [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(task, "done")
    assert "[MIG-one,MIG-two]" in cluster.log(task)


def test_an_agent_serves_only_the_gpus_that_a_scheduler_gave_it(cluster: Cluster, library: Path) -> None:
    scenario = Scenario(cluster.base / "scenario", gpus=[FakeGpu(f"GPU-{letter * 4}") for letter in "abcd"])
    scenario.write()
    cluster.start(simulate=None, env={"CUDA_VISIBLE_DEVICES": "2,3", **environment(library, scenario)})
    task = cluster.submit("#GPUQ --gpus 1-8\necho [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(task, "done")
    assert "[2,3]" in cluster.log(task)
