"""What agent, zygote and workers say to each other, message by message."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gpu_queue.keepalive.protocol import (
    MESSAGE_BYTES,
    BadMessage,
    Channel,
    Closed,
    Duty,
    Exit,
    Exited,
    Failed,
    Holding,
    Message,
    Ready,
    Refused,
    Report,
    Shrunk,
    Spawn,
    Spawned,
    Tenant,
    WorkerSpec,
    encode,
    parse,
)

SPEC = WorkerSpec("GPU-1", "matmul", total_bytes=80 << 30, goal_bytes=48 << 30, matrix_size=26624, visible="GPU-1")
MESSAGES: list[Message] = [
    Spawn(SPEC),
    Ready("2.13.0+cpu", False, "/opt/训练 env/bin/python"),
    Failed("torch is not installed"),
    Refused("no JSON", "GPU-1"),
    Spawned("GPU-1", 17),
    Exited("GPU-1", 17, -9),
    Duty(0.775, 3.0),
    Exit(),
    Holding(48 << 30, 14336, 0.0078),
    Report(0.77, 1.01, 48 << 30, 45),
    Tenant("kernel time 2.1x"),
    Shrunk(24 << 30),
]


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message: Message, ends: tuple[Channel, Channel]) -> None:
    assert ends[0].send(message)
    assert ends[1].receive() == message


def test_the_words_are_those_of_the_table() -> None:
    assert encode(Duty(0.775, 3.0)) == b'{"duty":0.775,"for_s":3.0}'
    assert encode(Exit()) == b'{"exit":true}'
    assert encode(Failed("why")) == b'{"failed":"why"}'
    assert encode(Spawned("GPU-1", 17)) == b'{"spawned":{"uuid":"GPU-1","pid":17}}'


@pytest.mark.parametrize(
    ("datagram", "problem"),
    [
        (b"\xff\x00", "no JSON"),
        (b"[" * 5000, "no JSON"),
        (b"[]", r"\[\]; expected an object"),
        (b"{}", "expected an object with one key"),
        (b'{"exit": false}', "is no message"),
        (b'{"launch": {}}', "is no message"),
        (b'{"failed": 3}', "is no message"),
        (b'{"spawned": []}', r"spawned: \[\]; expected an object"),
        (b'{"spawned": {"uuid": "a"}}', "spawned: pid: missing, or not expected"),
        (b'{"spawned": {"uuid": "a", "pid": 1, "age": 2}}', "spawned: age: missing, or not expected"),
        (b'{"spawned": {"uuid": "a", "pid": true}}', "spawned: pid: True; expected int"),
        (b'{"spawned": {"uuid": "a", "pid": -1}}', "spawned: pid: -1; expected int"),
        (b'{"ready": {"torch": "2", "cuda": 1, "python": "p"}}', "ready: cuda: 1; expected bool"),
        (b'{"duty": 0.5}', "duty: for_s: missing"),
        (b'{"duty": 1.5, "for_s": 1}', "duty 1.5; expected 0 to 1"),
        (b'{"duty": NaN, "for_s": 1}', "duty: duty: nan; expected float"),
        (b'{"duty": 0.5, "for_s": -1}', "duty: for_s: -1; expected float"),
    ],
)
def test_what_is_no_message_is_told_with_what_was_expected(datagram: bytes, problem: str) -> None:
    with pytest.raises(BadMessage, match=problem):
        parse(datagram)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"engine": "conv"}, "engine 'conv'; expected one of matmul, zeros, spin, cpu"),
        ({"engine": "cpu"}, "for simulated GPUs"),
        ({"uuid": ""}, "uuid is empty"),
        ({"goal_bytes": 81 << 30}, "of a card of"),
        ({"tile_s": 0.0}, "tile_s 0.0"),
    ],
)
def test_a_worker_that_could_not_work_cannot_be_asked_for(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(BadMessage, match=problem):
        replace(SPEC, **changes)  # type: ignore[arg-type]


def test_nothing_is_waited_for(ends: tuple[Channel, Channel]) -> None:
    assert ends[0].receive() is None


def test_after_garbage_the_next_message_is_read() -> None:
    raw, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with raw:
        channel = Channel(other)
        raw.send(b"garbage")
        raw.send(b"x" * (MESSAGE_BYTES + 1))
        raw.send(encode(Exit()))
        with pytest.raises(BadMessage, match="no JSON"):
            channel.receive()
        with pytest.raises(BadMessage, match="longer than 8192 bytes"):
            channel.receive()
        assert channel.receive() == Exit()
        channel.close()


def test_the_end_of_the_other_side_is_read_after_its_last_words(ends: tuple[Channel, Channel]) -> None:
    ends[0].send(Failed("no room"))
    ends[0].close()
    assert ends[1].receive() == Failed("no room")
    with pytest.raises(Closed):
        ends[1].receive()
    assert not ends[1].send(Exit())


def test_a_side_that_does_not_read_stops_nobody(ends: tuple[Channel, Channel]) -> None:
    sent = 0
    while ends[0].send(Exit()):
        sent += 1
        assert sent < 100_000
    assert sent > 10
    assert ends[1].receive() == Exit()


def test_descriptors_travel_with_a_message(ends: tuple[Channel, Channel]) -> None:
    reading, writing = os.pipe()
    ends[0].send(Spawn(SPEC), [reading, writing])
    os.close(reading)
    os.close(writing)
    received = ends[1].receive_with_descriptors()
    assert received is not None
    message, (reading, writing) = received
    assert message == Spawn(SPEC)
    assert not os.get_inheritable(reading)
    os.write(writing, b"through")
    os.close(writing)
    assert os.read(reading, 10) == b"through"
    os.close(reading)


def test_descriptors_that_come_with_garbage_or_unasked_are_closed() -> None:
    raw, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with raw:
        channel = Channel(other)
        before = len(os.listdir("/proc/self/fd"))
        reading, writing = os.pipe()
        socket.send_fds(raw, [b"garbage"], [reading, writing])
        socket.send_fds(raw, [encode(Exit())], [reading, writing])
        os.close(reading)
        os.close(writing)
        with pytest.raises(BadMessage):
            channel.receive_with_descriptors()
        assert channel.receive() == Exit()
        assert len(os.listdir("/proc/self/fd")) == before
        channel.close()


def test_a_long_explanation_is_cut_to_its_first_line() -> None:
    text = "\n\nCUDA error: out of memory\nCUDA kernel errors might be reported later\n"
    assert parse(encode(Failed(text))) == Failed("CUDA error: out of memory")
    assert len(encode(Failed("é" * 100_000))) < MESSAGE_BYTES
    assert parse(encode(Exited("GPU-1", 3, -11))) == Exited("GPU-1", 3, -11)
