"""Whom an agent asks about silent nodes, how often, and what it does by the answer: stepped by hand."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.spool.filesystem import Mount
from gpu_queue.spool.pages import read_page, write_page
from gpu_queue.texts import TEXT_MAX
from tests.agent.harness import wait_until
from tests.faults.test_takeover import DEAD, OTHER, PEER, WATCHED, die_with_all, go_on, run, said
from tests.node.harness import LOCAL, NETWORK, Node, Room

JOB = "test:1.0"
EARLY_S = {LOCAL: 60, NETWORK: 120}
LOOKS_S = 22
"""A round at the beginning and one at the end, every ten seconds, and the steps of a taking."""


@pytest.fixture
def ways(room: Room) -> Path:
    path = room.base / "ways"
    path.mkdir(mode=0o700)
    return path


def a_way(ways: Path, script: str, name: str = "test") -> None:
    calls = shlex.quote(f"{ways.parent}/calls")
    path = ways / f".{name}"
    path.write_text(f'#!/bin/bash\nprintf "{name} %s\\n" "$*" >>{calls}; shift\n{script}\n')
    path.chmod(0o700)
    path.rename(ways / name)


def says(ways: Path, word: str, name: str = "test") -> None:
    a_way(ways, f'for id; do printf "%s\\t{word}\\tRAW\\n" "$id"; done', name)


def calls(ways: Path) -> list[str]:
    path = ways.parent / "calls"
    return path.read_text().splitlines() if path.exists() else []


def a_dead_node(room: Room, job: str = JOB, name: str = DEAD) -> str:
    """A task whose node died four minutes ago, while it ran, with the batch job that its page names."""
    node = room.start(WATCHED, name=name, environment={"GPU_QUEUE_ALLOCATION": JOB})
    task = room.submit(room.script('[ "$GPU_QUEUE_TRY" -gt 1 ] || exec sleep 600'))
    run(room, node, task)
    go_on(node, 40)
    die_with_all(room, node)
    if job != JOB:
        page = read_page(room.paths.node_json(name), name)
        assert page.is_within_allocation
        write_page(room.paths, replace(page, allocation=job))
    old = os.stat(room.paths.node_json(name)).st_mtime - 240
    os.utime(room.paths.node_json(name), (old, old))
    return task


def a_peer(room: Room, ways: Path, mount: Mount = LOCAL, name: str = PEER) -> Node:
    return room.start(WATCHED, name=name, mount=mount, environment={"GPU_QUEUE_WAYS": str(ways)})


def watch(node: Node, seconds: float, step_s: float = 1.0) -> None:
    """Step so long; a question takes no time by the agent's clock, if it is answered at all."""
    for _ in range(int(seconds / step_s)):
        node.step(step_s)
        for _, question in node.agent.watching._word._questions.values():
            wait_until(lambda one=question: one.is_over(), "an answer")  # type: ignore[misc]


@pytest.mark.parametrize("mount", [LOCAL, NETWORK], ids=["local", "network"])
def test_two_beats_and_what_the_storage_may_hide_are_watched_and_no_less(
    room: Room, ways: Path, mount: Mount
) -> None:
    says(ways, "ended")
    task = a_dead_node(room)
    peer = a_peer(room, ways, mount)
    watch(peer, EARLY_S[mount])
    assert room.where(task) == [f"running/{DEAD}"]
    (silent,) = peer.page().watching
    assert (silent.ended, silent.tries) == (JOB, 1)
    assert silent.left_s <= LOOKS_S
    watch(peer, LOOKS_S)
    assert room.where(task) != [f"running/{DEAD}"]
    assert said(peer, f"gave no sign of life for {EARLY_S[mount] // 60}m")
    assert said(peer, f"the scheduler says that its batch job {JOB} has ended")
    peer.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 2)
    assert calls(ways) == ["test states 1.0"]


def test_a_peer_that_saw_the_node_alive_begins_when_it_misses_a_beat(room: Room, ways: Path) -> None:
    says(ways, "ended")
    peer = a_peer(room, ways)
    peer.step()
    task = a_dead_node(room)
    os.utime(room.paths.node_json(DEAD))
    watch(peer, 45 + EARLY_S[LOCAL])
    assert room.where(task) == [f"running/{DEAD}"]
    watch(peer, 2 * LOOKS_S)
    assert room.where(task) != [f"running/{DEAD}"]


@pytest.mark.parametrize(
    "answer",
    [
        *(
            f'printf "%s\\t{word}\\tRAW\\n" "$1"'
            for word in ("lost", "unknown", "running", "queued", "ending", "over")
        ),
        'printf "%s\\tended\\tCOMPLETED\\n" "$1"; exit 111',
        'printf "2.0\\tended\\n1\\tended\\n1.1\\tended\\n11.0\\tended\\n"',
        'printf "%s\\tended\\n%s\\trunning\\n" "$1" "$1"',
        "head -c 300 /dev/urandom",
        "exit 0",
    ],
)
def test_any_other_answer_leaves_it_to_the_full_watch(room: Room, ways: Path, answer: str) -> None:
    a_way(ways, answer)
    task = a_dead_node(room)
    peer = a_peer(room, ways)
    watch(peer, 890, step_s=5.0)
    assert room.where(task) == [f"running/{DEAD}"]
    assert calls(ways) == ["test states 1.0"] * len(calls(ways))
    assert 12 <= len(calls(ways)) <= 15, "once a minute"
    watch(peer, 100, step_s=5.0)
    assert room.where(task) != [f"running/{DEAD}"]


@pytest.mark.parametrize(
    "job",
    [
        *("", "nobody:1.0", "../../../bin/sh:1.0", "/bin/sh:1", "test", "test:", "test:--name", "test:-c"),
        *("test:1\n2", "test:\x1b[2J", "test:" + "1" * TEXT_MAX),
    ],
)
def test_what_names_no_job_is_not_asked_about(room: Room, ways: Path, job: str) -> None:
    a_way(ways, 'printf "%s\\tended\\n" "$@"')
    task = a_dead_node(room, job)
    watch(a_peer(room, ways), 300)
    assert room.where(task) == [f"running/{DEAD}"]
    assert calls(ways) == []


def test_a_page_of_a_stranger_names_no_job(room: Room, ways: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    says(ways, "ended")
    task = a_dead_node(room)
    os.chown(room.paths.node_json(DEAD), 12345, 12345)
    watch(a_peer(room, ways), 300)
    assert (room.where(task), calls(ways)) == ([f"running/{DEAD}"], [])


def test_a_page_that_says_so_of_tries_from_another_job_is_not_asked_about(room: Room, ways: Path) -> None:
    says(ways, "ended")
    task = a_dead_node(room)
    write_page(room.paths, replace(read_page(room.paths.node_json(DEAD), DEAD), is_within_allocation=False))
    old = os.stat(room.paths.node_json(DEAD)).st_mtime - 240
    os.utime(room.paths.node_json(DEAD), (old, old))
    watch(a_peer(room, ways), 300)
    assert (room.where(task), calls(ways)) == ([f"running/{DEAD}"], [])


def test_the_job_of_another_cluster_may_have_the_same_number_and_is_not_asked_about(room: Room, ways: Path) -> None:
    a_way(ways, 'printf "%s\\tended\\n" "$@"', "slurm")
    slurm = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7"}
    node = room.start(WATCHED, name=DEAD, environment={**slurm, "SLURM_CLUSTER_NAME": "alpha"})
    task = room.submit(room.script("exec sleep 600"))
    run(room, node, task)
    go_on(node, 40)
    die_with_all(room, node)
    for name, environment in ((PEER, {"SLURM_CLUSTER_NAME": "beta", **slurm}), (OTHER, {})):
        peer = room.start(WATCHED, name=name, environment={"GPU_QUEUE_WAYS": str(ways), **environment})
        watch(peer, 200)
        assert (room.where(task), calls(ways)) == ([f"running/{DEAD}"], [])
        peer.die()
    alike = {**slurm, "SLURM_CLUSTER_NAME": "alpha", "GPU_QUEUE_WAYS": str(ways)}
    watch(room.start(WATCHED, name="n4-dddddddd", environment=alike), 200)
    assert calls(ways) == ["slurm states 7.0"]
    assert room.where(task) != [f"running/{DEAD}"]


def test_a_word_from_before_a_sign_of_life_is_asked_for_again(room: Room, ways: Path) -> None:
    says(ways, "ended")
    task = a_dead_node(room)
    peer = a_peer(room, ways)
    watch(peer, 58)
    assert len(calls(ways)) == 1
    assert room.where(task) == [f"running/{DEAD}"]
    (name,) = room.claims(DEAD)
    os.utime(f"{room.paths.running(DEAD)}/{name}")  # its shim
    says(ways, "running")
    watch(peer, 300)
    assert room.where(task) == [f"running/{DEAD}"]
    assert len(calls(ways)) > 3


def test_a_living_node_is_not_asked_about(room: Room, ways: Path) -> None:
    says(ways, "ended")
    environment = {"GPU_QUEUE_ALLOCATION": JOB, "GPU_QUEUE_WAYS": str(ways)}
    nodes = [room.start(WATCHED, name=name, environment=environment) for name in (DEAD, PEER)]
    task = room.submit(room.script("exec sleep 600"))
    run(room, nodes[0], task)
    for _ in range(600):
        for node in nodes:
            node.step(0.5)
    assert (room.where(task), calls(ways)) == ([f"running/{DEAD}"], [])


def test_each_way_is_asked_by_itself_and_one_that_hangs_keeps_nothing_from_the_others(room: Room, ways: Path) -> None:
    says(ways, "ended")
    a_way(ways, "exec sleep 1000", "other")
    task, hanging = a_dead_node(room), a_dead_node(room, "other:2.0", OTHER)
    peer = a_peer(room, ways)
    go_on(peer, 55)
    asked = peer.agent.watching._word._questions.get("test")
    wait_until(lambda: asked is None or asked[1].is_over(), "the answer")  # None: it has come already
    go_on(peer, 100)
    assert room.where(task) != [f"running/{DEAD}"]
    assert room.where(hanging) == [f"running/{OTHER}"]
    assert sorted(calls(ways)) == ["other states 2.0", "test states 1.0"], "it is not asked again while it hangs"


def test_why_a_way_tells_nothing_is_said_once(room: Room, ways: Path) -> None:
    a_way(ways, "echo 'Unable to contact slurm controller' >&2; exit 111")
    a_dead_node(room)
    peer = a_peer(room, ways)
    watch(peer, 300)
    (line,) = said(peer, "test does not tell")
    assert line == (
        "test does not tell what has become of the batch jobs of silent nodes: it ended with 111: "
        "Unable to contact slurm controller"
    )
    says(ways, "ended")
    watch(peer, 150)
    assert said(peer, f"the scheduler says of the batch job {JOB}: ended (RAW)")
