"""A free port for each task."""

from __future__ import annotations

import socket

from gpu_queue.execution.ports import FIRST, LAST, free_port


def test_a_port_is_neither_used_nor_promised() -> None:
    first = free_port("a-task", ())
    assert FIRST <= first <= LAST
    assert free_port("a-task", ()) == first
    promised = free_port("a-task", {first})
    assert promised not in (0, first)
    with socket.socket() as held:
        held.bind(("127.0.0.1", first))
        held.listen()
        assert free_port("a-task", ()) == promised
        assert free_port("a-task", {promised}) not in (0, first, promised)


def test_tasks_begin_to_look_at_different_places() -> None:
    assert len({free_port(f"task-{number}", ()) for number in range(20)}) > 15
