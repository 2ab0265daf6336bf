"""``uni_id.json`` by a real agent, with scripts that follow the documents' snippets."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.processes import get_all_processes, get_running_processes, is_process_running, wait_for_completion
from tests.agent.harness import Cluster, wait_until
from tests.node.outsiders import BARE, UPDATE, outsider

BEGIN = UPDATE + BARE + "UNI_ID=${GPU_QUEUE_CLAIM##*/}\n"
"""What a script of the documents begins with."""
TURN = 'exec 9>>"$SCRIPT_DIR/turn"; flock 9; {}; exec 9>&-'
"""Outsiders lose records of each other; where that is not the question they write one after the other."""


class Shared:
    """An agent in mode shared, and the directory of scripts that follow the documents."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.scripts = cluster.base.parent / "scripts"
        self.other = self.scripts / "script_process/uni_id.json"
        self.own = Path(cluster.paths.uni_ids)
        self.scripts.mkdir()
        os.mkfifo(self.scripts / "go")

    def start(self, *flags: str, simulate: str = "2", retries: int = 0) -> subprocess.Popen[bytes]:
        env = {
            "GPU_QUEUE_MAX_RETRIES": str(retries),
            "GPU_QUEUE_PROCESS_JSON": str(self.other),
            "GPU_QUEUE_MODE": "shared",
        }
        return self.cluster.start("--check-time", "0.2s", *flags, simulate=simulate, env=env)

    def submit(self, text: str, name: str = "task.sh", **needs: Any) -> str:
        return self.cluster.submit(f"SCRIPT_DIR='{self.scripts}'\n{BEGIN}{text}", name, **needs)

    def records(self, task_id: str, path: Path | None = None) -> list[dict[str, Any]]:
        found = get_all_processes(path or self.own)
        return sorted((one for name, one in found.items() if task_id in name), key=lambda one: one["retry_count"])

    def wait_for(self, task_id: str, states: list[str]) -> list[dict[str, Any]]:
        for path in (self.own, self.other):
            wait_until(
                lambda path=path: [one["state"] for one in self.records(task_id, path)] == states,  # type: ignore[misc]
                f"{states} in {path}, found {self.records(task_id, path)}",
                dump=self.cluster.dump,
            )
        return self.records(task_id)


@pytest.fixture
def shared(cluster: Cluster) -> Shared:
    return Shared(cluster)


def test_outside_scripts_see_a_try_run_and_end(shared: Shared) -> None:
    shared.start()
    task = shared.submit("read -r _ <$SCRIPT_DIR/go\n")
    (entry,) = shared.wait_for(task, ["running"])
    (uni_id,) = (name for name in get_all_processes(shared.own) if task in name)
    assert uni_id == shared.cluster.claim_of(task)
    os.kill(entry["pid"], 0)
    assert get_running_processes(shared.other) == {uni_id: entry["pid"]}
    (shared.scripts / "go").write_text("\n")
    wait_for_completion(uni_id, 0.05, shared.own)
    (entry,) = shared.wait_for(task, ["normal_exit"])
    assert not is_process_running(uni_id, shared.other)
    assert entry["retry_count"] == 0


@pytest.mark.parametrize(("status", "said"), [(0, "abnormal_exit"), (1, "normal_exit")])
def test_a_script_that_says_that_it_failed_has_failed_and_one_that_fails_has_too(
    shared: Shared, status: int, said: str
) -> None:
    shared.start()
    task = shared.submit(
        "python3 -c 'pass' &\nPY_PID=$!\n"
        'update_uni_id_status "$UNI_ID" running "$PY_PID" none\nwait $PY_PID\n'
        f'update_uni_id_status "$UNI_ID" {said} "$PY_PID" oom\nexit {status}\n'
    )
    shared.cluster.wait_for(task, "failed")
    (entry,) = shared.wait_for(task, ["abnormal_exit"])
    if status == 0:
        assert entry["error_type"] == "oom"


def test_a_retry_has_a_new_uni_id_that_carries_the_count_on(shared: Shared) -> None:
    shared.start(retries=1)
    task = shared.submit('[ "$GPU_QUEUE_TRY" -gt 1 ]\n')
    shared.cluster.wait_for(task, "done")
    first, second = shared.wait_for(task, ["abnormal_exit", "normal_exit"])
    assert (first["retry_count"], second["retry_count"]) == (0, 1)
    assert first["error_type"]


def test_tries_outlive_the_agent_in_the_file_too(shared: Shared) -> None:
    agent = shared.start()
    task = shared.submit("read -r _ <$SCRIPT_DIR/go\n")
    other = shared.submit("exec sleep 600\n", "other.sh")
    before = [shared.wait_for(one, ["running"]) for one in (task, other)]
    shared.cluster.kill(agent)
    os.kill(before[1][0]["pid"], signal.SIGKILL)
    shared.other.write_text("{}")
    shared.start()
    (entry,) = shared.wait_for(task, ["running"])
    assert [entry] == before[0]
    (shared.scripts / "go").write_text("\n")
    shared.wait_for(task, ["normal_exit"])
    wait_until(
        lambda: any(one["state"] == "abnormal_exit" for one in shared.records(other)), "the lost try's end", 30
    )


def test_a_place_that_cannot_be_written_is_told_once_and_tasks_run_on(cluster: Cluster) -> None:
    cluster.start("--mode", "shared", "--process-json", "/sys/kernel/uni_id.json")
    tasks = [cluster.submit("true\n") for _ in range(3)]
    for task in tasks:
        cluster.wait_for(task, "done")
    wait_until(
        lambda: sum(one["state"] == "normal_exit" for one in get_all_processes(cluster.paths.uni_ids).values()) == 3,
        "three ends",
    )
    said = [line for line in cluster.output.read_text().splitlines() if "/sys/kernel/uni_id.json: could" in line]
    assert len(said) == 1


def test_a_dedicated_node_writes_none(cluster: Cluster) -> None:
    cluster.start()
    cluster.wait_for(cluster.submit("true\n"), "done")
    assert not os.path.lexists(cluster.paths.uni_ids)


TASKS, OUTSIDERS, ROUNDS = 9, 2, 5


def test_both_kinds_of_writers_at_once_lose_nothing(shared: Shared) -> None:
    """Tries come and go, their scripts write, and so do others, while the agent replaces what they rewrite."""
    shared.start(simulate="4")
    round_ = TURN.format('update_uni_id_status "exp$N-$i" running "$i" none')
    bare = TURN.format('note_bare "bare$N-$i" "$i"')
    outsiders = [
        outsider(shared.scripts, f"N={number}; for i in $(seq {ROUNDS}); do {round_}; {bare}; done")
        for number in range(OUTSIDERS)
    ]
    word = TURN.format('update_uni_id_status "$UNI_ID" abnormal_exit 101 oom') + "\n"
    kinds = ("done", "true\n"), ("failed", "exit 3\n"), ("failed", word)
    tasks = [(shared.submit(kinds[number % 3][1], f"t{number}.sh"), number % 3) for number in range(TASKS)]
    for task, kind in tasks:
        wait_until(lambda task=task: set(shared.cluster.where(task)) & {"done", "failed"}, task, 60)  # type: ignore[misc]
        assert shared.cluster.where(task) == [kinds[kind][0]], shared.cluster.dump()
    assert [one.wait(120) for one in outsiders] == [0] * OUTSIDERS
    for task, kind in tasks:
        (entry,) = shared.wait_for(task, ["abnormal_exit" if kind else "normal_exit"])
        assert kind != 2 or entry["error_type"] == "oom"
    wanted = {
        f"{kind}{number}-{i + 1}" for kind in ("exp", "bare") for number in range(OUTSIDERS) for i in range(ROUNDS)
    }
    wait_until(lambda: wanted <= get_all_processes(shared.other).keys(), "all that the outsiders wrote", 10)
    assert not list(shared.own.parent.glob("*.damaged*"))
