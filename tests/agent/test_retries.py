"""How failures are tried again on a server that several people share: at once, with a rest after each few of them."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import Cluster, wait_until
from tests.agent.test_client import typed
from tests.cases import long

REST_S = 4.0
SHARED = {"GPU_QUEUE_MODE": "shared", "GPU_QUEUE_BACKOFF_DURATION": f"{REST_S}s", "GPU_QUEUE_CPU_SLOTS": "4"}
FAILS = (
    '#GPUQ --gpus 0 --queue car\necho "$(date +%s.%N) a $GPU_QUEUE_TRY" >> starts; [ $GPU_QUEUE_TRY -gt {times} ]\n'
)
NEXT = '#GPUQ --gpus 0 --queue car\necho "$(date +%s.%N) {name} $GPU_QUEUE_TRY" >> starts\n'


def starts(cluster: Cluster) -> list[tuple[float, str, int]]:
    """When which script was started for which try."""
    path = cluster.base / "starts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(float(moment), name, int(number)) for moment, name, number in map(str.split, lines)]


def a_queue(cluster: Cluster, failures: int) -> list[str]:
    """Three tasks of one queue, the first of which fails so often; they lie in the cluster's directory."""
    first = cluster.submit(FAILS.format(times=failures), "a.sh")
    return [first, *(cluster.submit(NEXT.format(name=name), f"{name}.sh") for name in "bc")]


def tried(cluster: Cluster, times: int) -> None:
    wait_until(lambda: len(starts(cluster)) >= times, f"{times} starts", dump=cluster.dump)


def failed(cluster: Cluster, task: str, times: int) -> list[dict[str, Any]]:
    """The index of tries of a task that has failed so often and waits again."""

    def entries() -> list[dict[str, Any]]:
        path = Path(cluster.paths.tries_index(task))
        return list(json.loads(path.read_text())["tries"]) if path.exists() else []

    wait_until(
        lambda: len(entries()) == times and cluster.where(task) == ["pending"], "its return", dump=cluster.dump
    )
    return entries()


def gaps_s(cluster: Cluster) -> list[float]:
    moments = [moment for moment, _, _ in starts(cluster)]
    return [round(after - before, 2) for before, after in pairwise(moments)]


def test_a_queue_stays_its_first_tasks_over_failures_and_the_rest_after_the_third(cluster: Cluster) -> None:
    cluster.start(env=SHARED)
    tasks = a_queue(cluster, failures=4)
    cluster.wait_for(tasks[2], "done", 40)
    assert [(name, number) for _, name, number in starts(cluster)] == [
        *(("a", number) for number in range(1, 6)),
        *(("b", 1), ("c", 1)),
    ]
    first, second, third, fourth, *_ = gaps_s(cluster)
    assert third >= REST_S, "it rests after the third failure"
    assert max(first, second, fourth) < REST_S, "all others are tried again at once"
    assert [
        entry.get("failures") for entry in json.loads(Path(cluster.paths.tries_index(tasks[0])).read_text())["tries"]
    ] == [
        1,
        2,
        3,
        4,
        None,
    ]


def test_a_rest_outlives_the_agent_and_another_one_on_the_same_spool_keeps_it(cluster: Cluster) -> None:
    agent = cluster.start(env=SHARED)
    tasks = a_queue(cluster, failures=3)
    failed(cluster, tasks[0], 3)
    cluster.kill(agent)
    cluster.start("--node-name", "other", env=SHARED)
    tried(cluster, 4)
    assert gaps_s(cluster)[2] >= REST_S
    cluster.wait_for(tasks[2], "done", 40)
    assert [name for _, name, _ in starts(cluster)] == ["a", "a", "a", "a", "b", "c"]


def test_two_agents_never_run_two_tasks_of_a_queue_and_come_to_the_same_rest(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.start("--node-name", name, env=SHARED)
    tasks = a_queue(cluster, failures=4)
    cluster.wait_for(tasks[2], "done", 60)
    assert [name for _, name, _ in starts(cluster)] == [*"aaaaabc"]
    first, second, third, fourth, *_ = gaps_s(cluster)
    assert third >= REST_S > max(first, second, fourth)


def test_a_rest_is_told_with_its_end_and_what_failed(cluster: Cluster) -> None:
    cluster.start(env={**SHARED, "GPU_QUEUE_BACKOFF_DURATION": "10m", "GPU_QUEUE_MAX_RETRY_BEFORE_BACKOFF": "2"})
    task = cluster.submit("#GPUQ --gpus 0\necho 'torch.OutOfMemoryError: CUDA out of memory.' >&2; exit 3\n", "a.sh")
    entries = failed(cluster, task, 2)
    assert [entry["error_type"] for entry in entries] == ["oom", "oom"]
    wait_until(lambda: "rests until" in cluster.node_text(), "its reason", dump=cluster.dump)
    told = typed(cluster, "bash", f"gpu_explain {task}")
    assert re.search(r"rests until \d\d:\d\d:\d\d after 2 failures \(oom\): \d+m\d\ds more", told.stdout), told
    said = cluster.output.read_text()
    assert "failed(3) oom (retry 1)" in said
    assert "failed(3) oom (retry 2, after a rest of 10m)" in said


def test_stopping_a_task_that_rests_gives_it_up_and_its_queue_goes_on(cluster: Cluster) -> None:
    cluster.start(env={**SHARED, "GPU_QUEUE_BACKOFF_DURATION": "10m"})
    tasks = a_queue(cluster, failures=100)
    failed(cluster, tasks[0], 3)
    stopped = typed(cluster, "bash", f"gpu_stop {tasks[0]}")
    assert stopped.returncode == 0, stopped
    cluster.wait_for(tasks[2], "done")
    assert cluster.where(tasks[0]) == ["failed"]
    assert [name for _, name, _ in starts(cluster)] == [*"aaabc"]


def test_a_task_that_failed_as_often_as_it_may_is_given_up_and_a_retry_by_hand_counts_anew(cluster: Cluster) -> None:
    cluster.start(env=SHARED, GPU_QUEUE_MAX_RETRIES="1")
    task = cluster.submit("#GPUQ --gpus 0 --retries 7\n[ $GPU_QUEUE_TRY = 4 ]\n")
    modest = cluster.submit("#GPUQ --gpus 0 --retries 0\nexit 1\n")
    cluster.wait_for(task, "failed")
    cluster.wait_for(modest, "failed")
    assert (len(cluster.tries(task)), len(cluster.tries(modest))) == (2, 1)
    assert typed(cluster, "bash", f"gpu_retry {task}").returncode == 0
    cluster.wait_for(task, "done")
    assert len(cluster.tries(task)) == 4


def test_a_dedicated_agent_retries_nothing_and_tells_what_kind_of_failure_it_was(cluster: Cluster) -> None:
    cluster.start()
    said = "#GPUQ --gpus 0\n"
    kinds = {
        cluster.submit(said + f"python3 -c '{program}'\n"): kind
        for program, kind in {
            'raise RuntimeError("no")': "runtime_error",
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28,) * 2); bytearray(1 << 30)": "oom",
            'raise ValueError("zoom")': "unknown",
            "import os; os.kill(os.getpid(), 11)": "signal",
        }.items()
    }
    kinds[cluster.submit(said + "timeout 0.1 sleep 60\n")] = "timeout"
    kinds[cluster.submit(said + "no-such-command\n")] = "unknown"
    kinds[cluster.submit("#GPUQ --gpus 0 --time 1s\nsleep 60\n")] = "timeout"
    for task, kind in kinds.items():
        cluster.wait_for(task, "failed")
        (record,) = cluster.tries(task)
        assert (record["error_type"], record["to"]) == (kind, "failed"), cluster.log(task)
    fine = cluster.submit(said + "echo RuntimeError: out of memory\n")
    cluster.wait_for(fine, "done")
    assert "error_type" not in cluster.tries(fine)[0]
    events = "".join(path.read_text() for path in Path(cluster.paths.root, "events").glob("*.jsonl"))
    told = [json.loads(line) for line in events.splitlines() if '"settled"' in line]
    assert {one["claim"].partition("-")[2].partition(".try")[0]: one.get("error_type") for one in told} == {
        **kinds,
        fine: None,
    }
    oom = next(task for task, kind in kinds.items() if kind == "oom")
    shown = typed(cluster, "bash", f"gpu_explain {oom}; gpu_status")
    explained, _, listed = shown.stdout.partition("FAILED in the last day")
    assert "has failed: exit status 1 (oom)" in explained, shown
    told_kinds = re.findall(r"exit status \d+ \((\w+)\)", listed)  # of the last five, of which three may have none
    assert len(told_kinds) >= 2, shown
    assert set(told_kinds) <= set(kinds.values()), shown


@pytest.mark.parametrize("word", ["my_word", *long("")])
def test_a_script_that_writes_abnormal_exit_is_tried_again_whatever_its_status(cluster: Cluster, word: str) -> None:
    cluster.start(env=SHARED)
    said = {"pid": 1, "state": "abnormal_exit", **({"error_type": word} if word else {})}
    program = (
        "import json, os; path = os.environ['WHERE']\n"
        "whole = json.load(open(path)) if os.path.exists(path) else {}\n"
        f"whole.setdefault(os.path.basename(os.environ['GPU_QUEUE_CLAIM']), {{}}).update({said!r})\n"
        "json.dump(whole, open(path + '.new', 'w')); os.replace(path + '.new', path)\n"
    )
    (cluster.base / "say.py").write_text(program)
    where = shlex.quote(cluster.paths.uni_ids)
    task = cluster.submit(f"#GPUQ --gpus 0\nexport WHERE={where}\n[ $GPU_QUEUE_TRY = 2 ] || python3 say.py\n")
    cluster.wait_for(task, "done")
    first, second = cluster.tries(task)
    assert (first["status"], first["outcome"], first["error_type"]) == (0, "failed(0)", word or "unknown"), (
        cluster.log(task)
    )
    assert second["outcome"] == "succeeded"
