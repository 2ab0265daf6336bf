"""Each key of a shared server's config.yaml has its effect on a running agent, which takes it over at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import Cluster, a_cluster, put, wait_until

DOCUMENT = Path(__file__).parents[1] / "unit" / "documents" / "001-config.yaml"
AGAIN = "config.yaml was read again"
CARDS: list[dict[str, Any]] = [{"used": "40G"}, {"used": "10G", "utilization": 20}, {}, {"used": "75G"}]
"""What others hold of cards of 80 GB, all the time: who comes or goes is waited for."""


class Server:
    """One agent on four simulated cards, whose config.yaml changes under it."""

    def __init__(self, base: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        self._cards = base / "cards.json"
        self._release = base / "release"
        self._changes = 0
        self.cards()
        Path(cluster.paths.config).write_text(DOCUMENT.read_text(encoding="utf-8"), encoding="utf-8")
        more = {"GPU_QUEUE_SIMULATE_FILE": str(self._cards), "GPU_QUEUE_BEAT": "0.2s"}
        cluster.start("--gpus-unless-shared", "0,1", simulate="4x80G", env=more)

    def cards(self, *pids: int) -> None:
        """Have these processes on the first card."""
        put(self._cards, json.dumps(dict(enumerate([{**CARDS[0], "processes": pids}, *CARDS[1:]]))))

    def say(self, text: str) -> None:
        """Write the config.yaml, and wait until the agent goes by it."""
        self._changes += 1
        read = self._read_again()
        # Each one differs in where its lines stand, and so is another one for the agent.
        put(
            self.cluster.paths.config,
            "\n" * self._changes + ("" if "check_time" in text else "check_time: 0.2\n") + text,
        )
        wait_until(lambda: self._read_again() > read, "the new settings", dump=self.cluster.dump)

    def _read_again(self) -> int:
        return self.cluster.output.read_text().count(AGAIN)

    def begin(self, gpus: str = "1", **needs: Any) -> str:
        """A task that holds what it gets until the test is over."""
        wait = f"until [ -e '{self._release}' ]; do sleep 0.02; done"
        return self.cluster.submit(f'#!/bin/sh\necho "got <$CUDA_VISIBLE_DEVICES>"\n{wait}\n', gpus=gpus, **needs)

    def cards_of(self, task: str) -> list[int]:
        """What a task has got, when it has begun."""
        self.cluster.wait_for_line(task, "got <")
        return [int(card) for card in self.cluster.log(task).partition("got <")[2].partition(">")[0].split(",")]

    def once(self, gpus: str = "1", **needs: Any) -> str:
        """A task that is done."""
        task = self.cluster.submit('#!/bin/sh\necho "got <$CUDA_VISIBLE_DEVICES>"\n', gpus=gpus, **needs)
        self.cluster.wait_for(task, "done")
        return task

    def reason(self, task: str) -> str:
        """Why a task waits, when the agent has said it."""

        def found() -> str:
            waiting = [one for node in self.cluster.nodes() for one in node["waiting"]["why"]]
            return "".join(one["code"] for one in waiting if task in one["name"])

        said: str = wait_until(found, f"why {task} waits", dump=self.cluster.dump)
        return said

    def judges(self, *verdicts: str) -> None:
        """Wait until the agent says this of the first cards: idle, or what keeps them from tasks."""

        def found() -> list[str]:
            (node,) = self.cluster.nodes()
            if node["running"] or node["settled"]["done"] < len(self.cluster.names("done")):
                return []  # it was written before the last task had ended
            return [card["shared"]["kept_by"] or card["state"] for card in node["gpus"][: len(verdicts)]]

        wait_until(lambda: found() == list(verdicts), f"{verdicts}", timeout_s=15.0, dump=self.cluster.dump)

    def rest(self) -> None:
        """What a test has begun ends, and the cards are idle."""
        self._release.touch()
        wait_until(
            lambda: not self.cluster.names("pending") and not self.cluster.names("running"),
            "an idle server",
            dump=self.cluster.dump,
        )
        self._release.unlink()
        self.cards()


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("shared server")
    with a_cluster(base) as cluster:
        yield Server(base, cluster)


@pytest.fixture
def server(one_server: Server) -> Iterator[Server]:
    yield one_server
    one_server.rest()


def test_compete_gpus_says_which_cards_tasks_may_have_and_use_all_gpus_that_it_says_nothing(server: Server) -> None:
    server.say("compete_gpus: [2, 0, 9]\n")
    server.judges("idle", "left", "idle", "left")
    server.say("compete_gpus: [2, 0, 9]\nuse_all_gpus: true\n")
    server.judges("idle", "idle", "idle", "idle")
    assert "compete_gpus: 9: no GPU that is served here" in server.cluster.output.read_text()
    server.say("compete_gpus: [3]\n")
    assert server.cards_of(server.once()) == [3]


def test_gpu_left_keeps_the_last_cards_of_the_list_away(server: Server) -> None:
    server.say("gpu_left: 1\n")
    server.judges("idle", "idle", "idle", "left")
    server.say("compete_gpus: [3, 2, 1, 0]\ngpu_left: 3\n")
    server.judges("left", "left", "left", "idle")


def test_gpu_left_of_those_that_are_free_leaves_some_whichever_they_are(server: Server) -> None:
    server.say("compete_gpus: [1, 2]\ngpu_left: {free: 1}\n")
    server.cards_of(server.begin())
    late = server.begin()
    assert server.reason(late) == "reserve"
    server.say("compete_gpus: [1, 2]\n")
    server.cards_of(late)


def test_min_memory_is_what_a_card_must_have_free_for_a_task_that_does_not_say(server: Server) -> None:
    server.say("min_memory: 8000\n")
    server.judges("idle", "idle", "idle", "little")
    server.say("min_memory: 45G\n")
    server.judges("little", "idle", "idle", "little")


def test_max_util_is_what_a_card_of_others_may_be_busy_at_most(server: Server) -> None:
    server.say("max_util: 10\n")
    server.judges("idle", "used", "idle", "idle")
    server.say("max_util: 20\n")
    server.judges("idle", "idle", "idle", "idle")


def test_maximize_resource_utilization_takes_cards_with_python_of_this_user_and_shares_them(server: Server) -> None:
    python = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        server.cards(python.pid)
        server.say("compete_gpus: [0, 2]\n")
        server.judges("python", "left", "idle", "left")
        server.say("compete_gpus: [0, 2]\nmaximize_resource_utilization: true\n")
        server.judges("idle", "left", "idle", "left")
        server.say("compete_gpus: [2]\nmaximize_resource_utilization: true\n")
        both = [server.begin(memory="30G") for _ in range(2)]
        assert [server.cards_of(one) for one in both] == [[2], [2]]
    finally:
        python.communicate(b"\n")


def test_check_time_is_how_often_it_is_looked_who_uses_what(server: Server) -> None:
    python = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        server.say("")
        server.judges("idle")
        server.say("check_time: 1h\n")
        server.cards(python.pid)
        server.say("check_time: 0.2\n")
        server.judges("python")
    finally:
        python.communicate(b"\n")


def test_max_concurrent_is_how_many_tasks_run_at_once(server: Server) -> None:
    server.say("max_concurrent: 1\n")
    first = server.begin()
    server.cards_of(first)
    second = server.begin()
    assert server.reason(second) == "concurrent"
    server.say("max_concurrent: null\n")
    server.cards_of(second)


def test_a_task_that_waits_for_what_others_hold_longer_than_max_wait_time_fails(server: Server) -> None:
    python = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        server.cards(python.pid)
        server.say("compete_gpus: [0, 1]\n")
        server.judges("python", "idle")  # what ran there before is forgotten after some readings
        server.say("compete_gpus: [0, 1]\nmax_wait_time: 1s\n")
        server.cards_of(server.begin())
        late = server.begin()
        both = server.cluster.submit("exit\n", gpus="2")
        server.cluster.wait_for(both, "failed")
        assert server.cluster.where(late) == ["pending"], "a task of ours has the card that it could have"
    finally:
        python.communicate(b"\n")


@pytest.mark.parametrize(
    ("select", "chosen"), [("most_free", [1, 1]), ("least_util", [0, 0]), ("round_robin", [0, 1])]
)
def test_select_says_which_of_the_cards_that_fit(server: Server, select: str, chosen: list[int]) -> None:
    server.say(f"compete_gpus: [0, 1]\nselect: {select}\n")
    taken = []
    for _ in chosen:
        server.judges("idle", "idle")
        taken += server.cards_of(server.once())
    assert sorted(taken) == chosen


def test_process_json_is_written_beside_the_one_of_the_spool(server: Server, tmp_path: Path) -> None:
    said = tmp_path / "logs" / "uni_id.json"
    said.parent.mkdir()
    server.say(f"process_json: {said}\n")
    task = server.begin()
    server.cards_of(task)

    def found() -> list[dict[str, Any]]:
        states = json.loads(said.read_text()) if said.exists() else {}
        return [state for uni_id, state in states.items() if task in uni_id]

    (state,) = wait_until(found, "the task in that file", dump=server.cluster.dump)
    assert state["state"] == "running"
    assert os.path.exists(f"/proc/{state['pid']}")


def test_retry_config_says_how_often_at_once_and_when_it_is_given_up(server: Server) -> None:
    server.say("retry_config: {max_retries: 1}\n")
    task = server.cluster.submit("#!/bin/sh\nexit 3\n", gpus="1")
    server.cluster.wait_for(task, "failed")
    assert len(server.cluster.tries(task)) == 2
    server.say("retry_config: {max_retry_before_backoff: 1, backoff_duration: 1h}\n")
    task = server.cluster.submit("#!/bin/sh\nexit 3\n", gpus="1")
    assert server.reason(task) == "backoff"
    assert len(server.cluster.tries(task)) == 1
    server.say("retry_config: {max_retry_before_backoff: 1, backoff_duration: 0, max_retries: 1}\n")
    server.cluster.wait_for(task, "failed")
