"""What agent, zygote and workers say to each other.

- One JSON object per datagram of a ``SOCK_SEQPACKET`` Unix socket: whole messages in order, and an end of file as
  soon as the other side has gone, however it went.
- One socket between the agent and the zygote, one between the agent and each worker.  The worker's end travels
  through the zygote by ``SCM_RIGHTS``, together with a held lock that says as long as it is open: this filler lives.
- Parsing is strict: what is not exactly a message of the table below is a :class:`BadMessage`, and the next one is
  read as if nothing had been.

=================  ====================================================================================
agent to zygote    ``{"spawn": {WorkerSpec}}`` with two descriptors: the worker's socket, its lock
zygote to agent    ``{"ready": …}``, ``{"spawned": …}``, ``{"exited": …}``, ``{"refused": …}``;
                   ``{"failed": "why"}`` before it exits with 1
agent to worker    ``{"duty": 0.775, "for_s": 3.0}``, ``{"exit": true}``
worker to agent    ``{"holding": …}``, ``{"report": …}``, ``{"tenant": "evidence"}``, ``{"shrunk": …}``,
                   ``{"refused": …}``; ``{"failed": "why"}`` before it exits with 1
=================  ====================================================================================
"""

from __future__ import annotations

import json
import math
import os
import socket
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from gpu_queue.texts import shown

ENGINES = ("matmul", "zeros", "spin", "cpu")
MESSAGE_BYTES = 8192
"""No message is longer."""
SPAWN_DESCRIPTORS = 2
_TEXT_CHARACTERS = 500
"""Of what is written for people: a CUDA error may be a page."""


class BadMessage(ValueError):
    """A datagram that is no message; it has been read, and the next one may be."""


class Closed(EOFError):
    """The other side has gone."""


@dataclass(frozen=True)
class WorkerSpec:
    """All that one worker is started with."""

    uuid: str
    engine: str
    """One of :data:`ENGINES`."""
    total_bytes: int
    """The card's memory."""
    goal_bytes: int
    """To hold resident, what is multiplied included; 0: a light filler without ballast."""
    matrix_size: int
    """N of the largest matrices that may be multiplied."""
    tile_s: float = 0.008
    """The longest single launch."""
    period_s: float = 0.03
    """Of one round of launches and rest; to be well below the time over which utilisation is averaged."""
    plant: str = ""
    """The directory of simulated loads (:mod:`gpu_queue.gpus.plant`), for the engine ``cpu``."""
    visible: str = ""
    """For ``CUDA_VISIBLE_DEVICES``."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise BadMessage(f"engine {self.engine!r}; expected one of {', '.join(ENGINES)}")
        if not self.uuid:
            raise BadMessage("uuid is empty")
        if self.goal_bytes > self.total_bytes:
            raise BadMessage(f"goal_bytes {self.goal_bytes} of a card of {self.total_bytes}")
        if self.tile_s <= 0 or self.period_s <= 0:
            raise BadMessage(f"tile_s {self.tile_s}, period_s {self.period_s}; expected more than 0")
        if self.engine == "cpu" and not self.plant:
            raise BadMessage("the engine cpu is for simulated GPUs; expected matmul, zeros or spin")


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

    def __post_init__(self) -> None:
        if not 0 <= self.duty <= 1:
            raise BadMessage(f"duty {self.duty}; expected 0 to 1")


@dataclass(frozen=True)
class Exit:
    """Launch nothing more, free the memory, exit with 0."""


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


Message = Spawn | Ready | Failed | Refused | Spawned | Exited | Duty | Exit | Holding | Report | Tenant | Shrunk

_OBJECTS: dict[str, type[Any]] = {
    "ready": Ready,
    "refused": Refused,
    "spawned": Spawned,
    "exited": Exited,
    "holding": Holding,
    "report": Report,
    "shrunk": Shrunk,
}
_TEXTS: dict[str, type[Any]] = {"failed": Failed, "tenant": Tenant}
_NAMES = {kind: name for name, kind in (*_OBJECTS.items(), *_TEXTS.items())}


def encode(message: Message) -> bytes:
    """The datagram of a message."""
    if isinstance(message, Spawn):
        content: dict[str, Any] = {"spawn": asdict(message.spec)}
    elif isinstance(message, Duty):
        content = asdict(message)
    elif isinstance(message, Exit):
        content = {"exit": True}
    elif isinstance(message, Failed):
        content = {"failed": one_line(message.problem)}
    elif isinstance(message, Tenant):
        content = {"tenant": one_line(message.evidence)}
    else:
        facts = asdict(message)
        if isinstance(message, Refused):
            facts["problem"] = one_line(message.problem)
        content = {_NAMES[type(message)]: facts}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def parse(datagram: bytes) -> Message:
    """The message of a datagram.

    Raises:
        BadMessage: it is none; the text says what was expected.
    """
    try:
        content = json.loads(datagram)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"no JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadMessage(f"{shown(content)}; expected an object")
    if "duty" in content:
        duty: Message = _built(Duty, "duty", content)
        return duty
    if len(content) != 1:
        raise BadMessage(f"{shown(content)}; expected an object with one key")
    ((name, value),) = content.items()
    if name == "exit" and value is True:
        return Exit()
    if name == "spawn":
        return Spawn(_built(WorkerSpec, name, value))
    if name in _OBJECTS:
        message: Message = _built(_OBJECTS[name], name, value)
        return message
    if name in _TEXTS and isinstance(value, str):
        words: Message = _TEXTS[name](value)
        return words
    raise BadMessage(f"{shown(content)} is no message")


def _built(kind: type[Any], name: str, value: Any) -> Any:
    """A dataclass out of exactly its fields."""
    if not isinstance(value, dict):
        raise BadMessage(f"{name}: {shown(value)}; expected an object")
    types = {field.name: str(field.type) for field in fields(kind)}
    if value.keys() != types.keys():
        odd = ", ".join(sorted(value.keys() ^ types.keys()))
        raise BadMessage(f"{name}: {odd}: missing, or not expected")
    return kind(**{key: _checked(f"{name}: {key}", types[key], one) for key, one in value.items()})


def _checked(where: str, expected: str, value: Any) -> Any:
    if expected == "float" and type(value) in (int, float) and math.isfinite(value) and value >= 0:
        return float(value)
    # A status and a signal's number are the only ones below 0.
    is_whole = expected == "int" and type(value) is int and (value >= 0 or where == "exited: status")
    if is_whole or (type(value).__name__ == expected and expected in ("str", "bool")):
        return value
    raise BadMessage(f"{where}: {shown(value)}; expected {expected}")


def one_line(text: str) -> str:
    """The first line that says something, cut to a length that fits a status."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= _TEXT_CHARACTERS else f"{first[:_TEXT_CHARACTERS]}…"


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

    def receive_with_descriptors(self, expected: int = SPAWN_DESCRIPTORS) -> tuple[Message, list[int]] | None:
        """Like :meth:`receive`; and the descriptors that came with it, which are the caller's to close.

        Args:
            expected: how many may come; more are dropped by the kernel.
        """
        self._socket.settimeout(0.0)
        room = socket.CMSG_SPACE(expected * array("i").itemsize) if expected else 0
        try:
            datagram, rights, flags, _ = self._socket.recvmsg(MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:  # reset: the other side went with words of ours unread
            raise Closed(str(error)) from error
        descriptors = _descriptors(rights)
        try:
            if not datagram:
                raise Closed("the other side has gone")
            if flags & socket.MSG_TRUNC:
                raise BadMessage(f"longer than {MESSAGE_BYTES} bytes")
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
