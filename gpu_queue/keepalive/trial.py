"""Whether torch can use the cards of this node: for ``--check``, before anything is served.

A zygote is started, forks one worker for each card, and each takes a little memory, writes and reads it, and gives it
back.  So CUDA starts in processes that go at once; other agents take them for a keep-alive, which is no stranger.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_queue.keepalive.protocol import (
    Channel,
    Closed,
    Exit,
    Exited,
    Failed,
    Holding,
    Message,
    Ready,
    Refused,
    Spawn,
    WorkerSpec,
)
from gpu_queue.keepalive.starter import how_ended
from gpu_queue.units import format_exact_duration

MEMORY_BYTES = 256 << 20
"""What is taken of each card."""
NEEDED_BYTES = 1 << 30
"""What must be free for it: the context of a process takes half of that, with some drivers more."""
IMPORT_S = 60.0
"""So long torch may take to be imported: two seconds, on cold storage twenty."""
CARDS_S = 30.0
"""So long all cards together may take, which are tried at the same time."""
_REAPED_S = 2.0

_DRIVER = "install a torch that was built for this driver (nvidia-smi tells its CUDA version), or a newer driver"
_UNSEEN = "the driver does not give it to CUDA here: see which devices this container, or this job, was given"
_ALONE = "one process alone may use it (nvidia-smi -q -d COMPUTE): wait for that one, or nvidia-smi -c DEFAULT"
_OTHERWISE = "dmesg | grep -i xid tells more; nvidia-smi --gpu-reset, or whoever looks after the server, mends it"
_REMEDIES = (
    (("driver on your system is too old", "driver version is insufficient"), _DRIVER),
    (("no nvidia driver", "no cuda-capable device", "no cuda gpus", "cuda shows", "invalid device ord"), _UNSEEN),
    (("out of memory",), "nvidia-smi tells who has its memory"),
    (("busy or unavailable", "exclusive"), _ALONE),
    (("no kernel image", "not compatible with the current"), "install a torch that was built for this kind of GPU"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one card."""

    held_bytes: int = 0
    """What it gave, and got back."""
    problem: str = ""
    """Why it did not; empty: it did."""


@dataclass
class Tried:
    """What became of a trial."""

    torch: str = ""
    """The version of torch."""
    problem: str = ""
    """Why no card was tried; empty: they were."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Of each card, by UUID."""


def remedy(problem: str) -> str:
    """What to do where a card could not be used."""
    said = problem.lower()
    return next((what for words, what in _REMEDIES if any(word in said for word in words)), _OTHERWISE)


def try_cards(
    start_zygote: Callable[[int], int],
    places: Mapping[str, int],
    import_s: float = IMPORT_S,
    cards_s: float = CARDS_S,
) -> Tried:
    """Take and give back a little memory of each card; takes no longer than both times together, and a moment.

    Args:
        start_zygote: starts the process ``gpu_queue.keepalive.zygote`` on a descriptor; returns its pid.
        places: by UUID of the cards the descriptor with the lock of the filler's place.
        import_s: how long torch may take to be imported.
        cards_s: how long the cards may take.

    Raises:
        OSError: the process cannot be started.
    """
    ours, theirs = Channel.pair()
    try:
        pid = start_zygote(theirs.fileno())
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    trial = _Trial(ours)
    try:
        trial.begin(time.monotonic() + import_s, import_s)
        if not trial.tried.problem:
            trial.run(places, time.monotonic() + cards_s, cards_s)
    finally:
        trial.close()
        _end(pid)
    return trial.tried


class _Trial:
    def __init__(self, zygote: Channel) -> None:
        self.tried = Tried()
        self._zygote = zygote
        self._workers: dict[str, Channel] = {}
        self._asked: list[str] = []
        self._held: dict[str, int] = {}
        self._problems: dict[str, str] = {}

    def begin(self, until: float, limit_s: float) -> None:
        """Wait until torch is imported."""
        while True:
            try:
                message = _next(self._zygote, until)
            except Closed:
                self.tried.problem = "the process that imports torch ended without a word"
                return
            if message is None:
                self.tried.problem = f"torch was not imported within {format_exact_duration(limit_s)}"
            elif isinstance(message, Failed):
                self.tried.problem = message.problem
            elif isinstance(message, Ready):
                self.tried.torch = message.torch
                if not message.cuda:
                    self.tried.problem = f"torch {message.torch} of {message.python} was built without CUDA"
            else:
                continue
            return

    def run(self, places: Mapping[str, int], until: float, limit_s: float) -> None:
        """Have all cards tried, at the same time."""
        self._asked = list(places)
        for uuid, place in places.items():
            ours, theirs = Channel.pair()
            self._workers[uuid] = ours
            spec = WorkerSpec(uuid, "trial", 0, MEMORY_BYTES, 0)
            if not self._zygote.send(Spawn(spec), [theirs.fileno(), place]):
                self._settle(uuid, "the process that imported torch has gone")
            theirs.close()
        while len(self.tried.outcomes) < len(places) and time.monotonic() < until:
            self._listen(until)
        for uuid in places:
            told = "its memory was not given back" if uuid in self._held else "CUDA has not answered"
            self._settle(uuid, f"{told} within {format_exact_duration(limit_s)}: the driver hangs")

    def _listen(self, until: float) -> None:
        poll = select.poll()
        channels = {one.fileno(): uuid for uuid, one in self._workers.items()}
        for descriptor in (self._zygote.fileno(), *channels):
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(max(0, until - time.monotonic()) * 1000)]
        # Workers first: what one has said is to be known before its end is.
        for uuid in filter(None, map(channels.get, ready)):
            self._hear(uuid)
        if self._zygote.fileno() in ready:
            self._hear_zygote()

    def _hear(self, uuid: str) -> None:
        channel = self._workers[uuid]
        try:
            while message := channel.receive():
                if isinstance(message, Holding):
                    self._held[uuid] = message.held_bytes
                    channel.send(Exit())
                elif isinstance(message, Failed):
                    self._problems[uuid] = message.problem
        except Closed:
            self._workers.pop(uuid).close()

    def _hear_zygote(self) -> None:
        try:
            while message := self._zygote.receive():
                if isinstance(message, Refused):
                    self._settle(message.uuid, message.problem)
                elif isinstance(message, Exited):
                    if message.uuid in self._workers:
                        self._hear(message.uuid)
                    how = f"the process that tried it ended ({how_ended(message.status)})"
                    is_well = message.uuid in self._held and message.status == 0
                    self._settle(message.uuid, self._problems.get(message.uuid, "" if is_well else how))
        except Closed:
            for uuid in self._asked:
                self._settle(uuid, self._problems.get(uuid, "the process that imported torch has ended"))

    def _settle(self, uuid: str, problem: str) -> None:
        self.tried.outcomes.setdefault(uuid, Outcome(0 if problem else self._held[uuid], problem))

    def close(self) -> None:
        """Nothing more is heard, or said."""
        for channel in (*self._workers.values(), self._zygote):
            channel.close()


def _next(channel: Channel, until: float) -> Message | None:
    while (left_s := until - time.monotonic()) > 0:
        if not select.select([channel], [], [], left_s)[0]:
            break
        message = channel.receive()
        if message is not None:
            return message
    return None


def _end(pid: int) -> None:
    """End the zygote, and with it its workers; one that the kernel keeps is left to it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    give_up_at = time.monotonic() + _REAPED_S
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < give_up_at:
            time.sleep(0.01)
