"""What people ask of agents: stop, shutdown, explain, and words written into control.json by hand."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, put, wait_until

TREE = "trap '' TERM\nsetsid sleep 600 &\nsleep 600 & echo up\nsleep 600\n"


def test_stop_ends_the_whole_tree_of_a_task_and_says_so(cluster: Cluster) -> None:
    cluster.start(GPU_QUEUE_STOP_GRACE="0.5s")
    task = cluster.submit(TREE)
    other = cluster.submit("sleep 600\n", "other.sh")
    cluster.wait_for_line(task, "up")
    cluster.wait_for_line(other, "==== started")
    answer = cluster.ack(cluster.command_all("stop", claims=[cluster.claim_of(task)]))
    assert "stopped task.sh" in answer
    assert "processes ended" in answer
    cluster.wait_for(task, "failed")
    assert cluster.tries(task)[0]["outcome"] == "stopped"
    assert cluster.where(other) == ["running"], "the other task goes on"
    sleeps = []
    for pid in cluster.own_processes():
        with contextlib.suppress(OSError):  # what a shim calls comes and goes
            if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                sleeps.append(Path(f"/proc/{pid}/environ").read_bytes())
    assert [one for one in sleeps if b"other.sh" not in one] == []


def test_a_stopped_task_is_not_retried(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("#GPUQ --retries 5\nsleep 600\n")
    cluster.wait_for_line(task, "==== started")
    cluster.ack(cluster.command_all("stop", claims=[cluster.claim_of(task)]))
    cluster.wait_for(task, "failed")


def test_a_stop_that_an_agent_could_not_obey_any_more_is_obeyed_by_its_successor(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit("sleep 600\n")
    cluster.wait_for_line(task, "==== started")
    cluster.kill(agent)
    stem = cluster.command_all("stop", claims=[cluster.claim_of(task)])
    cluster.start()
    cluster.ack(stem)
    cluster.wait_for(task, "failed")


def test_a_command_is_obeyed_once_even_by_a_restarted_agent(cluster: Cluster) -> None:
    agent = cluster.start()
    stem = cluster.command_all("explain", tasks=["nothing"])
    cluster.ack(stem)
    (ack,) = Path(cluster.paths.control).glob(f"{stem}.*.ack")
    wait_until(lambda: stem.split("-")[1] in cluster.nodes()[0]["seen"], "the nonce in the node file")
    cluster.kill(agent)
    ack.unlink()
    cluster.start()
    cluster.ack(cluster.command_all("explain", tasks=["nothing"]))
    assert not ack.exists()


def test_shutdown_requeues_what_runs_and_does_not_meet_the_next_agent(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit("sleep 600\n")
    cluster.wait_for_line(task, "==== started")
    answer = cluster.ack(cluster.command_all("shutdown"))
    assert "1 running task goes back to pending" in answer
    assert agent.wait(20) == 0
    assert cluster.where(task) == ["pending"]
    again = cluster.start()
    cluster.wait_for_line(task, "try 2")
    assert again.poll() is None


def test_shutdown_with_wait_lets_tasks_end(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit('until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done\n')
    cluster.wait_for_line(task, "==== started")
    cluster.ack(cluster.command_all("shutdown", wait=True))
    (cluster.queue_root / "go").touch()
    assert agent.wait(20) == 0
    assert cluster.where(task) == ["done"]


def test_explain_answers_for_a_task_beyond_those_that_are_published(cluster: Cluster) -> None:
    cluster.start("--gpus", "0")
    cluster.submit("sleep 600\n", priority=100)
    for _ in range(120):
        cluster.submit("true\n")
    last = cluster.submit("#GPUQ --gpus 8\ntrue\n", priority=999)
    assert "needs 8 GPUs; this node serves 1" in cluster.ack(cluster.command_all("explain", tasks=[last]))
    wait_until(lambda: "waiting\t121\n" in cluster.node_text(), "counts for the rest", dump=cluster.dump)


def test_a_command_written_by_hand_is_obeyed(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("sleep 600\n", "mine.sh")
    waiting = cluster.submit("#GPUQ --gpus 2\ntrue\n", "mine-too.sh")
    cluster.wait_for_line(task, "==== started")
    Path(cluster.paths.hand_command).write_text('{"command": "stop", "names": ["mine"]}')
    cluster.wait_for(task, "failed")
    cluster.wait_for(waiting, "failed")
    assert not Path(cluster.paths.hand_command).exists()


def test_garbage_in_the_mailbox_is_set_aside_with_a_reason(cluster: Cluster) -> None:
    cluster.start()
    entry = Path(cluster.paths.control, "20260101T000000000-abcdef.json")
    put(entry, '{"nonce": "abcdef", "command": "dance", "to": ["*"]}')
    wait_until(lambda: "expected one of stop" in cluster.dump(), "the reason", dump=cluster.dump)
    assert not entry.exists()
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")


@pytest.fixture
def stray(cluster: Cluster) -> object:
    """A Python process that hangs on to a GPU, as far as anybody can tell: it has the driver's library mapped."""
    library = cluster.base / "libcuda.so.1"
    library.write_bytes(b"\0" * 8192)
    code = "import mmap, sys, time; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); m[0]; print('up', flush=True); time.sleep(600)"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", code, str(library)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_on_a_dedicated_node_stop_also_sweeps_strays_but_no_task(
    cluster: Cluster, stray: subprocess.Popen[bytes]
) -> None:
    cluster.start("--sweep")
    library = cluster.base / "libcuda.so.1"
    code = f"import mmap,time\nf=open({str(library)!r},'rb'); m=mmap.mmap(f.fileno(),0,access=mmap.ACCESS_READ); m[0]\nprint('up',flush=True)\ntime.sleep(600)\n"  # noqa: E501
    kept = cluster.submit(code, "kept.py")
    stopped = cluster.submit("sleep 600\n")
    cluster.wait_for_line(kept, "up\n")
    cluster.wait_for_line(stopped, "==== started")
    answer = cluster.ack(cluster.command_all("stop", claims=[cluster.claim_of(stopped)]))
    assert "swept 1 stray Python process" in answer
    assert stray.wait(10) != 0
    assert cluster.where(kept) == ["running"]


def test_on_a_shared_node_nobody_is_swept(cluster: Cluster, stray: subprocess.Popen[bytes]) -> None:
    cluster.start()
    assert "not dedicated" in cluster.ack(cluster.command_all("sweep"))
    assert stray.poll() is None


def test_config_that_breaks_under_a_running_agent_is_told_and_the_last_good_one_stays(cluster: Cluster) -> None:
    config = Path(cluster.paths.config)
    put(config, "cpu_slots: 1\n")
    cluster.start()
    put(config, "cpu_slots: [lots]\n")
    wait_until(lambda: "the last good settings stay" in cluster.node_text(), "the problem", dump=cluster.dump)
    task = cluster.submit("true\n")
    cluster.wait_for(task, "done")
    put(config, "default_gpus: 2\n")
    two = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    wait_until(lambda: "note" not in cluster.node_text(), "the problem gone", dump=cluster.dump)
    cluster.wait_for(two, "done")
    three = cluster.submit("echo [$CUDA_VISIBLE_DEVICES]\n")
    cluster.wait_for(three, "done")
    assert "[0,1]" in cluster.log(three)


def test_slots_for_tasks_without_gpus_can_be_none_and_a_running_agent_is_given_some(cluster: Cluster) -> None:
    config = Path(cluster.paths.config)
    config.write_text("cpu_slots: 0\n")
    cluster.start()
    task = cluster.submit("#GPUQ --gpus 0\ntrue\n")
    says_so = "this node runs no tasks without GPU (cpu_slots: 0)"
    wait_until(lambda: says_so in cluster.node_text(), "the reason", dump=cluster.dump)
    assert cluster.where(task) == ["pending"]
    put(config, "cpu_slots: 1\n")
    cluster.wait_for(task, "done")


def test_all_that_breaks_a_config_under_a_running_agent_is_told(cluster: Cluster) -> None:
    config = Path(cluster.paths.config)
    cluster.start()
    put(config, "retires: 1\nkeepalive:\n  gpu_util_high: 101\n")
    told = (
        "note\tthe last good settings stay: config.yaml:1: unknown setting 'retires'; did you mean retries?; "
        "config.yaml:3: keepalive.gpu_util_high: 101; expected a percentage, 0 to 100\n"
    )
    wait_until(lambda: told in cluster.node_text(), "the problems", dump=cluster.dump)


def test_a_broken_config_keeps_an_agent_from_starting_with_a_line_for_each_problem(cluster: Cluster) -> None:
    config = Path(cluster.paths.config)
    config.write_text("lifetime: soon\nkeepalive: maybe\n")
    agent = cluster.start(wait=False)
    assert agent.wait(20) == 1
    said = cluster.output.read_text()
    assert f"perpetual_motion.py: {config}:1: lifetime: 'soon' is no duration" in said
    assert f"\nperpetual_motion.py: {config}:2: keepalive: 'maybe'; expected true or false\n" in said


def run_check(cluster: Cluster, *flags: str, simulate: str | None = "2") -> subprocess.CompletedProcess[str]:
    command = cluster.command("--check", *flags, simulate=simulate)
    return subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, timeout=30, check=False)


def test_check_says_what_would_be_done_and_exits_0(cluster: Cluster) -> None:
    done = run_check(cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("spool", "GPUs", "2 GPUs", "torch", "ready", "local"):
        assert word in done.stdout


def test_check_names_each_problem_of_the_settings_and_judges_the_rest(cluster: Cluster) -> None:
    config = Path(cluster.paths.config)
    config.write_text("retires: 2\npoll: soon\n")
    done = run_check(cluster, "--at-end", "never")
    assert done.returncode == 1, done.stdout + done.stderr
    problems = [line for line in done.stdout.splitlines() if "PROBLEM: " in line]
    places = [f"{config}:1: unknown setting 'retires'", f"{config}:2: poll: 'soon'", "--at-end: 'never'"]
    assert all(place in line for place, line in zip(places, problems, strict=True))
    assert "2 GPUs" in done.stdout
    assert "3 problems" in done.stdout


def test_check_without_gpus_says_how_to_simulate_and_exits_1(cluster: Cluster) -> None:
    done = run_check(cluster, simulate=None)
    assert done.returncode == 1
    assert "--simulate" in done.stdout


def test_an_agent_without_gpus_never_simulates_silently(cluster: Cluster) -> None:
    agent = cluster.start(wait=False, simulate=None)
    assert agent.wait(20) == 1
    assert "--simulate" in cluster.output.read_text()


def test_a_spool_that_others_can_write_is_refused(cluster: Cluster) -> None:
    os.chmod(f"{cluster.paths.root}/pending", 0o770)
    agent = cluster.start(wait=False)
    assert agent.wait(20) == 1
    assert "lets others write" in cluster.output.read_text()


def test_the_node_file_is_json_that_says_what_runs_where(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("sleep 600\n")
    wait_until(lambda: any(node["running"] for node in cluster.nodes()), "the running task", dump=cluster.dump)
    (node,) = cluster.nodes()
    assert node["running"][0]["claim"] == cluster.claim_of(task)
    assert node["running"][0]["gpus"] == [0]
    assert [gpu["state"] for gpu in node["gpus"]] == ["busy", "idle"]
    assert json.dumps(node)
