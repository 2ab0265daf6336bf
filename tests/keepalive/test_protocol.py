"""What agent, zygote and workers say to each other, message by message."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from gpu_queue.keepalive.protocol import (
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
    Starting,
    Tenant,
    WorkerSpec,
)

SPEC = WorkerSpec("GPU-1", "matmul", total_bytes=80 << 30, goal_bytes=48 << 30, matrix_size=26624)
MESSAGES: list[Message] = [
    Spawn(SPEC),
    Ready("2.13.0+cpu", False, "/opt/训练 env/bin/python"),
    Failed("torch is not installed"),
    Refused("cannot fork", "GPU-1"),
    Spawned("GPU-1", 17),
    Exited("GPU-1", 17, -9),
    Duty(0.775, 3.0),
    Exit(),
    Starting(),
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


def test_nothing_is_waited_for(ends: tuple[Channel, Channel]) -> None:
    assert ends[0].receive() is None


@pytest.mark.parametrize("garbage", [b"garbage", b"[]", b'["Exit"]', b'["Launch", {}]', b'["Duty", {"duty": 1}]'])
def test_after_garbage_the_next_message_is_read(garbage: bytes) -> None:
    raw, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with raw:
        channel, back = Channel(other), Channel(raw)
        raw.send(garbage)
        back.send(Exit())
        with pytest.raises(BadMessage):
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
        Channel(raw).send(Exit(), [reading, writing])
        os.close(reading)
        os.close(writing)
        with pytest.raises(BadMessage):
            channel.receive_with_descriptors()
        assert channel.receive() == Exit()
        assert len(os.listdir("/proc/self/fd")) == before
        channel.close()
