"""Flags and commands: what agents are told, here played by the test, and what happens where none lives."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillAtIt
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.reasons import Code, reason
from gpu_queue.spool.pages import WaitPage
from tests.doors.door import Door
from tests.doors.test_publish import quoted
from tests.shell.helpers import Spool, wait_until

NODE = "n1-00000001"
OTHER = "n2-00000002"

# -- flags


@pytest.mark.parametrize(("wish", "flag"), [("pause", "paused"), ("drain", "draining")])
def test_a_flag_says_who_and_why_and_resume_lifts_it(door: Door, spool: Spool, wish: str, flag: str) -> None:
    assert getattr(door, wish)("the room is hot").ok
    assert (spool.path / flag).read_text() == f"alice@{os.uname().nodename}: the room is hot\n"
    assert getattr(door, wish)().ok
    assert (spool.path / flag).read_text() == f"alice@{os.uname().nodename}\n"
    assert door.resume().ok
    assert not (spool.path / flag).exists()
    assert door.resume().ok, "there was nothing to undo"
    assert spool_is_tidy(spool)


def test_the_keep_alive_is_switched_off_and_on(door: Door, spool: Spool) -> None:
    assert door.keepalive(False, "too hot").ok
    assert (spool.path / "keepalive-off").read_text().endswith(": too hot\n")
    assert door.keepalive(True).ok
    assert door.keepalive(True).ok
    assert not (spool.path / "keepalive-off").exists()


@pytest.mark.parametrize("why", ["a\nb\x1b[31m", "w" * 5000, "天" * 1000])
def test_a_flag_is_one_line_of_at_most_500_bytes_without_escape_codes(door: Door, spool: Spool, why: str) -> None:
    assert door.pause(why).ok
    content = (spool.path / "paused").read_bytes()
    assert len(content) <= 500
    assert content.count(b"\n") == 1
    assert b"\x1b" not in content


def test_a_flag_whose_renames_reply_was_lost_is_there(door: Door, spool: Spool) -> None:
    here = quoted(spool.path)
    with door.renaming("/.paused", lambda: f'for f in {here}/.paused*; do /bin/mv "$f" {here}/paused; done'):
        told = door.pause("x")
    assert told.ok, told
    assert (spool.path / "paused").exists()
    assert spool_is_tidy(spool)


def spool_is_tidy(spool: Spool) -> bool:
    """No dot-file of ours is left."""
    return not [name for directory in (".", "control") for name in spool.names(directory) if name.startswith(".")]


# -- commands


def test_stop_names_the_claim_and_gives_the_answer(door: Door, spool: Spool, aside: ThreadPoolExecutor) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    spool.node(NODE)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command == {
        "protocol": 1,
        "nonce": entry.removesuffix(".json").partition("-")[2],
        "command": "stop",
        "to": [f"{NODE}/{NODE}1"],
        "from": f"alice@{os.uname().nodename}",
        "claims": [claim],
    }
    assert (spool.path / "control" / entry).read_bytes().count(b"\n") == 1
    wait_until((spool.path / "control.json").exists)
    assert json.loads((spool.path / "control.json").read_text()) == command
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped \x1b[31mtrain.sh\nswept 2 processes")
    told = wish.result(30)
    assert told.ok
    assert f"{NODE}: stopped ?[31mtrain.sh\n{NODE}: swept 2 processes" in told.words
    assert spool_is_tidy(spool)


def test_an_agent_that_gave_a_sign_of_life_is_waited_for(
    door: Door, spool: Spool, aside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "4")
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE, age_s=3600)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    spool.node(NODE)
    with pytest.raises(StillAtIt):
        wish.result(5.5)
    assert spool.names("failed") == []
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(spool.commands()[0][0], NODE, "stopped")
    assert wish.result(30).ok


def test_the_task_is_taken_off_a_node_without_an_agent(door: Door, spool: Spool) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE, age_s=3600)
    (spool.path / "queues" / "car.000002").write_text(f"{full[4:]}\n{NODE}\n0a0b0c\n")
    told = door.stop("train")
    assert told.ok
    assert "no agent is alive" in told.words
    assert spool.names("failed") == [full]
    assert spool.names("queues") == ["car.000002.free"]


@pytest.mark.parametrize("there", ["stopped", "none"])
def test_a_node_that_cannot_answer_is_not_waited_for(
    door: Door, spool: Spool, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "1000")
    full = spool.add(f"running/{NODE}", "train.sh")
    if there == "stopped":
        spool.node(NODE, state="stopped")
    assert door.stop("train").ok
    assert spool.names("failed") == [full]


def test_an_agent_that_stops_while_it_is_asked_is_not_waited_for(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    """Its last page is newer than the command, which it never read."""
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    spool.node(NODE, state="stopped")
    assert wish.result(30).ok
    assert spool.names("failed") == [full]


@pytest.mark.parametrize(
    ("end", "state"), [("=0", "done"), ("=0-requeue", "done"), ("=0-nostart", "failed"), ("=143-stopped", "failed")]
)
def test_a_try_that_had_ended_goes_where_its_end_says(door: Door, spool: Spool, end: str, state: str) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    (claim,) = spool.names(f"running/{NODE}")
    os.rename(spool.path / "running" / NODE / claim, spool.path / "running" / NODE / f"{claim}{end}")
    assert door.stop("train").ok
    assert spool.names(state) == [full]


def test_a_task_that_was_requeued_meanwhile_is_cancelled(door: Door, spool: Spool, aside: ThreadPoolExecutor) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    spool.move(full, f"running/{NODE}", "pending")
    spool.answer(spool.commands()[0][0], NODE, "it is not here any more")
    assert wish.result(30).ok
    assert spool.names("failed") == [full]


def test_a_task_that_was_claimed_again_is_stopped_again(door: Door, spool: Spool, aside: ThreadPoolExecutor) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    spool.node(OTHER)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    spool.move(full, f"running/{NODE}", f"running/{OTHER}")
    spool.answer(spool.commands()[0][0], NODE, "requeued")
    wait_until(lambda: len(spool.commands()) == 2)
    entry, command = spool.commands()[1]
    assert (command["to"], command["claims"]) == ([f"{OTHER}/{OTHER}1"], [f"{full}.try2.0a0b0c"])
    spool.move(full, f"running/{OTHER}", "failed")
    spool.answer(entry, OTHER, "stopped")
    assert wish.result(30).ok


def test_a_task_that_starts_in_the_moment_of_its_stop_is_stopped(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE)
    (spool.path / "running" / NODE).mkdir()
    claim = spool.path / "running" / NODE / f"{full}.try1.abcdef"
    with door.renaming(full, lambda: f"/bin/mv {quoted(spool.path / 'pending' / full)} {quoted(claim)}"):
        wish = aside.submit(door.stop, "train")
        wait_until(spool.commands)
        ((entry, command),) = spool.commands()
        assert command["claims"] == [claim.name]
        spool.move(full, f"running/{NODE}", "failed")
        spool.answer(entry, NODE, "stopped")
        assert wish.result(30).ok


def test_a_task_that_cannot_be_stopped_in_three_rounds_is_told(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.stop, "train")
    for number in range(1, 4):
        wait_until(lambda: len(spool.commands()) == number)  # noqa: B023
        spool.answer(spool.commands()[-1][0], NODE, "I do not want to")
    told = wish.result(30)
    assert (told.ok, "could not be stopped in" in told.words) == (False, True)
    assert len(spool.names(f"running/{NODE}")) == 1


def test_stop_all_cancels_what_waits_then_stops_what_runs(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    waiting = [spool.add("pending") for _ in range(3)]
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    running = spool.add(f"running/{NODE}", "a.sh")
    spool.node(NODE)
    spool.node(OTHER)  # nothing runs there, but a dedicated node sweeps
    for number, full in enumerate((waiting[0], running)):
        (spool.path / "queues" / f"q{number}.000001").write_text(f"{full[4:]}\n{NODE}\n0a0b0c\n")
    wish = aside.submit(door.stop, "all")
    wait_until(spool.commands)
    assert (spool.names("pending"), len(spool.names("failed"))) == ([], 4)
    assert spool.names("queues") == ["q0.000001.free", "q1.000001"]
    ((entry, command),) = spool.commands()
    assert sorted(command["to"]) == [f"{NODE}/{NODE}1", f"{OTHER}/{OTHER}1"]
    assert command["claims"] == spool.names(f"running/{NODE}")
    spool.move(running, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped")
    spool.answer(entry, OTHER, "swept")
    told = wish.result(30)
    assert told.ok
    assert f"{OTHER}: swept" in told.words


def test_a_stop_of_very_many_tasks_stays_below_the_size_of_a_command(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    for number in range(450):
        spool.add(f"running/{NODE}", f"a-rather-long-name-of-a-script-{number}.sh")
    spool.node(NODE)
    wish = aside.submit(door.stop, "all")
    wait_until(lambda: len(spool.commands()) == 3)
    claims = [claim for _, command in spool.commands() for claim in command["claims"]]
    assert sorted(claims) == spool.names(f"running/{NODE}")
    assert all((spool.path / "control" / entry).stat().st_size < 64 << 10 for entry, _ in spool.commands())
    spool.node(NODE, state="stopped")
    wish.result(60)


def test_a_node_of_another_protocol_is_neither_asked_nor_waited_for(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    full = spool.add(f"running/{NODE}", "mine.sh")
    strange = spool.add(f"running/{OTHER}", "strange.sh")
    spool.node(NODE)
    spool.node(OTHER, protocol=7)
    wish = aside.submit(door.stop, "all")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command["to"] == [f"{NODE}/{NODE}1"]
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped")
    told = wish.result(30)
    assert (told.ok, "speaks protocol 7" in told.words) == (False, True)
    assert [name for name in spool.names(f"running/{OTHER}") if name.startswith(strange)]
    assert not door.forget(OTHER, force=True).ok


@pytest.mark.parametrize("wait", [False, True])
def test_shutdown_names_the_incarnations(door: Door, spool: Spool, aside: ThreadPoolExecutor, wait: bool) -> None:
    spool.node(NODE)
    spool.node(OTHER, state="stopped")
    wish = aside.submit(lambda: door.shutdown(wait=wait))
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["wait"], command["to"]) == ("shutdown", wait, [f"{NODE}/{NODE}1"])
    spool.answer(entry, NODE, "leaving")
    told = wish.result(30)
    assert (told.ok, f"{NODE}: leaving" in told.words) == (True, True)


@pytest.mark.parametrize("page", [{"state": "stopped"}, {"incarnation": "another"}])
def test_shutdown_returns_when_the_agents_that_answered_have_left(
    door: Door, spool: Spool, aside: ThreadPoolExecutor, page: dict[str, Any]
) -> None:
    spool.node(NODE)
    wish = aside.submit(door.shutdown)
    wait_until(spool.commands)
    spool.answer(spool.commands()[0][0], NODE, "shuts down; nothing runs")
    with pytest.raises(StillAtIt):
        wish.result(1)
    spool.node(NODE, **page)
    assert wish.result(30).ok


@pytest.mark.parametrize("wait", [False, True])
def test_shutdown_waits_for_no_agent_that_leaves_later(
    door: Door, spool: Spool, aside: ThreadPoolExecutor, wait: bool
) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    wish = aside.submit(lambda: door.shutdown(wait=wait))
    wait_until(spool.commands)
    spool.answer(spool.commands()[0][0], NODE, "1 running task goes back to pending")
    assert wish.result(30).ok


def test_shutdown_has_no_allocation_submitted_any_more(door: Door, spool: Spool) -> None:
    allocations = Path(spool.path) / "allocations"
    allocations.mkdir(exist_ok=True)
    for name in ("keep", "keep-paused", "slot-1.1"):
        (allocations / name).write_text("slots 2\n")
    door.shutdown()  # no agent is there; one that waits in a scheduler's queue will find no keep
    assert [path.name for path in allocations.iterdir()] == ["slot-1.1"]


def test_shutdown_without_an_agent_is_told(door: Door, spool: Spool) -> None:
    assert not door.shutdown().ok
    spool.node(NODE, age_s=3600)
    assert not door.shutdown().ok


# -- explain


def test_explain_gives_the_reason_that_a_node_published(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    why = reason(Code.GPUS, needed=8, idle=1, busy=1)
    spool.node(NODE, waiting=(WaitPage(full, why),), waiting_count=1)
    assert "waits for 8 GPUs: 1 idle (1 busy)" in door.explain("train").words
    assert spool.commands() == []


def test_explain_asks_the_nodes_where_none_published_it(door: Door, spool: Spool, aside: ThreadPoolExecutor) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.explain, "train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert (command["command"], command["tasks"]) == ("explain", [full])
    spool.answer(entry, NODE, f"{full}: it starts at the next step")
    assert "it starts at the next step" in wish.result(30).words


def test_explain_says_where_a_task_is_that_began_while_nodes_were_asked(
    door: Door, spool: Spool, aside: ThreadPoolExecutor
) -> None:
    full = spool.add("pending", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.explain, "train")
    wait_until(spool.commands)
    (spool.path / "running" / NODE).mkdir(exist_ok=True)
    os.rename(spool.path / "pending" / full, spool.path / "running" / NODE / f"{full}.try1.abcdef")
    ((entry, _),) = spool.commands()
    spool.answer(entry, NODE, "none of these waits here")
    assert f"runs on {NODE}" in wish.result(30).words


def test_explain_without_an_agent_says_how_to_start_one(door: Door, spool: Spool) -> None:
    spool.add("pending", "train.sh")
    assert "no agent is alive; start one with ./submit.sh" in door.explain("train").words
    spool.node(NODE, age_s=3600)
    assert "no agent is alive; start one with ./submit.sh" in door.explain("train").words


def test_explain_says_where_a_task_runs(door: Door, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    words = door.explain("train").words
    assert NODE in words
    assert "try 1" in words


# -- hostile nodes


@pytest.mark.parametrize("kind", ["a pipe", "garbage", "a link", "a directory", "50 MB"])
def test_a_page_that_is_none_hinders_nobody(
    door: Door, spool: Spool, home: Path, aside: ThreadPoolExecutor, kind: str
) -> None:
    for ending in ("json", "tsv"):
        path = spool.path / "nodes" / f"strange.{ending}"
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a link":
            path.symlink_to(home / "nowhere")
        elif kind == "a directory":
            path.mkdir()
        else:
            path.write_bytes(b"\0{]\xff" if kind == "garbage" else b"x" * (50 << 20))
    spool.node(NODE)
    full = spool.add(f"running/{NODE}", "train.sh")
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    ((entry, command),) = spool.commands()
    assert command["to"] == [f"{NODE}/{NODE}1"]
    spool.move(full, f"running/{NODE}", "failed")
    spool.answer(entry, NODE, "stopped")
    assert wish.result(30).ok


def test_an_answer_that_is_a_pipe_hangs_nobody(door: Door, spool: Spool, aside: ThreadPoolExecutor) -> None:
    full = spool.add(f"running/{NODE}", "train.sh")
    spool.node(NODE)
    wish = aside.submit(door.stop, "train")
    wait_until(spool.commands)
    entry = spool.commands()[0][0].removesuffix(".json")
    spool.move(full, f"running/{NODE}", "failed")
    os.mkfifo(spool.path / "control" / f"{entry}.{NODE}.ack")
    assert wish.result(30).ok
