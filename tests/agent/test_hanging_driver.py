"""A real agent over a driver that hangs: tasks end, the other GPUs go on, and nothing is given that is not known."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, wait_until
from tests.fake_nvml import FakeGpu, Scenario, build, environment
from tests.keepalive.nursery import needs_torch


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def node(cluster: Cluster) -> Scenario:
    """Two cards."""
    return Scenario(cluster.base / "scenario", gpus=[FakeGpu("GPU-aaaa"), FakeGpu("GPU-bbbb")])


def hang(node: Scenario, *places: int) -> None:
    """No question to these cards is answered; returns when one is being asked."""
    for place, gpu in enumerate(node.gpus):
        gpu.hangs = {"*"} if place in places else set()
    node.write()
    since = time.monotonic()
    wait_until(lambda: any(call.card in places and call.at_s > since for call in node.calls()), "a call that hangs")


def state_of(cluster: Cluster, index: int) -> str:
    return str(cluster.nodes()[0]["gpus"][index]["state"])


def test_a_task_is_stopped_while_the_driver_hangs(cluster: Cluster, library: Path, node: Scenario) -> None:
    cluster.start(simulate=None, env=environment(library, node))
    task = cluster.submit("echo begun\nexec sleep 600\n")
    cluster.wait_for_line(task, "begun")
    hang(node, 0, 1)
    cluster.command_all("stop", claims=[cluster.claim_of(task)])
    cluster.wait_for(task, "failed")  # the driver answers nobody meanwhile


def test_what_is_not_known_gets_no_task_and_people_are_told_why(
    cluster: Cluster, library: Path, node: Scenario
) -> None:
    cluster.start(simulate=None, env=environment(library, node))
    hang(node, 0, 1)
    task = cluster.submit("true\n")
    wait_until(lambda: "waits for 1 GPU: 0 idle (2 unknown)" in cluster.node_text(), "the reason", 20, cluster.dump)
    problems = "the driver has not answered for"
    wait_until(lambda: problems in cluster.nodes()[0]["gpus"][0]["problem"], "the problem", 20, cluster.dump)
    assert cluster.where(task) == ["pending"]


def test_a_card_that_hangs_keeps_no_task_from_the_others(cluster: Cluster, library: Path, node: Scenario) -> None:
    cluster.start(simulate=None, env=environment(library, node))
    hang(node, 0)
    task = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(task, "done")
    assert "GPUs 1," in cluster.log(task), cluster.log(task)

    def is_told() -> bool:
        hanging, other = cluster.nodes()[0]["gpus"]
        return "has not answered for" in hanging["problem"] and other["state"] == "idle"

    wait_until(is_told, "that one does not answer", 40, cluster.dump)
    later = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(later, "done")
    assert "[GPU-bbbb]" in cluster.log(later), "an index may mean another card now"


def test_an_agent_that_is_to_leave_waits_for_no_driver(cluster: Cluster, library: Path, node: Scenario) -> None:
    agent = cluster.start(simulate=None, env=environment(library, node))
    hang(node, 0, 1)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(15) == 0, cluster.dump()


def test_a_driver_that_does_not_start_is_told_and_waited_for(cluster: Cluster, library: Path, node: Scenario) -> None:
    node.hangs = {"nvmlInitWithFlags"}
    node.write()
    cluster.start(simulate=None, env=environment(library, node), wait=False)
    said = "the NVIDIA driver has not answered for 5"
    wait_until(lambda: said in cluster.output.read_text(), "that it waits", 20, cluster.dump)
    node.hangs = set()
    node.write()
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")


def test_memory_that_was_freed_a_moment_ago_is_seen_and_a_stranger_who_just_came_as_well(
    cluster: Cluster, library: Path, node: Scenario
) -> None:
    cluster.start(simulate=None, env=environment(library, node))
    wait_until(lambda: state_of(cluster, 0) == "idle", "a look", dump=cluster.dump)
    for gpu in node.gpus:
        gpu.used = 20 << 30
    wait_until(lambda: time.monotonic() - node.calls()[-1].at_s > 0.1, "a reading that has grown old")
    node.write()  # what the agent knows still says idle
    task = cluster.submit("true\n")
    wait_until(lambda: "(2 foreign)" in cluster.node_text(), "the reason", dump=cluster.dump)
    assert cluster.where(task) == ["pending"]
    node.gpus[1].used = 0
    node.write()
    cluster.wait_for(task, "done")


def test_a_list_of_processes_that_does_not_come_keeps_no_task_waiting_and_is_told(
    cluster: Cluster, library: Path, node: Scenario
) -> None:
    for gpu in node.gpus:
        gpu.hangs = {"nvmlDeviceGetComputeRunningProcesses_v3"}
    node.write()
    cluster.start("--mode", "shared", "--use-all-gpus", simulate=None, env=environment(library, node))
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")
    told = "the list of processes on the GPUs does not come"
    wait_until(lambda: told in cluster.output.read_text(), "a word of it", dump=cluster.dump)
    assert len(node.calls_of("ComputeRunningProcesses")) == 1, "one that hangs hangs alone"
    for gpu in node.gpus:
        gpu.hangs = set()
    node.write()
    wait_until(lambda: len(node.calls_of("ComputeRunningProcesses")) > 2, "the next look", 20, cluster.dump)


@needs_torch
def test_cards_with_fillers_are_asked_ten_times_a_second_and_others_once(cluster: Cluster, library: Path) -> None:
    loads = str(cluster.base / "loads")
    gpus = [FakeGpu(f"GPU-{place}", used=(20 << 30) * (place > 1)) for place in range(8)]
    node = Scenario(cluster.base / "scenario", gpus=gpus, plant=loads)
    more = {"GPU_QUEUE_SIMULATE_PLANT": loads, "GPU_QUEUE_KEEPALIVE_ENGINE": "cpu"}
    serves = {"CUDA_VISIBLE_DEVICES": "0,1"}  # the others have no filler
    env = {**more, **serves, **environment(library, node)}
    agent = cluster.start(simulate=None, keepalive=True, torch=True, env=env)

    def are_held() -> bool:
        return [(gpu["keepalive"] or {}).get("state") for gpu in cluster.nodes()[0]["gpus"]] == ["holding"] * 2

    wait_until(are_held, "two fillers", 60, cluster.dump)
    since = time.monotonic()
    wait_until(lambda: time.monotonic() - since > 5.0, "five seconds", 10)
    calls = [call for call in node.calls() if since <= call.at_s < since + 5.0]
    assert {call.pid for call in calls} == {agent.pid}, "nobody but the agent asks"
    held = [call for call in calls if call.card < 2]
    others = [call for call in calls if call.card >= 2]
    assert 2 * 5 * 12 <= len(held) <= 2 * 5 * 24, "20 calls for memory and utilisation, 2 for power and energy"
    assert len(others) <= 6 * (5 * 4 + 4 + 2)
