"""Tasks of a shared server that have parts of one card: real agents, real processes, simulated GPUs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import Any

import pytest

from gpu_queue.gpus.leases import Leases
from tests.agent.harness import Cluster, put, wait_until

GIB = 1 << 30
CARD = "GPU-00000000-0000-0000-0000-000000000000"
QUICK = {"GPU_QUEUE_MODE": "shared", "GPU_QUEUE_CHECK_TIME": "0.3s"}
PATIENCE_S = 40.0
WAITS = 'echo $$ >pid.$GPU_QUEUE_TASK; while [ ! -e "$HOME/end.$GPU_QUEUE_TASK" ]; do sleep 0.05; done\n'


class Server:
    """One card of 80 GiB, and who has what of its memory."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._state = cluster.base / "gpus.json"
        self.use("0")

    def use(self, used: str, *processes: tuple[int, str]) -> None:
        """Have this much of its memory used, and by these processes as far as the driver tells."""
        put(self._state, json.dumps({"0": {"used": used, "processes": [list(one) for one in processes]}}))

    def is_seen(self, used: int) -> None:
        """Wait until its agent has read that so many GiB are used."""

        def look() -> bool:
            return any(node["gpus"][0]["memory_used_bytes"] == used * GIB for node in self.cluster.nodes())

        wait_until(look, f"{used} GiB to be seen", PATIENCE_S, self.cluster.dump)

    def start(self, *flags: str, cluster: Cluster | None = None, **more: Any) -> Popen[bytes]:
        variables = {**QUICK, "GPU_QUEUE_SIMULATE_FILE": str(self._state)}
        return (cluster or self.cluster).start(*flags, simulate="1x80G", env=variables, **more)

    def submit(self, memory: str | None, script: str = WAITS, cluster: Cluster | None = None) -> str:
        needs: dict[str, Any] = {"gpus": "1"} if memory is None else {"gpus": "1", "memory": memory}
        return (cluster or self.cluster).submit(script, **needs)

    def pid(self, task_id: str) -> int:
        path = self.cluster.base / f"pid.{task_id}"
        return int(wait_until(lambda: path.exists() and path.read_text().strip(), "its pid", PATIENCE_S))

    def end(self, task_id: str) -> None:
        (self.cluster.base / f"end.{task_id}").touch()

    def runs(self, task_id: str, cluster: Cluster | None = None) -> int:
        """Wait until it does; returns its pid."""
        (cluster or self.cluster).wait_for(task_id, "running", PATIENCE_S)
        return self.pid(task_id)

    def parts(self) -> dict[str, int | None]:
        """Of the card, in GiB, by the id of the task."""
        held, _ = Leases(str(self.cluster.local)).look()
        return {
            one.claim.split("-", 1)[1].rsplit(".try", 1)[0]: one.reserve_bytes and one.reserve_bytes // GIB
            for one in held.get(CARD, ())
        }


@pytest.fixture
def server(cluster: Cluster) -> Server:
    return Server(cluster)


@contextmanager
def another_spool(cluster: Cluster) -> Iterator[Cluster]:
    """Of the same user, with agents on the same node."""
    other = Cluster(cluster.base, "other")
    try:
        yield other
    finally:
        other.close()


def stays_pending(cluster: Cluster, task_id: str, plans: int = 5) -> None:
    """It is still waiting when its agent has written of it several times."""
    told: set[str] = set()

    def look() -> bool:
        assert cluster.where(task_id) == ["pending"], cluster.dump()
        told.update(node["beat_at"] for node in cluster.nodes() if task_id in str(node["waiting"]))
        return len(told) > plans

    wait_until(look, "the agent to have judged it several times", PATIENCE_S, cluster.dump)


def test_tasks_that_say_how_much_they_need_share_a_card_where_that_is_wanted(server: Server) -> None:
    server.start("--maximize", GPU_QUEUE_BEAT="0.3s")
    first, second = server.submit("30G"), server.submit("30G")
    first_pid, second_pid = server.runs(first), server.runs(second)
    assert server.parts() == {first: 30, second: 30}
    server.use("35G", (first_pid, "5G"))
    server.is_seen(35)
    third, whole = server.submit("10G"), server.submit(None)
    stays_pending(server.cluster, third)  # 45 are free, and 55 are promised and not shown yet
    server.use("35G", (first_pid, "30G"), (second_pid, "5G"))
    server.runs(third)
    assert server.parts() == {first: 30, second: 30, third: 10}
    assert server.cluster.where(whole) == ["pending"], "who does not say how much shares with nobody"
    record = wait_until(lambda: server.cluster.tries(first), "its record")[0]
    assert record["reserve_bytes"] == 30 * GIB


def test_they_share_none_where_nobody_wants_it(server: Server) -> None:
    server.start(GPU_QUEUE_BEAT="0.3s")
    first, second = server.submit("30G"), server.submit("30G")
    server.runs(first)
    assert server.parts() == {first: None}
    stays_pending(server.cluster, second)
    server.end(first)
    server.runs(second)


def test_an_agent_that_was_killed_has_a_successor_that_knows_the_parts(server: Server) -> None:
    agent = server.start("--maximize")
    first, second = server.submit("30G"), server.submit("30G")
    server.runs(first)
    server.runs(second)
    server.cluster.kill(agent)
    shutil.rmtree(server.cluster.local / "gpus")  # a cleaner came by as well
    server.start("--maximize", GPU_QUEUE_BEAT="0.3s")
    assert server.parts() == {first: 30, second: 30}
    large = server.submit("21G")
    stays_pending(server.cluster, large)
    server.end(first)
    server.runs(large)
    assert server.parts() == {second: 30, large: 21}


BRIEF = 'a=$(date +%s%N); sleep 0.4; echo "$a $(date +%s%N)" >"$HOME/spans/$GPU_QUEUE_TASK"\n'


def most_at_once(server: Server, tasks: int) -> int:
    """How many scripts of that kind ran at once at most."""
    paths = list((server.cluster.base / "spans").iterdir())
    ran = [tuple(map(int, path.read_text().split())) for path in paths]
    assert len(ran) == tasks
    return max(sum(begun <= at < ended for begun, ended in ran) for at, _ in ran)


def test_two_agents_of_one_user_promise_no_more_of_a_card_than_there_is(server: Server) -> None:
    (server.cluster.base / "spans").mkdir()
    with another_spool(server.cluster) as other:
        spools = (server.cluster, other)
        tasks = [(one, server.submit("30G", BRIEF, cluster=one)) for _ in range(4) for one in spools]
        for one in spools:
            server.start("--maximize", cluster=one)
        for one, task_id in tasks:
            one.wait_for(task_id, "done", PATIENCE_S)
    assert most_at_once(server, 8) == 2, "30 of 80 GiB each"


def test_tasks_of_another_agent_of_this_user_count_for_max_concurrent(server: Server) -> None:
    with another_spool(server.cluster) as other:
        server.start("--maximize", "--max-concurrent", "1")
        theirs = server.submit("10G")
        server.runs(theirs)
        server.start("--maximize", "--max-concurrent", "1", cluster=other)
        mine = server.submit("10G", cluster=other)

        def is_told() -> bool:
            return "run here, and no more at once (max_concurrent)" in other.node_text()

        wait_until(is_told, "why it waits", PATIENCE_S, other.dump)
        assert other.where(mine) == ["pending"]
        server.end(theirs)
        server.runs(mine, cluster=other)


def test_many_tasks_at_once_have_no_more_of_a_card_than_there_is(server: Server) -> None:
    (server.cluster.base / "spans").mkdir()
    tasks = [server.submit("25G", BRIEF) for _ in range(9)]
    server.start("--maximize")
    for task_id in tasks:
        server.cluster.wait_for(task_id, "done", PATIENCE_S)
    assert most_at_once(server, 9) == 3, "25 of 80 GiB each"


def test_a_task_that_has_outgrown_its_word_is_told_so_once(server: Server) -> None:
    server.start("--maximize")
    task_id = server.submit("10G")
    pid = server.runs(task_id)
    server.use("12G", (pid, "12G"))
    told = "it has taken 12G of the memory of GPU 0, and asked for 10G: another task there may find too little"
    server.cluster.wait_for_line(task_id, f"==== {told}", PATIENCE_S)
    server.use("14G", (pid, "14G"))
    wait_until(lambda: told in str(server.cluster.tries(task_id)), "its record to say so", PATIENCE_S)
    server.end(task_id)
    server.cluster.wait_for(task_id, "done")
    assert server.cluster.log(task_id).count("it has taken") == 1
    assert told in server.cluster.tries(task_id)[0]["reason"]


def test_there_is_no_keep_alive_on_a_shared_server_whatever_is_said_of_it(server: Server) -> None:
    server.start(keepalive=True, GPU_QUEUE_KEEPALIVE_ENGINE="cpu")
    (node,) = server.cluster.nodes()
    keepalive = node["gpus"][0]["keepalive"]
    assert (keepalive["state"], keepalive["off_by"]) == ("off", "settings")
    assert keepalive["reason"] == "the server is shared with others (mode: shared)"
    task_id = server.submit(None, "true\n")
    server.cluster.wait_for(task_id, "done")
    assert not Leases(str(server.cluster.local)).fillers()


def test_the_keep_alive_of_another_agent_makes_room_for_a_task_that_gets_a_part(server: Server) -> None:
    with another_spool(server.cluster) as other:
        other.start(keepalive=True, simulate="1x80G")
        leases = Leases(str(server.cluster.local))
        wait_until(lambda: CARD in leases.fillers(), "the filler", 60, other.dump)
        wait_until(lambda: "holding" in str(other.nodes()[0]["gpus"]), "it to hold", 60, other.dump)
        server.start("--maximize", "--max-util", "1")
        task_id = server.submit("60G")
        server.runs(task_id)
        assert CARD not in leases.fillers()
        assert server.parts() == {task_id: 60}
        server.end(task_id)
        wait_until(lambda: CARD in leases.fillers(), "the filler to come back", 60, other.dump)
