"""Tasks over several nodes, by agents that are stepped by hand: what ends, what dies, what becomes of the rest."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gpu_queue.spool.paths import parse_claim
from gpu_queue.task import Why
from tests.agent.harness import wait_until
from tests.node.harness import AT_ONCE, FAULTS, Crash, Fault, Node, Room, failing_renames, kill_session

ONE, TWO, THREE = "n1-aaaaaaaa", "n2-bbbbbbbb", "n3-cccccccc"
TAKEOVER_S = 60.0
QUICK = replace(AT_ONCE, beat_s=3.0, takeover_after_s=TAKEOVER_S, fence_after_s=40.0, cache_s=0.0)
HEAD = "#GPUQ --nodes 2 --gpus 1"


def go_on_until(condition: Callable[[], object], *nodes: Node, seconds: float = 0.05) -> None:
    """Step these nodes until something is so.  Scripts and shims live in real time: a step is about as long."""
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "\n".join(
            line for node in nodes for line in (node.spool.node, *node.said)
        )
        for node in nodes:
            if node.lived:
                node.step(seconds / len(nodes))
        time.sleep(0.005)  # scripts run meanwhile


def two_nodes(room: Room) -> tuple[Node, Node]:
    return room.start(QUICK, name=ONE, gpus="1"), room.start(QUICK, name=TWO, gpus="1")


def log(room: Room, task: str, rank: int) -> str:
    path = room.root / "logs" / (f"{task}.rank{rank}.log" if rank else f"{task}.log")
    return path.read_text() if path.exists() else ""


def submit(room: Room, end: str) -> str:
    return room.submit(room.script(end, HEAD))


def runs_on_both(room: Room, task: str) -> bool:
    return room.runs(task) == 2


def last_try(room: Room, task: str) -> dict[str, Any]:
    paths = sorted((room.root / "records").glob(f"{task}.try[0-9]*.json"), key=lambda path: path.stat().st_mtime)
    value = json.loads(paths[-1].read_text())
    assert isinstance(value, dict)
    return value


def nothing_is_left(room: Room, *nodes: Node) -> None:
    go_on_until(lambda: not os.listdir(room.paths.gangs), *nodes, seconds=0.5)
    for node in nodes:
        if node.lived:
            assert not node.agent.tries.live
            assert not node.around.leases.holders()


def leader(room: Room, task: str, *nodes: Node) -> tuple[Node, Node]:
    """Who has the task's claim, and the other."""
    first = next(node for node in nodes if any(task in name for name in room.claims(node.spool.node)))
    return first, next(node for node in nodes if node is not first)


def die_with_all(node: Node) -> None:
    """Power off."""
    for one in node.agent.tries.live.values():
        if one.pid is not None:
            kill_session(one.pid)
            os.waitpid(one.pid, 0)
            one.pid = None
    node.die()


# -- as it should be ----------------------------------------------------------------------------------------------


def test_a_script_starts_once_on_each_of_two_nodes(room: Room) -> None:
    one, two = two_nodes(room)
    task = submit(room, 'echo "rank $NODE_RANK of $NNODES at $MASTER_ADDR:$MASTER_PORT ($WORLD_SIZE, $PET_NNODES)"')
    go_on_until(lambda: room.where(task) == ["done"], one, two)
    nothing_is_left(room, one, two)
    assert room.runs(task) == 2
    told = [line for rank in (0, 1) for line in log(room, task, rank).splitlines() if line.startswith("rank")]
    assert [line.split(" at ")[0] for line in told] == ["rank 0 of 2", "rank 1 of 2"]
    assert told[0].split(" at ")[1] == told[1].split(" at ")[1]
    assert told[0].endswith("(2, 2)")
    assert "==== exit 0" in log(room, task, 1)
    rows = last_try(room, task)["ranks"]
    assert [(row["rank"], row["status"]) for row in rows] == [(0, 0), (1, 0)]
    assert {row["node"] for row in rows} == {ONE, TWO}


def test_a_node_tells_which_rank_it_runs_and_why_a_gang_waits(room: Room) -> None:
    one = room.start(QUICK, name=ONE, gpus="1")
    task = submit(room, "exec sleep 600")
    for _ in range(4):
        one.step()
    assert "needs 2 nodes; 1 that is alive can serve it" in str(one.reasons())
    other = room.submit(room.script("exec sleep 600", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.runs(other), one)  # what cannot be had holds nothing
    two = room.start(QUICK, name=TWO, gpus="1")
    go_on_until(lambda: two.agent.tries.live, one, two, seconds=0.5)
    assert room.where(task) == ["pending"]
    go_on_until(lambda: "1 of 2 has its GPUs (n2-bbbbbbbb)" in str(two.reasons()), one, two, seconds=0.5)
    (running,) = one.agent.tries.live.values()
    one.agent.tries.stop(running, Why.STOPPED, room.now)
    go_on_until(lambda: runs_on_both(room, task), one, two)
    pages = {node.spool.node: node.page().running[0] for node in (one, two)}
    first, second = leader(room, task, one, two)
    assert (pages[first.spool.node].rank, pages[first.spool.node].nodes) == (0, 2)
    assert (pages[second.spool.node].rank, pages[second.spool.node].of) == (1, pages[first.spool.node].claim)


def test_the_keep_alive_goes_on_until_all_have_their_gpus(room: Room) -> None:
    one, two = two_nodes(room)
    busy = room.submit(room.script("exec sleep 600", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.runs(busy), one)
    submit(room, "exec sleep 600")
    go_on_until(lambda: any(live.is_assembling for live in two.agent.tries.live.values()), one, two, seconds=0.5)
    assert two.around.leases.holders()  # nobody else gets it
    facts = list(two.agent.fillers._facts(two.agent.cards.everything, {}))
    assert [fact.holder for fact in facts] == [""]  # and it need not be cleared yet


def test_a_hand_drop_over_two_nodes_gets_a_name_first(room: Room) -> None:
    one, two = two_nodes(room)
    room.drop("train.sh", room.script("exit 0", HEAD))
    go_on_until(lambda: room.listing("done"), one, two, seconds=0.5)
    (name,) = room.listing("done")
    assert room.runs(name[4:]) == 2


# -- it ends -------------------------------------------------------------------------------------------------------


def test_a_rank_that_fails_ends_all_at_once_and_tells_how(room: Room) -> None:
    one, two = two_nodes(room)
    task = submit(room, '[ "$NODE_RANK" = 0 ] || { echo "MemoryError"; exit 3; }; exec sleep 600')
    go_on_until(lambda: room.where(task) == ["failed"], one, two)
    record = last_try(room, task)
    assert (record["status"], record["outcome"]) == (3, "failed(3)")
    assert "rank 1 on" in record["reason"]
    assert record["error_type"] == "oom"
    nothing_is_left(room, one, two)


def test_one_rank_that_asks_to_be_run_again_asks_for_all_when_they_have_ended(room: Room) -> None:
    one, two = two_nodes(room)
    asks = '[ "$GPU_QUEUE_TRY$NODE_RANK" != 11 ] || echo saved >"$GPU_QUEUE_REQUEUE"'
    task = submit(room, f'{asks}; [ "$NODE_RANK" = 1 ] || sleep 0.3')
    go_on_until(lambda: room.where(task) == ["done"], one, two)
    index = json.loads((room.root / "records" / f"{task}.tries.json").read_text())["tries"]
    assert [entry["why"] for entry in index] == ["again", None]
    assert room.runs(task) == 4


def test_what_one_rank_is_warned_of_all_are_and_what_they_saved_is_gone_on_with(room: Room) -> None:
    one, two = two_nodes(room)
    loop = 'trap "echo saved $NODE_RANK; exit 0" USR1; while :; do sleep 0.05; done'
    end = f'[ "$GPU_QUEUE_TRY" = 1 ] || exit 0; {loop}'
    task = room.submit(room.script(end, f"{HEAD} --signal USR1@20"))
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    second.agent.was_terminated = True
    go_on_until(lambda: room.where(task) == ["pending"], one, two)
    assert ("saved 0" in log(room, task, 0), "saved 1" in log(room, task, 1)) == (True, True)
    index = json.loads((room.root / "records" / f"{task}.tries.json").read_text())["tries"]
    assert [entry["why"] for entry in index] == ["saved"]
    second.die()
    third = room.start(QUICK, name=THREE, gpus="1")
    go_on_until(lambda: room.where(task) == ["done"], first, third)


def test_whoever_gives_its_node_back_waits_no_longer_for_ranks_than_it_has_time(room: Room) -> None:
    slow = replace(QUICK, beat_s=30.0, fence_after_s=720.0, takeover_after_s=900.0)
    one, two = (room.start(slow, name=name, gpus="1") for name in (ONE, TWO))
    saves = 'trap "echo saved >$GPU_QUEUE_REQUEUE; exit 0" USR1; while :; do sleep 0.05; done'
    first_saves = f'[ "$NODE_RANK" = 1 ] || {{ {saves}; }}'
    end = '[ "$GPU_QUEUE_TRY" = 1 ] || exit 0'
    goes_on = 'trap "echo heard" USR1; while :; do sleep 0.05; done'
    task = room.submit(room.script(f"{end}; {first_saves}; {goes_on}", f"{HEAD} --signal USR1@20"))
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    first.agent.was_terminated, since = True, room.now
    go_on_until(lambda: room.where(task) == ["pending"] and first.agent.finished, one, two)
    assert room.now - since < 20.0, "a minute, where others may take so long as whoever does not leave lets them"
    index = json.loads((room.root / "records" / f"{task}.tries.json").read_text())["tries"]
    assert [entry["why"] for entry in index] == ["again"]
    first.die()
    third = room.start(slow, name=THREE, gpus="1")
    go_on_until(lambda: room.where(task) == ["done"], second, third)


def test_the_time_of_a_gang_is_over_on_all_its_nodes(room: Room) -> None:
    one, two = two_nodes(room)
    task = room.submit(room.script("exec sleep 600", f"{HEAD} --time 1s"))
    go_on_until(lambda: room.where(task) == ["failed"], one, two)
    assert last_try(room, task)["outcome"] == "timeout"
    nothing_is_left(room, one, two)


def test_a_gang_is_stopped_as_a_whole(room: Room) -> None:
    one, two = two_nodes(room)
    task = submit(room, "exec sleep 600")
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, _ = leader(room, task, one, two)
    (live,) = first.agent.tries.live.values()
    first.agent.tries.stop(live, Why.STOPPED, room.now)
    go_on_until(lambda: room.where(task) == ["failed"], one, two)
    assert last_try(room, task)["outcome"] == "stopped"
    nothing_is_left(room, one, two)


@pytest.mark.parametrize("is_leader", [True, False], ids=["rank 0", "rank 1"])
def test_a_node_that_is_taken_back_sends_the_whole_task_back(room: Room, is_leader: bool) -> None:
    one, two = two_nodes(room)
    task = submit(room, '[ "$GPU_QUEUE_TRY" = 1 ] || exit 0; exec sleep 600')
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    leaver, other = (first, second) if is_leader else (second, first)
    leaver.agent.was_terminated = True
    go_on_until(lambda: room.where(task) == ["pending"] and leaver.agent.finished, one, two)
    leaver.die()
    third = room.start(QUICK, name=THREE, gpus="1")
    go_on_until(lambda: room.where(task) == ["done"], other, third)
    assert room.runs(task) == 4
    nothing_is_left(room, other, third)


def test_a_task_that_is_cancelled_while_its_nodes_come_together_holds_nothing(room: Room) -> None:
    one, two = two_nodes(room)
    busy = room.submit(room.script("exec sleep 600", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.runs(busy), one)
    task = submit(room, "exec sleep 600")
    go_on_until(lambda: any(live.is_assembling for live in two.agent.tries.live.values()), one, two, seconds=0.5)
    (name,) = [name for name in room.listing("pending") if task in name]
    os.rename(room.root / "pending" / name, room.root / "failed" / name)
    go_on_until(lambda: not two.agent.tries.live, one, two, seconds=0.5)
    small = room.submit(room.script("exit 0", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.where(small) == ["done"], one, two)
    go_on_until(lambda: not os.listdir(room.paths.gangs), one, two, seconds=1.0)


# -- what dies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_leader", [True, False], ids=["rank 0", "rank 1"])
def test_an_agent_that_is_killed_takes_its_rank_up_again(room: Room, is_leader: bool) -> None:
    one, two = two_nodes(room)
    task = submit(room, f'while [ ! -e "{room.base}/go" ]; do sleep 0.05; done')
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    killed, other = (first, second) if is_leader else (second, first)
    killed.die()
    again = room.start(QUICK, name=killed.spool.node, gpus="1")
    go_on_until(lambda: again.agent.tries.live, again, other)
    (room.base / "go").touch()
    go_on_until(lambda: room.where(task) == ["done"], again, other)
    assert room.runs(task) == 2
    nothing_is_left(room, again, other)


def test_a_rank_that_ended_while_no_agent_looked_counts_as_it_ended(room: Room) -> None:
    one, two = two_nodes(room)
    task = submit(
        room, f'[ "$NODE_RANK" = 0 ] || exec sleep 600; while [ ! -e "{room.base}/go" ]; do sleep 0.05; done'
    )
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    (rank_0,) = first.agent.tries.live.values()
    first.die()
    (room.base / "go").touch()
    wait_until(lambda: rank_0.directory.status() == 0, "its shim to say so")
    again = room.start(QUICK, name=first.spool.node, gpus="1")
    for _ in range(20):
        again.step(0.1)
        second.step(0.1)
    assert room.where(task) == [f"running/{first.spool.node}"]  # the other rank runs
    (live,) = second.agent.tries.live.values()
    assert live.pid is not None
    kill_session(live.pid, signal.SIGTERM)
    go_on_until(lambda: task not in str(room.listing(f"running/{first.spool.node}")), again, second)
    nothing_is_left(room, again, second)


@pytest.mark.parametrize("is_leader", [True, False], ids=["rank 0", "rank 1"])
def test_the_task_of_a_node_that_dies_is_run_again_as_a_whole_after_the_watch(room: Room, is_leader: bool) -> None:
    one, two = two_nodes(room)
    task = submit(room, '[ "$GPU_QUEUE_TRY" = 1 ] || exit 0; exec sleep 600')
    go_on_until(lambda: runs_on_both(room, task), one, two)
    first, second = leader(room, task, one, two)
    dead, other = (first, second) if is_leader else (second, first)
    die_with_all(dead)
    third = room.start(QUICK, name=THREE, gpus="1")
    died_at = room.now
    go_on_until(lambda: room.where(task) == ["done"], other, third, seconds=0.15)
    assert room.now - died_at > TAKEOVER_S / 2
    index = json.loads((room.root / "records" / f"{task}.tries.json").read_text())["tries"]
    assert index[0]["why"] == "lost"
    assert room.runs(task) == 4
    nothing_is_left(room, other, third)


def test_a_caller_that_dies_keeps_nobodys_gpus(room: Room) -> None:
    one = room.start(QUICK, name=ONE, gpus="1")
    two, three = room.start(QUICK, name=TWO, gpus="1"), room.start(QUICK, name=THREE, gpus="1")
    busy = room.submit(room.script("exec sleep 600", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.runs(busy), one)
    also_busy = room.submit(room.script("exec sleep 600", "#GPUQ --gpus 1"))
    go_on_until(lambda: room.runs(also_busy), three)
    task = submit(room, "exit 0")
    go_on_until(lambda: two.agent.tries.live, one, two, three, seconds=0.5)
    two.die()
    for node in (one, three):
        for live in list(node.agent.tries.live.values()):
            node.agent.tries.stop(live, Why.STOPPED, room.now)
    go_on_until(lambda: room.where(task) == ["done"], one, three, seconds=0.5)
    nothing_is_left(room, one, three)


# -- several -------------------------------------------------------------------------------------------------------


def test_two_gangs_that_want_each_others_nodes_and_small_tasks_all_run(room: Room) -> None:
    one, two = two_nodes(room)
    tasks = [submit(room, "sleep 0.05") for _ in range(2)]
    small = [room.submit(room.script("sleep 0.02", "#GPUQ --gpus 1")) for _ in range(10)]
    tasks += [submit(room, "sleep 0.05") for _ in range(2)]
    go_on_until(lambda: all(room.where(task) == ["done"] for task in (*tasks, *small)), one, two)
    assert [room.runs(task) for task in tasks] == [2] * 4
    nothing_is_left(room, one, two)


def test_small_tasks_do_not_starve_a_gang_and_do_not_wait_for_one_that_cannot_be(room: Room) -> None:
    one, two = two_nodes(room)
    for _ in range(3):
        one.step()
        two.step()
    first = [room.submit(room.script("sleep 0.1", "#GPUQ --gpus 1")) for _ in range(4)]
    task = submit(room, "exit 0")
    later = [room.submit(room.script("sleep 0.1", "#GPUQ --gpus 1")) for _ in range(20)]
    go_on_until(lambda: runs_on_both(room, task), one, two)
    assert sum(bool(room.runs(one)) for one in first) == 4
    assert sum(bool(room.runs(one)) for one in later) <= 4


# -- at each step --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["gangs", "running", "done"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: str(Fault("", *one))[1:])
@pytest.mark.parametrize("skip", range(3))
@pytest.mark.long
def test_whatever_happens_to_a_rename_the_task_runs_as_a_whole_and_is_done_once(
    room: Room, where: str, fault: tuple[bool, int | None], skip: int
) -> None:
    nodes = list(two_nodes(room))
    task = submit(room, "exit 0")
    with failing_renames(room, Fault(where, *fault, skip=skip)):
        deadline = time.monotonic() + 40
        while room.where(task) != ["done"]:
            assert time.monotonic() < deadline, "\n".join(line for node in nodes for line in node.said)
            for position, node in enumerate(nodes):
                try:
                    node.step(0.1)
                except Crash:
                    node.die()
                    nodes[position] = room.start(QUICK, name=node.spool.node, gpus="1")
            time.sleep(0.003)  # scripts run meanwhile
    # Where a caller is killed right after it has said "go", the other rank may have begun, and is ended.
    assert [row["status"] for row in last_try(room, task)["ranks"]] == [0, 0]
    nothing_is_left(room, *nodes)
    assert all(parse_claim(name) is None for node in nodes for name in room.claims(node.spool.node))
