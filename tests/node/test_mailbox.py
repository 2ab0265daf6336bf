"""Commands: who obeys what, how often, and what becomes of one that a person wrote by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gpu_queue.node.mailbox import Mail, Mailbox
from gpu_queue.spool import files
from gpu_queue.spool.commands import Command
from tests.agent.harness import wait_until
from tests.node.harness import FAULTS, Crash, Fault, Room, failing_renames

HERE = frozenset({os.geteuid()})


def a_mailbox(room: Room, node: str = "n1", incarnation: str = "new", since: float | None = None) -> Mailbox:
    mailbox = Mailbox(room.paths, node, incarnation, HERE)
    mailbox.present_since = since
    return mailbox


def send(room: Room, number: int = 1, **command: object) -> str:
    """A command as a client sends it."""
    nonce = f"abcdef{number:06x}"
    content = {"protocol": 1, "nonce": nonce, "from": "alice@login1", **command}
    (room.root / "control" / f"20260101T00000000{number}-{nonce}.json").write_text(json.dumps(content))
    return nonce


def by_hand(room: Room, content: str) -> Path:
    path = room.root / "control.json"
    path.write_text(content)
    return path


def obeyed(mailbox: Mailbox, now: float = 0.0) -> list[Command]:
    return list(mailbox.look(now).commands)


def test_a_command_is_handed_out_once_in_the_order_of_its_stamp(room: Room) -> None:
    mailbox = a_mailbox(room)
    send(room, 2, command="sweep", to=["n1/new"])
    send(room, 1, command="stop", to=["n1/new"], claims=["c"])
    assert [(one.verb, one.claims, one.sender) for one in obeyed(mailbox)] == [
        ("stop", ("c",), "alice@login1"),
        ("sweep", (), "alice@login1"),
    ]
    assert obeyed(mailbox) == []


@pytest.mark.parametrize(
    ("verb", "to", "is_obeyed"),
    [
        ("stop", ["n1/new"], True),
        ("stop", ["n1/old"], True),
        ("stop", ["n2/new", "n1/old"], True),
        ("stop", ["n2/new"], False),
        ("stop", ["n11/new"], False),
        ("stop", [], False),
        ("shutdown", ["n1/new"], True),
        ("shutdown", ["n1/old"], False),
        ("shutdown", ["n1"], False),
        ("explain", ["n1/old"], True),
        ("sweep", ["*"], True),
    ],
)
def test_an_agent_obeys_what_names_it_and_a_shutdown_only_for_its_own_life(
    room: Room, verb: str, to: list[str], is_obeyed: bool
) -> None:
    send(room, command=verb, to=to)
    assert bool(obeyed(a_mailbox(room))) is is_obeyed


def test_an_agent_obeys_a_nonce_once_also_after_a_restart(room: Room) -> None:
    first = room.start()
    send(room, command="explain", to=["n1/x"], tasks=["t"])
    first.settle_all()
    first.step(40)
    first.die()
    (ack,) = [name for name in room.listing("control") if name.endswith(".ack")]
    (room.root / "control" / ack).unlink()
    second = room.start()
    second.settle_all()
    assert not any("command explain" in line for line in second.said)
    assert not (room.root / "control" / ack).exists()


def test_a_stop_that_a_killed_agent_did_not_obey_is_obeyed_by_the_next_one(room: Room) -> None:
    task = room.submit(room.script("exec sleep 600"))
    first = room.start()
    for _ in range(3):
        first.step()
    send(room, command="stop", to=["n1/of-the-first"], claims=room.claims())
    first.die()
    second = room.start()
    for _ in range(3):
        second.step()
    second.settle_all()
    assert room.where(task) == ["failed"]

    def answered() -> bool:
        second.step()
        return any(name.endswith(".ack") for name in room.listing("control"))

    wait_until(answered, "its answer, which it gives when the task is settled")


def test_what_bears_this_nodes_answer_was_obeyed_however_little_its_next_agent_remembers(room: Room) -> None:
    send(room, 1, command="stop", to=["n1/old"], claims=["c"])
    send(room, 2, command="stop", to=["n1/old"], claims=["d"])
    for number, node in ((1, "n1"), (2, "n11")):
        (room.root / "control" / f"20260101T00000000{number}-abcdef{number:06x}.{node}.ack").write_text("done\n")
    assert [one.claims for one in obeyed(a_mailbox(room))] == [("d",)]


def test_a_command_that_is_listed_and_cannot_be_seen_yet_is_obeyed_when_it_can(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(room, command="stop", to=["n1/new"], claims=["c"])
    mailbox = a_mailbox(room)

    def nothing_there(*_: object) -> dict[str, object]:
        raise files.Vanished("it is gone")

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_json", nothing_there)  # NFS may know for a minute that there is no such file
        assert mailbox.look(0.0) == Mail((), ())
    assert [one.claims for one in obeyed(mailbox)] == [("c",)]


# -- by hand ------------------------------------------------------------------------------------------------------


def test_a_command_written_by_hand_is_published_and_means_everybody(room: Room) -> None:
    by_hand(room, '{"command": "stop", "names": ["train"]}')
    (command,) = obeyed(a_mailbox(room))
    assert (command.verb, command.names) == ("stop", ("train",))
    assert command.nonce in command.entry
    assert not (room.root / "control.json").exists()
    (again,) = obeyed(a_mailbox(room, "n2"))
    assert (again.verb, again.nonce) == ("stop", command.nonce)


def test_a_half_written_command_has_five_seconds_to_become_whole(room: Room) -> None:
    mailbox = a_mailbox(room)
    by_hand(room, '{"command": "stop", ')
    assert mailbox.look(100.0).problems == ()
    assert mailbox.look(104.9).problems == ()
    by_hand(room, '{"command": "stop", "names"')
    assert mailbox.look(105.1).problems == (), "it was written to: it has five more seconds"
    by_hand(room, '{"command": "stop", "names": ["x"]}')
    assert [one.verb for one in obeyed(mailbox, 106.0)] == ["stop"]


def test_a_command_that_stays_half_written_is_set_aside_with_the_reason(room: Room) -> None:
    mailbox = a_mailbox(room)
    by_hand(room, '{"command": "stop", ')
    mailbox.look(100.0)
    (problem,) = mailbox.look(105.0).problems
    assert problem.startswith("control.json: it is no JSON")
    assert not (room.root / "control.json").exists()
    assert [name for name in os.listdir(room.root / "control") if name.startswith(".bad-")]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_control_file_that_is_no_file_hangs_nobody_and_is_set_aside(room: Room, make: object) -> None:
    assert callable(make)
    make(room.root / "control.json")
    mailbox = a_mailbox(room)
    mailbox.look(0.0)
    (problem,) = mailbox.look(5.0).problems
    assert "expected a regular file" in problem
    assert not os.path.lexists(room.root / "control.json")


def test_the_copy_of_a_clients_command_stays_where_it_is(room: Room) -> None:
    path = by_hand(room, '{"protocol": 1, "nonce": "abcdef", "command": "shutdown", "to": ["n1/new"]}')
    mailbox = a_mailbox(room)
    for now in (0.0, 100.0):
        assert mailbox.look(now) == mailbox.look(now)
        assert obeyed(mailbox, now) == []
    assert path.exists()


def test_of_two_agents_exactly_one_publishes_a_command_written_by_hand(room: Room) -> None:
    path = by_hand(room, '{"command": "sweep"}')
    first, second = a_mailbox(room), a_mailbox(room, "n2")
    real = os.rename
    others: list[Command] = []

    def rename_late(source: str, target: str) -> None:
        # Both have read it; the second one's rename comes between the first one's reading and its rename.
        if source == str(path) and not others:
            others.append(Command("", "", ""))
            others[:] = obeyed(second)
        real(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename_late)
        (mine,) = obeyed(first)
    assert [one.nonce for one in others] == [mine.nonce]
    assert len(room.listing("control")) == 1


@pytest.mark.parametrize(("is_done", "error"), FAULTS)
def test_a_command_written_by_hand_survives_a_rename_that_goes_wrong(
    room: Room, is_done: bool, error: int | None
) -> None:
    by_hand(room, '{"command": "sweep"}')
    nonces = set()
    with failing_renames(room, Fault("control", is_done, error)):
        for _ in range(3):
            mailbox = a_mailbox(room)
            try:
                nonces |= {one.nonce for one in obeyed(mailbox)}
            except Crash:
                continue
    assert len(nonces) == 1


def test_a_command_written_by_hand_is_not_for_agents_that_come_later(room: Room) -> None:
    by_hand(room, '{"command": "stop", "names": ["all"]}')
    assert len(obeyed(a_mailbox(room, since=0.0))) == 1
    (entry,) = room.listing("control")
    published = os.stat(room.root / "control" / entry).st_ctime
    assert obeyed(a_mailbox(room, "late", since=published + 1.0)) == []
    assert len(obeyed(a_mailbox(room, "present", since=published - 1.0))) == 1


def test_stop_all_of_this_morning_does_not_cancel_what_waits_this_afternoon(room: Room) -> None:
    first = room.start()
    by_hand(room, '{"command": "stop", "names": ["all"]}')
    first.settle_all()
    first.die()
    task = room.submit(room.script())
    second = room.start(name="n2")
    second.settle_all()
    assert room.where(task) == ["done"]


def test_a_shutdown_written_by_hand_is_obeyed_by_all_that_are_there(room: Room) -> None:
    nodes = [room.start(name=name) for name in ("n1", "n2")]
    by_hand(room, '{"command": "shutdown"}')
    for _ in range(8):
        for node in nodes:
            node.step()
    assert [node.agent.finished for node in nodes] == [True, True]


def test_a_name_in_a_command_written_by_hand_cancels_waiting_tasks_too(room: Room) -> None:
    waiting = room.submit(room.script(head="#GPUQ --gpus 8"), "train-large.sh")
    other = room.submit(room.script(head="#GPUQ --gpus 8"), "other.sh")
    node = room.start()
    node.settle_all()
    by_hand(room, '{"command": "stop", "names": ["train"]}')
    node.settle_all()
    assert (room.where(waiting), room.where(other)) == (["failed"], ["pending"])


# -- answers and tidying ------------------------------------------------------------------------------------------


def test_an_answer_lies_beside_its_command_under_the_nodes_name(room: Room) -> None:
    mailbox = a_mailbox(room)
    send(room, command="explain", to=["n1/new"])
    (command,) = obeyed(mailbox)
    mailbox.answer(command, "two\nlines")
    assert Path(room.paths.ack(command.entry, "n1")).read_text() == "two\nlines\n"
    assert obeyed(mailbox) == []


def test_commands_are_swept_after_a_day_of_the_servers_clock(room: Room) -> None:
    mailbox = a_mailbox(room)
    send(room, command="sweep", to=[])
    (room.root / "control" / ".bad-abcdef").write_text("x")
    (room.root / "control" / "directory").mkdir()
    now = os.stat(room.root / "control" / ".bad-abcdef").st_ctime
    mailbox.sweep(now + 24 * 3600 - 5)
    assert len(os.listdir(room.root / "control")) == 3
    mailbox.sweep(now + 24 * 3600 + 5)
    assert os.listdir(room.root / "control") == ["directory"]
