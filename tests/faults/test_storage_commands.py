"""The mailbox under fire: many clients, two nodes, garbage in between, an agent that is killed in the midst."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from gpu_queue.node.mailbox import Mailbox
from gpu_queue.spool.commands import Command
from gpu_queue.units import stamp
from tests.node.harness import Room

CLIENTS, COMMANDS = 50, 10


def shoot(room: Room, number: int, task: str, entries: list[str]) -> None:
    """One client: each command a file in control/ and a copy over control.json, both by rename."""
    control = Path(room.paths.control)
    for count in range(COMMANDS):
        nonce = secrets.token_hex(6)
        to = ["n1/-", "n2/-"]
        value = {"protocol": 1, "nonce": nonce, "command": "explain", "to": to, "from": f"c{number}", "tasks": [task]}
        entry = f"{stamp(time.time())}-{nonce}"
        text = json.dumps(value)
        for hidden, final in (
            (control / f".{entry}", control / f"{entry}.json"),
            (room.root / f".control.{nonce}", Path(room.paths.hand_command)),
        ):
            hidden.write_text(text)
            hidden.rename(final)
        entries.append(entry)
        if count % 10 == 9:
            garbage = control / f".g{nonce}"
            garbage.write_bytes(secrets.token_bytes(40))
            garbage.rename(control / f"{stamp(time.time())}-{secrets.token_hex(6)}.json")


def test_fifty_clients_with_ten_commands_each_are_obeyed_once_by_each_node(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Counter[tuple[str, str]] = Counter()
    answer = Mailbox.answer

    def counted(mailbox: Mailbox, command: Command, text: str) -> None:
        answers[command.entry.removesuffix(".json"), mailbox._node] += 1
        answer(mailbox, command, text)

    monkeypatch.setattr(Mailbox, "answer", counted)
    task = room.submit("#GPUQ --gpus 99\n", "never.sh")
    nodes = [room.start(name="n1"), room.start(name="n2")]
    entries: list[str] = []
    clients = [
        threading.Thread(target=shoot, args=(room, number, f"500-{task}", entries)) for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    killed = False
    while any(client.is_alive() for client in clients):
        for node in nodes:
            node.step()
        if not killed and len(answers) > 200:
            killed = True
            nodes[0].die()
            nodes[0] = room.start(name="n1")
    for _ in range(5):
        for node in nodes:
            node.step()
    # Once more after everything: an agent that knows the last 200 nonces only.
    nodes[0].die()
    late = room.start(name="n1")
    for _ in range(3):
        late.step()
    assert len(entries) == CLIENTS * COMMANDS
    assert answers == {(entry, node): 1 for entry in entries for node in ("n1", "n2")}
    present = set(room.listing("control"))
    assert all(f"{entry}.{node}.ack" in present for entry in entries for node in ("n1", "n2"))
    bad = [name for name in os.listdir(room.paths.control) if name.startswith(".bad-")]
    assert len(bad) == CLIENTS * COMMANDS // 10, "garbage is set aside"
    said = [line for node in room.nodes for line in node.said if line.startswith("control/")]
    assert all("it is no JSON" in line for line in said)
