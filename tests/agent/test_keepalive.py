"""Real agents, the real zygote and real workers on GPUs that are not: held, given to tasks, left to others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.gpus.plant import Load, Plant
from gpu_queue.gpus.simulated import SimulatedDevices
from tests.agent.harness import Cluster, a_cluster, put, wait_until
from tests.fake_nvml import FakeGpu, FakeSlice, Scenario, build, environment
from tests.keepalive.nursery import card, is_gone, needs_torch

GIB = 1 << 30
ROOT = str(Path(__file__).parents[2])
HELD = int(0.6 * 80 * GIB)
COMES_UP_S = 60.0
"""Importing torch takes two seconds on a machine that does nothing else."""


def keep(cluster: Cluster, index: int = 0) -> dict[str, Any]:
    """What the node file says of one GPU's keep-alive."""
    for node in cluster.nodes():
        for gpu in node["gpus"]:
            if gpu["index"] == index and gpu["keepalive"] is not None:
                return dict(gpu["keepalive"])
    return {}


def gpu(cluster: Cluster, index: int = 0) -> dict[str, Any]:
    """What the node file says of one GPU."""
    return dict(cluster.nodes()[0]["gpus"][index])


def is_told(cluster: Cluster, used_bytes: int) -> bool:
    return bool(gpu(cluster)["memory_used_bytes"] == used_bytes)


def state(cluster: Cluster, index: int = 0) -> str:
    return str(keep(cluster, index).get("state"))


def wait_for_state(cluster: Cluster, wanted: str, index: int = 0, within_s: float = COMES_UP_S) -> None:
    wait_until(lambda: state(cluster, index) == wanted, f"GPU {index} {wanted}", within_s, cluster.dump)


def devices(cluster: Cluster) -> SimulatedDevices:
    """The simulated cards as any process on the node sees them."""
    return SimulatedDevices.parse("2", plant=plant(cluster))


def plant(cluster: Cluster) -> str:
    return str(cluster.local / "simulated")


def used(cluster: Cluster, index: int = 0) -> int:
    value = devices(cluster).snapshot()[index].memory_used_bytes
    assert value is not None
    return value


def in_python(program: str, needs: str = "") -> str:
    """A script that runs this; a ``#!`` line could not name a Python whose path has a blank in it."""
    program = f"import os, sys, time\nsys.path.insert(0, {ROOT!r})\n{program}"
    return f"#!/bin/sh\n{needs}\nexec {shlex.quote(sys.executable)} -c {shlex.quote(program)}\n"


def look(cluster: Cluster, needs: str = "") -> str:
    """A script that says how much of each simulated card is used."""
    return in_python(
        f"from gpu_queue.gpus.simulated import SimulatedDevices\n"
        f"cards = SimulatedDevices.parse('2', plant={plant(cluster)!r}).snapshot()\n"
        f"print('used', [card.memory_used_bytes for card in cards])\n",
        needs,
    )


def fillers(cluster: Cluster) -> list[int]:
    """The processes of the keep-alive, found by the environment that only this cluster's have."""
    needle = os.fsencode(f"HOME={cluster.base}")
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{name}/cmdline").read_bytes()
            if b"gpu_queue.keepalive" in arguments and needle in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return [pid for pid in found if not is_gone(pid)]


@pytest.fixture
def held(cluster: Cluster) -> Cluster:
    """A node with two idle GPUs that are held."""
    cluster.start(keepalive=True)
    for index in (0, 1):
        wait_for_state(cluster, "holding", index)
    return cluster


@needs_torch
def test_idle_gpus_are_held_in_the_band_with_their_share_of_the_memory(held: Cluster) -> None:
    assert used(held) == used(held, 1) == HELD
    node = held.nodes()[0]
    assert [gpu["state"] for gpu in node["gpus"]] == ["idle", "idle"], "they may be granted"
    readings: list[int] = []

    def settled() -> bool:
        value = devices(held).snapshot()[0].utilization_percent
        readings.append(value or 0)
        last = readings[-100:]
        return len(last) == 100 and sum(70 <= one <= 85 for one in last) >= 95

    wait_until(settled, "95 of 100 readings in 70-85 %", 60, lambda: f"{readings[-100:]}\n{held.dump()}")


@needs_torch
def test_a_task_finds_its_gpu_empty_and_the_filler_comes_back_after_it(held: Cluster) -> None:
    task = held.submit(look(held), "look.py")
    held.wait_for(task, "done")
    assert f"used [0, {HELD}]" in held.log(task)
    assert "starts all the same" not in held.output.read_text()
    assert state(held, 1) == "holding", "the other GPU is none of its business"
    wait_for_state(held, "holding")


@needs_torch
def test_a_task_that_is_stopped_while_its_gpu_is_cleared_never_starts(held: Cluster) -> None:
    for pid in fillers(held):
        os.kill(pid, signal.SIGSTOP)  # nobody leaves now
    task = held.submit("echo it ran\n")
    wait_until(lambda: held.where(task) == ["running"], "the claim", dump=held.dump)
    held.command_all("stop", claims=[held.claim_of(task)])
    held.wait_for(task, "failed")
    assert "it ran" not in held.log(task)
    for pid in fillers(held):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@needs_torch
def test_an_agent_that_is_killed_while_a_gpu_is_cleared_costs_the_task_no_try(held: Cluster) -> None:
    stopped = fillers(held)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    task = held.submit("echo it ran\n")
    wait_until(lambda: held.where(task) == ["running"], "the claim", dump=held.dump)
    held.kill(held.agents[0])
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    held.start("--max-lost", "0")
    held.wait_for(task, "done")
    assert held.log(task).count("it ran") == 1


@needs_torch
def test_nothing_is_left_when_the_agent_is_told_to_end(held: Cluster) -> None:
    assert fillers(held)
    held.agents[0].send_signal(signal.SIGTERM)
    assert held.agents[0].wait(15) == 0
    assert fillers(held) == []
    assert used(held) == 0


@needs_torch
def test_the_fillers_of_an_agent_that_was_killed_are_gone_within_5_s_and_its_successors_come(held: Cluster) -> None:
    before = fillers(held)
    held.kill(held.agents[0])
    wait_until(lambda: all(is_gone(pid) for pid in before), "the end of the fillers", 5, held.dump)
    held.start(keepalive=True)
    wait_until(lambda: used(held) == HELD and state(held) == "holding", "a new filler", COMES_UP_S, held.dump)


@needs_torch
def test_a_worker_that_dies_is_replaced(held: Cluster) -> None:
    workers = [pid for pid in fillers(held) if Path(f"/proc/{pid}/comm").read_text().startswith("gpuq-keepalive")]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)

    wait_until(lambda: "signal 9" in held.output.read_text(), "the line that says so", dump=held.dump)
    wait_until(lambda: used(held) == used(held, 1) == HELD, "another worker", dump=held.dump)


@needs_torch
def test_a_tenant_is_given_way_to_and_its_gpu_is_its_own(held: Cluster) -> None:
    load = Load(plant(held), card(0))
    load.hold(10 * GIB)
    wait_for_state(held, "backing off", within_s=10)
    assert re.search("memory grew by|others hold", keep(held)["reason"])
    wait_until(lambda: used(held) == 10 * GIB, "the filler's end", dump=held.dump)
    wait_until(
        lambda: [gpu["state"] for gpu in held.nodes()[0]["gpus"]] == ["foreign", "idle"],
        "a GPU that is somebody else's",
        40,
        held.dump,
    )
    assert state(held, 1) == "holding"
    load.close()


@needs_torch
def test_a_tenant_that_only_computes_is_noticed_by_the_time_that_kernels_take(held: Cluster) -> None:
    busy = subprocess.Popen(
        [sys.executable, "-m", "gpu_queue.gpus.plant", "--directory", plant(held), "--uuid", card(1)]
        + ["--busy", "0.9", "--for", "60s"],
        cwd=ROOT,
    )
    try:
        wait_for_state(held, "backing off", 1, within_s=15)
        assert "somebody else works on this GPU" in keep(held, 1)["reason"]
    finally:
        busy.kill()
        busy.wait()


@needs_torch
def test_a_gpu_of_which_somebody_holds_memory_is_left_alone_until_he_has_gone(cluster: Cluster) -> None:
    driven = cluster.base / "state.json"
    put(driven, json.dumps({"0": {"used": "50G"}}))
    cluster.start(keepalive=True, env={"GPU_QUEUE_SIMULATE_FILE": str(driven)})
    wait_for_state(cluster, "holding", 1)
    assert (state(cluster), keep(cluster)["reason"]) == ("off", "others hold 50G of its memory")
    put(driven, json.dumps({"0": {"used": "900M"}}))
    wait_for_state(cluster, "holding")


@needs_torch
def test_where_others_may_hold_much_by_the_settings_less_is_held(cluster: Cluster) -> None:
    driven = cluster.base / "state.json"
    put(driven, json.dumps({"0": {"used": "50G"}}))
    cluster.start(
        keepalive=True, env={"GPU_QUEUE_SIMULATE_FILE": str(driven), "GPU_QUEUE_FOREIGN_MEMORY": "60G"}, simulate="1"
    )
    wait_for_state(cluster, "holding")
    assert keep(cluster)["held_bytes"] == 30 * GIB - (3 << 29)


@needs_torch
def test_a_gpu_of_which_somebody_takes_memory_while_it_is_held_is_granted_to_nobody(
    cluster: Cluster, tmp_path: Path
) -> None:
    driven = {"GPU_QUEUE_SIMULATE_FILE": str(cluster.base / "state.json"), "GPU_QUEUE_BEAT": "1s"}
    base = tmp_path / "other"
    base.mkdir()
    with a_cluster(base, "other") as other:
        other.local = cluster.local
        cluster.start(keepalive=True, env=driven, simulate="1")
        wait_until(lambda: keep(cluster).get("duty"), "a GPU that is held", COMES_UP_S, cluster.dump)
        put(driven["GPU_QUEUE_SIMULATE_FILE"], json.dumps({"0": {"used": "20G"}}))
        other.start(env=driven, simulate="1")
        for one in (cluster, other):
            wait_until(partial(is_told, one, 20 * GIB), "news of what is used", 40, one.dump)
            assert gpu(one)["state"] == "foreign", one.dump()
        assert state(cluster) == "backing off"
        tasks = [cluster.submit("true\n"), other.submit("true\n")]
        wait_until(lambda: "foreign" in cluster.node_text() and other.node_text(), "a look at it", dump=cluster.dump)
        assert (cluster.where(tasks[0]), other.where(tasks[1])) == (["pending"], ["pending"])
        Path(driven["GPU_QUEUE_SIMULATE_FILE"]).unlink()
        cluster.wait_for(tasks[0], "done")
        other.wait_for(tasks[1], "done")


@needs_torch
def test_a_lost_gpu_is_left_and_the_other_held_on(cluster: Cluster) -> None:
    driven = cluster.base / "state.json"
    put(driven, "{}")
    cluster.start(keepalive=True, env={"GPU_QUEUE_SIMULATE_FILE": str(driven)})
    wait_for_state(cluster, "holding")
    wait_for_state(cluster, "holding", 1)
    put(driven, json.dumps({"0": {"lost": True}}))
    wait_for_state(cluster, "off", within_s=10)
    assert "lost" in keep(cluster)["reason"]
    assert state(cluster, 1) == "holding"
    put(driven, "{}")
    wait_for_state(cluster, "holding", within_s=20)


@needs_torch
def test_it_is_switched_off_and_on_by_a_file_and_by_settings(held: Cluster) -> None:
    flag = Path(held.paths.root, "keepalive-off")
    put(flag, "yzy: the cluster is ours today\n")
    wait_until(lambda: used(held) == 0 and state(held) == "off", "empty GPUs", dump=held.dump)
    wait_until(lambda: "yzy: the cluster is ours today" in keep(held)["reason"], "who and why", 40, held.dump)
    flag.unlink()
    wait_for_state(held, "holding")
    hour = time.localtime().tm_hour
    config = Path(held.paths.config)
    put(config, f"keepalive:\n  quiet_hours: ['{hour:02d}:00-{(hour + 2) % 24:02d}:00']\n")
    wait_until(lambda: "quiet hours" in keep(held)["reason"], "quiet hours", dump=held.dump)
    put(config, "keepalive:\n  memory_usage_target: 0.25\n")
    wait_until(lambda: used(held) == 20 * GIB, "less memory", COMES_UP_S, held.dump)


@needs_torch
def test_another_agent_of_the_user_gets_the_gpu_that_this_ones_filler_holds(held: Cluster, tmp_path: Path) -> None:
    base = tmp_path / "other"
    base.mkdir()
    with a_cluster(base, "other") as other:
        other.local = held.local
        other.start(keepalive=True)
        wait_until(lambda: "another agent keeps it busy" in keep(other)["reason"], "the filler seen", dump=other.dump)
        assert [gpu["state"] for gpu in other.nodes()[0]["gpus"]] == ["idle", "idle"]
        task = other.submit(look(held, "#GPUQ --gpus 2"), "look.py")
        other.wait_for(task, "done")
        assert "used [0, 0]" in other.log(task)
        assert "starts all the same" not in other.output.read_text()
        for index in (0, 1):
            wait_for_either(held, other, index)


def wait_for_either(first: Cluster, second: Cluster, index: int) -> None:
    wait_until(lambda: "holding" in (state(first, index), state(second, index)), "a filler again", 30, first.dump)


@needs_torch
def test_a_sweep_of_strays_leaves_the_fillers_alone(cluster: Cluster) -> None:
    cluster.start("--sweep", keepalive=True)
    wait_for_state(cluster, "holding")
    before = fillers(cluster)
    answer = cluster.ack(cluster.command_all("sweep"))
    assert "swept" in answer
    assert fillers(cluster) == before


@needs_torch
def test_a_gpu_that_a_task_leaves_idle_is_held_lightly_until_the_task_works(cluster: Cluster) -> None:
    cluster.start(
        keepalive=True,
        torch=True,
        env={"GPU_QUEUE_HOLD_LEASED": "on", "GPU_QUEUE_HOLD_LEASED_AFTER": "1s"},
        simulate="1",
    )
    go = Path(cluster.paths.root, "go")
    task = cluster.submit(
        in_python(
            f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.05)\n"
            f"from gpu_queue.gpus.plant import main\n"
            f"main(['--directory', {plant(cluster)!r}, '--uuid', {card(0)!r}, '--memory', '20G', '--busy', '0.5'])\n"
        ),
        "late.sh",
    )
    wait_for_state(cluster, "holding")
    assert used(cluster) < GIB, "no ballast: the memory is the task's"
    assert cluster.where(task) == ["running"]
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 2.5, "seconds that are counted")
    go.touch()
    wait_for_state(cluster, "off", within_s=10)
    wait_until(lambda: used(cluster) == 20 * GIB, "the task alone on its GPU", dump=cluster.dump)
    cluster.agents[0].send_signal(signal.SIGTERM)
    cluster.agents[0].wait(15)
    (path,) = Path(cluster.paths.root, "ledger").glob("*.tsv")
    names, values = (line.split("\t") for line in path.read_text().splitlines())
    row = dict(zip(names, values, strict=True))
    assert float(row["light_s"]) >= 1
    assert float(row["task_s"]) >= 1
    assert float(row["filler_s"]) == 0


def test_without_torch_one_line_says_so_and_the_agent_goes_on(cluster: Cluster) -> None:
    broken = cluster.base / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('no torch here')\n")
    cluster.start(keepalive=True, env={"PYTHONPATH": str(broken)})
    wait_until(lambda: "no torch here" in cluster.output.read_text(), "the line", dump=cluster.dump)
    wait_until(lambda: "no torch here" in keep(cluster).get("reason", ""), "the reason", dump=cluster.dump)
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")
    assert cluster.output.read_text().count("no torch here") == 1


@pytest.fixture
def ledger(held: Cluster) -> list[list[str]]:
    """The ledger of an agent that has ended, as rows."""
    task = held.submit("sleep 1.5\n")
    held.wait_for(task, "done")
    held.agents[0].send_signal(signal.SIGTERM)
    held.agents[0].wait(15)
    (path,) = Path(held.paths.root, "ledger").glob("*.tsv")
    return [line.split("\t") for line in path.read_text().splitlines()]


@needs_torch
def test_what_the_gpus_did_is_counted_and_kept(ledger: list[list[str]], held: Cluster) -> None:
    head, first, second = ledger
    columns = {name: place for place, name in enumerate(head)}
    assert float(first[columns["task_s"]]) >= 1
    assert float(second[columns["filler_s"]]) >= 1
    assert float(second[columns["task_s"]]) == 0
    held.start(keepalive=False)
    held.agents[-1].send_signal(signal.SIGTERM)
    held.agents[-1].wait(15)
    (path,) = Path(held.paths.root, "ledger").glob("*.tsv")
    again = path.read_text().splitlines()[1].split("\t")
    assert float(again[columns["task_s"]]) >= float(first[columns["task_s"]]), "the next agent goes on counting"


# -- the real NVML layer, over the fake driver's library ------------------------------------------------------------


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def on_nvml(cluster: Cluster, library: Path, *gpus: FakeGpu, torch: bool = False, **others: str) -> Scenario:
    """An agent whose GPUs a driver shows, and a driver whose GPUs carry the load of the workers."""
    loads = str(cluster.base / "loads")
    scenario = Scenario(cluster.base / "scenario", gpus=list(gpus), plant=loads)
    more = {"GPU_QUEUE_SIMULATE_PLANT": loads, "GPU_QUEUE_KEEPALIVE_ENGINE": "cpu"}
    environ = {**more, **environment(library, scenario), **others}
    cluster.start(simulate=None, keepalive=True, torch=torch, env=environ)
    return scenario


def held_on_nvml(cluster: Cluster) -> dict[str, int]:
    """What is held of the GPUs of such a node."""
    loads = Plant(str(cluster.base / "loads")).read(time.monotonic_ns())
    return {uuid: usage.held_bytes for uuid, usage in loads.items()}


@needs_torch
def test_utilisation_as_nvml_tells_it_is_held_and_a_lost_gpu_left(cluster: Cluster, library: Path) -> None:
    scenario = on_nvml(cluster, library, FakeGpu("GPU-aaaa"), FakeGpu("GPU-bbbb"), torch=True)
    wait_for_state(cluster, "holding")
    wait_for_state(cluster, "holding", 1)

    def is_in_band() -> bool:
        gpus = cluster.nodes()[0]["gpus"]
        return all(70 <= gpu["utilization_percent"] <= 85 and not gpu["keepalive"]["open_loop"] for gpu in gpus)

    wait_until(is_in_band, "two GPUs in the band", 40, cluster.dump)
    assert keep(cluster)["today_j"] is not None, "this driver counts energy"
    scenario.gpus[0].state = 15
    scenario.write()
    wait_for_state(cluster, "off", within_s=10)
    assert state(cluster, 1) == "holding"
    task = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(task, "done")
    assert "[GPU-bbbb]" in cluster.log(task)


@needs_torch
def test_a_mig_device_has_no_reading_and_is_held_without_one(cluster: Cluster, library: Path) -> None:
    on_nvml(cluster, library, FakeGpu("GPU-aaaa", mig=1, slices=[FakeSlice("MIG-one")]))
    wait_for_state(cluster, "holding")
    wait_until(lambda: keep(cluster)["open_loop"], "open loop", 40, cluster.dump)
    assert keep(cluster)["duty"] == pytest.approx(0.775)
    assert "\topen\t" in cluster.node_text()


@needs_torch
def test_where_mps_serves_the_node_nothing_is_held_until_it_has_gone(cluster: Cluster, library: Path) -> None:
    pipes = cluster.base / "mps"
    pipes.mkdir()
    os.mkfifo(pipes / "control")
    on_nvml(cluster, library, FakeGpu("GPU-aaaa"), CUDA_MPS_PIPE_DIRECTORY=str(pipes))
    wait_until(lambda: f"MPS serves this node ({pipes}/control)" in keep(cluster).get("reason", ""), "why", 40)
    assert fillers(cluster) == []
    task = cluster.submit("echo $CUDA_MPS_PIPE_DIRECTORY\n")
    cluster.wait_for(task, "done")
    assert str(pipes) in cluster.log(task), "what tasks share is theirs"
    (pipes / "control").unlink()
    wait_for_state(cluster, "holding")


EXCLUSIVE_PROCESS = 3


@needs_torch
def test_a_gpu_that_lets_in_one_process_alone_is_not_held_and_a_task_gets_it(cluster: Cluster, library: Path) -> None:
    scenario = on_nvml(cluster, library, FakeGpu("GPU-aaaa", compute=EXCLUSIVE_PROCESS), FakeGpu("GPU-bbbb"))
    wait_for_state(cluster, "holding", 1)
    assert "a filler would lock all others out" in keep(cluster)["reason"]
    assert state(cluster) == "off"
    assert held_on_nvml(cluster) == {"GPU-bbbb": HELD}
    task = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(task, "done")
    assert "[0]" in cluster.log(task)
    scenario.gpus[0].compute, scenario.gpus[1].compute = 0, EXCLUSIVE_PROCESS
    scenario.write()
    wait_for_state(cluster, "holding", 0, within_s=20)
    wait_for_state(cluster, "off", 1, within_s=20)
    assert held_on_nvml(cluster) == {"GPU-aaaa": HELD}


@needs_torch
def test_on_a_node_of_ours_alone_it_is_held_and_a_task_starts_when_its_worker_has_gone(
    cluster: Cluster, library: Path
) -> None:
    on_nvml(cluster, library, FakeGpu("GPU-aaaa", compute=EXCLUSIVE_PROCESS), GPU_QUEUE_SWEEP="1")
    wait_for_state(cluster, "holding")
    assert held_on_nvml(cluster) == {"GPU-aaaa": HELD}
    task = cluster.submit(
        in_python(
            "from gpu_queue.gpus.plant import Plant\n"
            f"print('held', Plant({str(cluster.base / 'loads')!r}).read(time.monotonic_ns()))\n"
        )
    )
    cluster.wait_for(task, "done")
    assert "held {}" in cluster.log(task)
    wait_for_state(cluster, "holding", within_s=20)


@needs_torch
def test_the_engine_for_simulated_gpus_is_refused_on_others(cluster: Cluster, library: Path) -> None:
    scenario = Scenario(cluster.base / "scenario", gpus=[FakeGpu("GPU-aaaa")])
    more = {"GPU_QUEUE_KEEPALIVE_ENGINE": "cpu"}
    cluster.start(simulate=None, keepalive=True, env={**more, **environment(library, scenario)})
    wait_until(lambda: "for simulated GPUs" in keep(cluster).get("reason", ""), "the reason", 40, cluster.dump)
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")
