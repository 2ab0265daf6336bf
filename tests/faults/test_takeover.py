"""A node dies, and a peer goes on with what it had: agents stepped by hand, on clocks that the test moves."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent import stages
from gpu_queue.spool.files import mark_of
from gpu_queue.spool.pages import write_page
from gpu_queue.spool.paths import claim_name, parse_claim
from gpu_queue.spool.store import Moved
from gpu_queue.task import End, Why
from tests.agent.harness import wait_until
from tests.cases import long
from tests.node.harness import AT_ONCE, Crash, Fault, Node, Room, failing_renames, kill_session

WATCHED = replace(AT_ONCE, beat_s=30.0, takeover_after_s=900.0)
DEAD = "n1-aaaaaaaa"
PEER = "n2-bbbbbbbb"
OTHER = "n3-cccccccc"


def die_with_all(room: Room, node: Node) -> None:
    """Power off: the agent and everything that it started are gone at once."""
    for one in node.agent.tries.live.values():
        if one.pid is not None:
            kill_session(one.pid)
            os.waitpid(one.pid, 0)
            one.pid = None
    node.die()


def run(room: Room, node: Node, *tasks: str) -> None:
    """Step until these tasks run and have said so."""
    before = {task: room.runs(task) for task in tasks}
    deadline = time.monotonic() + 20
    while any(room.runs(task) == before[task] for task in tasks):
        assert time.monotonic() < deadline, f"{tasks} do not run: {node.said}"
        node.step(0.01)


def a_dead_node(room: Room, *scripts: str, name: str = DEAD) -> list[str]:
    """Tasks whose node died while they ran; returns their ids."""
    node = room.start(WATCHED, name=name)
    tasks = [room.submit(script or room.script("exec sleep 600")) for script in scripts]
    run(room, node, *tasks)
    go_on(node, 5)  # its node file and the records of its tries are written
    die_with_all(room, node)
    return tasks


def go_on(node: Node, seconds: float, step_s: float = 0.0) -> None:
    """In steps of a second; of a long time in 200."""
    step_s = step_s or max(1.0, seconds / 200)
    for _ in range(round(seconds / step_s)):
        node.step(step_s)


def index(room: Room, task: str) -> list[dict[str, object]]:
    value = json.loads(Path(room.paths.tries_index(task)).read_text())["tries"]
    assert isinstance(value, list)
    return value


def said(node: Node, part: str) -> list[str]:
    return [line for line in node.said if part in line]


# -- the watch ----------------------------------------------------------------------------------------------------


def test_a_task_of_a_dead_node_is_run_by_a_peer_after_the_watch_and_not_before(room: Room) -> None:
    (task,) = a_dead_node(room, room.script('[ "$GPU_QUEUE_TRY" -gt 1 ] || exec sleep 600'))
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 890)
    assert room.where(task) == [f"running/{DEAD}"]
    go_on(peer, 100)
    peer.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 2)
    (lost,) = index(room, task)[:1]
    assert (lost["node"], lost["why"], lost["status"]) == (DEAD, "lost", 255)
    assert "gave no sign of life for 16m" in str(lost["reason"])
    assert PEER in str(lost["reason"])


def test_the_agent_says_at_its_start_what_it_watches_and_until_when(room: Room) -> None:
    a_dead_node(room, "", "")
    old = os.stat(room.paths.node_json(DEAD)).st_mtime - 240
    os.utime(room.paths.node_json(DEAD), (old, old))
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 2)
    assert said(peer, f"watches {DEAD}: not heard of for 4m00s; its 2 tasks are taken over in 15m00s")
    go_on(peer, 240)
    (watched,) = peer.page().watching
    assert (watched.node, watched.tries, watched.beating) == (DEAD, 2, 0)
    assert 240 <= watched.silent_s < 300
    assert 600 < watched.left_s <= 662


def test_a_living_peer_is_not_spoken_of_and_its_claims_are_not_looked_at(room: Room) -> None:
    one, two = room.start(WATCHED, name=DEAD), room.start(WATCHED, name=PEER)
    task = room.submit(room.script("exec sleep 600"))
    run(room, one, task)
    for _ in range(1200):
        one.step(0.5)
        two.step(0.5)
    assert room.where(task) == [f"running/{DEAD}"]
    assert not said(two, DEAD)
    assert two.agent.watching._seen[DEAD].claims is None


def test_a_task_whose_shim_lives_is_left_to_it_although_its_agent_is_dead(room: Room) -> None:
    node = room.start(WATCHED, name=DEAD)
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    (one,) = node.agent.tries.live.values()
    node.die()
    peer = room.start(WATCHED, name=PEER)
    for _ in range(60):
        go_on(peer, 30)
        os.utime(one.claim_path)  # as the shim does
    assert room.where(task) == [f"running/{DEAD}"]
    (watched,) = peer.page().watching
    assert (watched.node, watched.tries, watched.beating) == (DEAD, 0, 1)


def test_a_try_that_ended_without_its_agent_is_settled_by_a_peer_within_two_minutes_and_never_run_again(
    room: Room,
) -> None:
    done, failed, back = a_dead_node(room, "", "", "")
    for task, end in ((done, "=0"), (failed, "=3"), (back, "=143-requeue")):
        (name,) = [name for name in room.claims(DEAD) if task in name]
        os.rename(room.root / "running" / DEAD / name, room.root / "running" / DEAD / f"{name}{end}")
    (room.root / "paused").touch()
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 50)
    assert len(room.claims(DEAD)) == 3
    go_on(peer, 70)
    assert [room.where(task) for task in (done, failed, back)] == [["done"], ["failed"], ["pending"]]
    assert [room.runs(task) for task in (done, failed, back)] == [1, 1, 1]


def test_a_try_of_another_node_that_failed_has_the_retries_of_its_task(room: Room) -> None:
    given, written, none = (
        room.submit(room.script("exec sleep 600"), retries="1"),
        room.submit(room.script("exec sleep 600", head="#GPUQ --gpus 0 --retries 1")),
        room.submit(room.script("exec sleep 600")),
    )
    node = room.start(WATCHED, name=DEAD)
    run(room, node, given, written, none)
    die_with_all(room, node)
    for name in room.claims(DEAD):
        os.rename(room.root / "running" / DEAD / name, room.root / "running" / DEAD / f"{name}=1")
    (room.root / "paused").touch()
    go_on(room.start(WATCHED, name=PEER), 120)
    assert [room.where(task) for task in (given, written, none)] == [["pending"], ["pending"], ["failed"]]


def test_a_peer_that_was_stopped_itself_watches_anew(room: Room) -> None:
    (task,) = a_dead_node(room, "")
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 800)
    peer.step(300)
    go_on(peer, 850)
    assert room.where(task) == [f"running/{DEAD}"]
    go_on(peer, 200)
    assert room.where(task) != [f"running/{DEAD}"]


def test_a_peer_whose_own_writes_fail_watches_anew(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = a_dead_node(room, "")
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 800)
    real = os.utime

    def utime(path: str, *rest: object) -> None:
        if str(path).endswith("/node"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", utime)
        go_on(peer, 120)
    go_on(peer, 850)
    assert room.where(task) == [f"running/{DEAD}"]
    go_on(peer, 200)
    assert room.where(task) != [f"running/{DEAD}"]


@pytest.mark.parametrize("skew_s", [-7200, 7200])
def test_clocks_that_differ_by_hours_change_nothing(room: Room, skew_s: int) -> None:
    (task,) = a_dead_node(room, "")
    for path in [room.root / "running" / DEAD / room.claims(DEAD)[0], Path(room.paths.node_json(DEAD))]:
        then = path.stat().st_mtime + skew_s
        os.utime(path, (then, then))
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 880)
    assert room.where(task) == [f"running/{DEAD}"]
    go_on(peer, 120)
    assert room.where(task) != [f"running/{DEAD}"]


# -- the rename ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["running", "pending", "running then pending"])
@pytest.mark.parametrize(
    ("is_done", "error"),
    [
        *((False, error) for error in (None, errno.EIO)),
        *((True, error) for error in (None, errno.ENOENT)),
        *long((False, errno.ESTALE), (True, errno.EIO), (True, errno.ESTALE)),
    ],
)
def test_whatever_happens_to_the_renames_of_a_takeover_the_task_runs_once_more(
    room: Room, where: str, is_done: bool, error: int | None
) -> None:
    (task,) = a_dead_node(room, room.script('[ "$GPU_QUEUE_TRY" -gt 1 ] || exec sleep 600'))
    faults = [Fault(one, is_done, error) for one in where.split(" then ")]
    with failing_renames(room, *faults):
        for _ in range(5):
            peer = room.start(WATCHED, name=PEER)
            try:
                go_on(peer, 1000)
                peer.settle_all()
                break
            except Crash:
                peer.die()
    assert all(one.happened == 1 for one in faults)
    assert (room.where(task), room.runs(task)) == (["done"], 2)
    assert next((one["why"], one["node"]) for one in index(room, task)) == ("lost", DEAD)


def test_of_several_peers_one_takes_it_over_and_it_runs_once_more(room: Room) -> None:
    (task,) = a_dead_node(room, room.script('[ "$GPU_QUEUE_TRY" -gt 1 ] || exec sleep 600'))
    peers = [room.start(WATCHED, name=name) for name in (PEER, OTHER)]
    for _ in range(1000):
        for peer in peers:
            peer.agent.step(room.now)
        room.now += 1
    for peer in peers:
        peer.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 2)
    assert len([line for peer in peers for line in said(peer, ": taken over, ")]) == 1


def test_a_peer_that_dies_while_it_settles_is_followed_by_the_next_peer(room: Room) -> None:
    (task,) = a_dead_node(room, "")
    peer = room.start(WATCHED, name=PEER)
    with failing_renames(room, Fault("pending", is_done=False, error=None)), pytest.raises(Crash):
        go_on(peer, 1000)
    peer.die()
    assert room.where(task) == [f"running/{PEER}"]
    (room.root / "paused").touch()
    go_on(room.start(WATCHED, name=OTHER), 120)
    assert room.where(task) == ["pending"]
    assert len(index(room, task)) == 1, "the same try is counted once"


@pytest.mark.parametrize("sign", ["beat", "claim"])
def test_a_sign_of_life_between_the_look_and_the_takeover_saves_the_claim(room: Room, sign: str) -> None:
    (task,) = a_dead_node(room, "")
    peer = room.start(WATCHED, name=PEER).spool.peers
    seen = peer.look(0.0, lambda _: True)[DEAD]
    assert seen.claims is not None
    ((name, one),) = seen.claims.items()
    os.utime(room.paths.node_json(DEAD) if sign == "beat" else f"{room.paths.running(DEAD)}/{name}")
    assert peer.take_over(DEAD, one, End(255, Why.LOST), seen.beat) is Moved.LOST
    assert room.where(task) == [f"running/{DEAD}"]
    again = peer.look(0.0, lambda _: True)[DEAD]
    assert again.claims is not None
    assert peer.take_over(DEAD, again.claims[name], End(255, Why.LOST), again.beat) is Moved.WON
    assert room.where(task) == [f"running/{PEER}"]


def test_a_sign_of_life_before_it_is_put_away_saves_a_node(room: Room) -> None:
    node = room.start(WATCHED, name=DEAD)
    node.text()
    node.die()
    peer = room.start(WATCHED, name=PEER).spool.peers
    seen = peer.look(0.0, lambda _: True)[DEAD]
    assert seen.is_bare
    os.utime(room.paths.node_json(DEAD))
    assert not peer.retire(DEAD, seen.beat)
    assert room.listing(f"running/{DEAD}") == ["node"]
    assert peer.retire(DEAD, peer.look(0.0, lambda _: True)[DEAD].beat)
    assert not os.path.exists(room.paths.running(DEAD))


# -- who comes back -----------------------------------------------------------------------------------------------


def test_a_node_that_comes_back_finds_its_claim_gone_ends_its_task_and_writes_nothing_more_about_it(
    room: Room,
) -> None:
    node = room.start(WATCHED, name=DEAD)
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    (one,) = node.agent.tries.live.values()
    peer = room.start(WATCHED, name=PEER)
    (room.root / "paused").touch()
    assert one.pid is not None
    kill_session(one.pid, signal.SIGSTOP)  # agent and all: a shim that goes on gives signs of life
    go_on(peer, 1100)
    kill_session(one.pid, signal.SIGCONT)
    assert room.where(task) == ["pending"]
    assert not os.path.exists(room.paths.running(DEAD)), "it was put away"
    before = index(room, task)
    while node.agent.tries.live:
        node.step(0.5)
        if isinstance(one.stage, stages.Cleaning):
            node.step(6)
    assert index(room, task) == before
    assert room.where(task) == ["pending"]
    assert room.listing(f"running/{DEAD}") == ["node"], "it has entered again"
    (room.root / "paused").unlink()
    go_on(node, 40)
    assert os.path.exists(room.paths.node_json(DEAD))


def test_a_dead_node_without_tasks_is_put_away_and_keeps_what_it_had_obeyed(room: Room) -> None:
    node = room.start(WATCHED, name=DEAD)
    node.agent._seen.append("0123456789ab")
    node.text()
    node.die()
    peer = room.start(WATCHED, name=PEER)
    go_on(peer, 1000)
    assert said(peer, f"{DEAD}: dead and empty, put away")
    assert not os.path.exists(room.paths.running(DEAD))
    assert sorted(room.listing("nodes/gone")) == [f"{DEAD}.json", f"{DEAD}.tsv"]
    again = room.start(WATCHED, name=DEAD)
    again.step()
    assert "0123456789ab" in again.agent._seen
    room.submit()
    again.settle_all()
    assert len(room.listing("done")) == 1


def test_of_a_node_that_is_being_put_away_the_json_goes_last(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    node = room.start(WATCHED, name=DEAD)
    node.text()
    node.die()
    peers = room.start(WATCHED, name=PEER).spool.peers
    moved: list[str] = []
    monkeypatch.setattr("gpu_queue.node.peers.move", lambda source, _: moved.append(os.path.basename(source)))
    assert peers.retire(DEAD, mark_of(room.paths.node_json(DEAD)))
    assert moved == [f"{DEAD}.tsv", f"{DEAD}.json"]


def test_an_agent_remembers_what_it_obeyed_also_from_a_large_page(room: Room) -> None:
    node = room.start(WATCHED, name=DEAD)
    node.agent._seen.append("0123456789ab")
    page = replace(node.page(), problems=("x" * 3000,) * 100)
    write_page(room.paths, page)
    assert os.stat(room.paths.node_json(DEAD)).st_size > 300_000
    node.die()
    assert "0123456789ab" in room.start(WATCHED, name=DEAD).agent._seen


def test_what_was_put_away_or_left_over_in_nodes_is_removed_after_a_month(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room.start(WATCHED)
    node.text()
    nodes = room.root / "nodes"
    for name in ("gone/n9.json", "gone/n9.tsv", "n1.txt", "n9.tsv", ".n9.json.0a0b0c"):
        (nodes / name).write_text("{}")
    go_on(node, 3700, 60)
    assert (nodes / "n1.txt").exists()
    monkeypatch.setattr("gpu_queue.node.peers.GONE_KEPT_S", -5)
    go_on(node, 3700, 60)
    assert sorted(os.listdir(nodes)) == ["gone", "n1.json", "n1.tsv"]
    assert os.listdir(nodes / "gone") == []


def test_what_nobody_can_read_as_a_claim_keeps_a_directory_where_it_is(room: Room) -> None:
    node = room.start(WATCHED, name=DEAD)
    node.step()
    node.die()
    (room.root / "running" / DEAD / "notes.txt").write_text("mine")
    go_on(room.start(WATCHED, name=PEER), 1100)
    assert room.listing(f"running/{DEAD}") == ["node", "notes.txt"]


def test_a_link_that_is_called_like_a_claim_hinders_nobody(room: Room) -> None:
    (task,) = a_dead_node(room, "")
    name = room.claims(DEAD)[0].replace(".try1.", ".try7.")
    os.symlink("/etc/passwd", room.root / "running" / DEAD / name)
    (room.root / "paused").touch()
    go_on(room.start(WATCHED, name=PEER), 1000)
    assert "pending" in room.where(task)


# -- limits -------------------------------------------------------------------------------------------------------


def test_a_task_that_takes_down_one_node_after_the_other_ends_in_failed_with_the_story(room: Room) -> None:
    task = room.submit(room.script("exec sleep 600"))
    names = [DEAD, PEER, OTHER]
    for name in names:
        node = room.start(WATCHED, name=name)
        go_on(node, 1000)
        run_count = names.index(name) + 1
        wait_until(lambda count=run_count: room.runs(task) == count, "its line")  # type: ignore[misc]
        die_with_all(room, node)
    last = room.start(WATCHED, name="n4-dddddddd")
    go_on(last, 1000)
    assert (room.where(task), room.runs(task)) == (["failed"], 3)
    log = room.log(task)
    assert "==== lost: 3 tries were lost with their shim or node" in log
    for number, name in enumerate(names, 1):
        assert f"====   try {number} on {name}, 20" in log
    assert log.count("gave no sign of life for 1") == 3
    assert [one["node"] for one in index(room, task)] == names


def test_a_lost_task_keeps_its_queue_until_it_has_failed(room: Room) -> None:
    first = room.submit(room.script("exec sleep 600"), queue="car")
    second = room.submit(room.script("exec sleep 600"), queue="car")
    once = replace(WATCHED, max_lost=1)
    node = room.start(once, name=DEAD)
    run(room, node, first)
    die_with_all(room, node)
    peer = room.start(once, name=PEER)
    go_on(peer, 800)
    assert room.where(second) == ["pending"]
    go_on(peer, 200)
    assert (room.where(first), room.where(second)) == (["failed"], [f"running/{PEER}"])


# -- proof --------------------------------------------------------------------------------------------------------


def test_what_ran_here_under_another_node_name_is_taken_up_at_once_where_it_is_proven_dead(room: Room) -> None:
    node = room.start(WATCHED, name="old-11112222", machine="one")
    task = room.submit(room.script('[ "$GPU_QUEUE_TRY" -gt 1 ] || exec sleep 600'))
    run(room, node, task)
    die_with_all(room, node)
    again = room.start(WATCHED, name="new-11112222", machine="one")
    go_on(again, 25)
    again.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 2)
    assert index(room, task)[0]["node"] == "old-11112222"


def test_a_try_that_lives_under_another_node_name_is_left_alone(room: Room) -> None:
    node = room.start(WATCHED, name="old-11112222", machine="one")
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    node.die()
    again = room.start(WATCHED, name="new-11112222", machine="one")
    go_on(again, 60)
    assert room.where(task) == ["running/old-11112222"]
    assert room.runs(task) == 1


def test_an_agent_that_lives_under_another_node_name_is_left_alone(room: Room) -> None:
    node = room.start(WATCHED, name="old-11112222", machine="one")
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    for one in node.agent.tries.live.values():
        assert one.pid is not None
        kill_session(one.pid)  # its agent will see to it
    again = room.start(WATCHED, name="new-11112222", machine="one")
    go_on(again, 60)
    assert room.where(task) == ["running/old-11112222"]


@pytest.mark.parametrize(("name", "machine"), [("old-33334444", "one"), ("old-11112222", "two")])
def test_another_boot_or_another_directory_proves_nothing(room: Room, name: str, machine: str) -> None:
    node = room.start(WATCHED, name=name, machine=machine)
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    die_with_all(room, node)
    go_on(room.start(WATCHED, name="new-11112222", machine="one"), 300)
    assert room.where(task) == [f"running/{name}"]


def test_a_status_that_was_written_before_the_machine_was_taken_counts(room: Room) -> None:
    """Its shim has ended without a rename, for its agent was still there; then the agent was killed."""
    node = room.start(WATCHED, name="old-11112222", machine="one")
    task = room.submit(room.script(f"until [ -e {room.base}/gate ]; do sleep 0.01; done"))
    while not any(one.is_running for one in node.agent.tries.live.values()):
        node.step(0.01)
    (one,) = node.agent.tries.live.values()
    assert one.pid is not None
    (room.base / "gate").touch()
    os.waitpid(one.pid, 0)
    one.pid = None
    node.die()
    go_on(room.start(WATCHED, name="new-11112222", machine="one"), 25)
    assert (room.where(task), room.runs(task)) == (["done"], 1)


# -- a person's word ----------------------------------------------------------------------------------------------


def test_what_a_person_gave_up_goes_on_at_once_and_the_story_names_the_person(room: Room) -> None:
    (task,) = a_dead_node(room, "")
    (name,) = room.claims(DEAD)
    parsed = parse_claim(name)
    assert parsed is not None
    os.rename(room.root / "running" / DEAD / name, room.root / "running" / DEAD / f"{claim_name(parsed[0])}=255-lost")
    for end in ("json", "tsv"):
        os.rename(room.root / "nodes" / f"{DEAD}.{end}", room.root / "nodes" / "gone" / f"{DEAD}.{end}")
    Path(room.paths.forgotten(DEAD)).write_text("alice@login1\n")
    (room.root / "paused").touch()
    go_on(room.start(WATCHED, name=PEER), 15)
    assert room.where(task) == ["pending"]
    assert index(room, task)[0]["reason"] == f"alice@login1 said that {DEAD} is dead; {PEER} took it over"
