"""What agent, zygote and workers say to each other.

- One message per datagram of a ``SOCK_SEQPACKET`` Unix socket: whole messages in order, and an end of file as
  soon as the other side has gone, however it went.
- One socket between the agent and the zygote, one between the agent and each worker.  The worker's end travels
  through the zygote by ``SCM_RIGHTS``, together with a held lock that says as long as it is open: this filler lives.
- A message is the name of its class and its fields: ``["Duty", {"duty": 0.775, "for_s": 3.0}]``.  Both ends are ours
  and of one version, so nothing is checked beyond what it takes to build it.

=================  ============================================================================================
agent to zygote    Spawn, with two descriptors: the worker's socket, its lock
zygote to agent    Ready, Spawned, Exited, Refused; Failed before it exits with 1
agent to worker    Duty, Exit
worker to agent    Starting, Holding, Report, Tenant, Shrunk, Refused; Failed before it exits with 1
=================  ============================================================================================
"""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

PROCESS_NAME = "gpuq-keepalive"
"""What ``ps`` and ``top`` call a worker, and by what it is known; the kernel keeps 15 bytes."""

MESSAGE_BYTES = 8192
"""No message is longer."""


class BadMessage(ValueError):
    """A datagram that is no message; it has been read, and the next one may be."""


class Closed(EOFError):
    """The other side has gone."""


@dataclass(frozen=True)
class WorkerSpec:
    """All that one worker is started with."""

    uuid: str
    engine: str
    """``matmul``, ``zeros`` or ``spin``; ``cpu`` on simulated cards; ``trial`` only takes memory."""
    total_bytes: int
    """The card's memory."""
    goal_bytes: int
    """To hold resident, what is multiplied included; 0: a light filler without ballast."""
    matrix_size: int
    """N of the largest matrices that may be multiplied."""
    tile_s: float = 0.005
    """The longest single launch."""
    period_s: float = 0.02
    """Of one round of launches and rest; to be well below the time over which utilisation is averaged, which is a
    tenth of a second with some drivers."""
    plant: str = ""
    """The directory of simulated loads (:mod:`gpu_queue.gpus.plant`), for the engine ``cpu``."""


@dataclass(frozen=True)
class Spawn:
    """Fork a worker; the two descriptors come with it."""

    spec: WorkerSpec


@dataclass(frozen=True)
class Ready:
    """The zygote has imported torch and can fork."""

    torch: str
    """Its version."""
    cuda: bool
    """It was built for GPUs; whether there are any is not looked at, for that would spoil the forks."""
    python: str
    """The interpreter that has it."""


@dataclass(frozen=True)
class Failed:
    """Last words: why a zygote or a worker gives up."""

    problem: str


@dataclass(frozen=True)
class Refused:
    """A word that could not be obeyed; whoever got it goes on."""

    problem: str
    uuid: str = ""
    """Where it was about one worker: that one was not started."""


@dataclass(frozen=True)
class Spawned:
    """A worker was forked."""

    uuid: str
    pid: int


@dataclass(frozen=True)
class Exited:
    """A worker is gone and its memory with it."""

    uuid: str
    pid: int
    status: int
    """Its exit status; negative: killed by that signal."""


@dataclass(frozen=True)
class Duty:
    """Be busy this share of the time, for no longer than this without another word."""

    duty: float
    """0 to 1; 0 is a pause in which the memory stays held."""
    for_s: float


@dataclass(frozen=True)
class Exit:
    """Launch nothing more, free the memory, exit with 0."""


@dataclass(frozen=True)
class Starting:
    """The worker starts CUDA now; until then it has touched no GPU, and from now on it may not hear for seconds."""


@dataclass(frozen=True)
class Holding:
    """The worker holds its memory and has measured its kernel; it is paused until it is given a duty."""

    held_bytes: int
    tile: int
    """N of what is multiplied at once; 0 if nothing is multiplied."""
    kernel_s: float


@dataclass(frozen=True)
class Report:
    """What a worker did since its last report."""

    busy: float
    """Share of the time in which its kernels ran, 0 to 1."""
    stretch: float
    """Mean time of its kernels, without the first after a rest, over what they take on a card that is theirs alone;
    1 if there were none."""
    held_bytes: int
    bursts: int
    """How many kernels."""


@dataclass(frozen=True)
class Tenant:
    """Somebody else computes on this card; the worker has paused by itself and waits for a duty."""

    evidence: str


@dataclass(frozen=True)
class Shrunk:
    """Memory ran out, and the worker settled for less."""

    held_bytes: int


Message = (
    Spawn | Ready | Failed | Refused | Spawned | Exited | Duty | Exit | Starting | Holding | Report | Tenant | Shrunk
)
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """The datagram of a message."""
    return json.dumps([type(message).__name__, asdict(message)], separators=(",", ":")).encode()


def parse(datagram: bytes) -> Message:
    """The message of a datagram.

    Raises:
        BadMessage: it is none.
    """
    try:
        name, content = json.loads(datagram)
        if name == Spawn.__name__:
            return Spawn(WorkerSpec(**content["spec"]))
        message: Message = _KINDS[name](**content)
    except (ValueError, TypeError, KeyError) as error:
        raise BadMessage(f"no message: {datagram[:80]!r}") from error
    return message


class Channel:
    """One end of a socket; what is sent and read here are messages."""

    def __init__(self, sock: socket.socket):
        """Take over a socket.

        Args:
            sock: a connected ``SOCK_SEQPACKET`` socket; :meth:`close` closes it.
        """
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends that are connected."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Channel:
        """The end that a descriptor is, which is taken over.

        Raises:
            OSError: it is no socket.
        """
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """For ``select`` and for passing it on."""
        return self._socket.fileno()

    def close(self) -> None:
        """The other side reads an end of file."""
        self._socket.close()

    def send(self, message: Message, descriptors: Sequence[int] = (), *, patience_s: float = 0.0) -> bool:
        """Send one message.

        Args:
            message: it.
            descriptors: a copy of each of these goes with it.
            patience_s: how long to wait for room if the other side does not read.

        Returns:
            False if the other side has gone, or does not read: the message is lost.
        """
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        self._socket.settimeout(patience_s)
        try:
            self._socket.sendmsg([encode(message)], rights, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> Message | None:
        """The next message; None if none has come.  Never waits.

        Raises:
            Closed: there will be no more.
            BadMessage: one that is none was skipped.
        """
        received = self.receive_with_descriptors(0)
        return None if received is None else received[0]

    def receive_with_descriptors(self, expected: int = 2) -> tuple[Message, list[int]] | None:
        """Like :meth:`receive`; and the descriptors that came with it, which are the caller's to close.

        Args:
            expected: how many may come; more are dropped by the kernel.
        """
        self._socket.settimeout(0.0)
        room = socket.CMSG_SPACE(expected * array("i").itemsize) if expected else 0
        try:
            datagram, rights, _, _ = self._socket.recvmsg(MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:  # reset: the other side went with words of ours unread
            raise Closed(str(error)) from error
        descriptors = _descriptors(rights)
        try:
            if not datagram:
                raise Closed("the other side has gone")
            return parse(datagram), descriptors
        except (Closed, BadMessage):
            for descriptor in descriptors:
                os.close(descriptor)
            raise


def _descriptors(rights: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array("i")
    for level, kind, content in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    return found.tolist()
