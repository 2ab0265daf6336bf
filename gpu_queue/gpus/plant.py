"""Simulated load: what stands in for kernels and memory on cards that exist only on paper.

- A directory; each load is a file ``<uuid>.<pid>.<hex>`` whose writer holds a flock on it as long as it lives.  A
  file that nobody holds counts for nothing, and readers remove it.
- The file tells what is held, since when a kernel runs, and the last 256 kernels that ran: so any number of readers,
  however seldom they look, agree on how busy a card was just before they looked, and need no memory of their own.
- Like the driver's, utilisation is the share of the time in which *some* kernel ran: two loads that run at the same
  time count once.
- Times are CLOCK_MONOTONIC in ns; all numbers are 8 bytes wide, aligned, in the host's order, and written one by one:
  tests read the same file from C (``tests/fake_nvml/nvml.c``).

It is no test equipment alone: ``--simulate`` of the agent shows on a laptop what tasks and the keep-alive do to
cards, for which simulated cards (:mod:`gpu_queue.gpus.simulated`) and the keep-alive's engine ``cpu`` read and write
these loads.

``python -m gpu_queue.gpus.plant --help`` makes a load by hand.
"""

from __future__ import annotations

import argparse
import mmap
import os
import re
import secrets
import struct
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gpu_queue.locks import is_locked, try_lock
from gpu_queue.units import parse_duration_s, parse_size_bytes

KERNELS = 256
"""How many of the last kernels a file tells."""
_HEADER = struct.Struct("=QQQ")
"""Bytes held; kernels ended so far; when the one that runs began (0: none runs)."""
_SLOT_BYTES = 16
_FILE_BYTES = _HEADER.size + KERNELS * _SLOT_BYTES
_HELD, _ENDED, _SINCE, _SLOTS = range(4)
_NAME = re.compile(r"([A-Za-z0-9-]+)\.\d+\.[0-9a-f]+", re.ASCII)


class Usage(NamedTuple):
    """What the loads of one card come to."""

    held_bytes: int
    busy_share: float
    """Of the last moments, 0 to 1."""


class Load:
    """One writer's load on one card."""

    def __init__(self, directory: str, uuid: str):
        """Make its file; it counts until :meth:`close`, or until this process ends.

        Raises:
            OSError: it cannot be made.
            ValueError: a UUID that no file can be named after.
        """
        if not _NAME.fullmatch(f"{uuid}.0.0"):
            raise ValueError(f"{uuid!r} is no UUID of a simulated GPU")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = None
        while lock is None:  # a reader that looked just now took it for a dead one's
            self.path = f"{directory}/{uuid}.{os.getpid()}.{secrets.token_hex(4)}"
            lock = try_lock(self.path)
        self._lock = lock
        os.ftruncate(lock, _FILE_BYTES)
        self._memory = mmap.mmap(lock, _FILE_BYTES)
        self._numbers = memoryview(self._memory).cast("Q")

    @property
    def held_bytes(self) -> int:
        """What is held now."""
        return self._numbers[_HELD]

    def hold(self, held_bytes: int) -> None:
        """Hold so much from now on."""
        self._numbers[_HELD] = held_bytes

    def begin(self) -> None:
        """A kernel starts."""
        self._numbers[_SINCE] = time.monotonic_ns()

    def end(self) -> None:
        """It has ended."""
        begun_ns = self._numbers[_SINCE]
        if begun_ns:
            self.book(begun_ns, time.monotonic_ns())
        self._numbers[_SINCE] = 0

    def book(self, begin_ns: int, end_ns: int) -> None:
        """A kernel of known length, which may end later than now; not earlier than those before it."""
        ended = self._numbers[_ENDED]
        slot = _SLOTS + 2 * (ended % KERNELS)
        self._numbers[slot], self._numbers[slot + 1] = begin_ns, end_ns
        self._numbers[_ENDED] = ended + 1

    def close(self) -> None:
        """It is no more; what it held is free."""
        if self._lock >= 0:
            os.unlink(self.path)
            self._numbers.release()
            self._memory.close()
            os.close(self._lock)
            self._lock = -1


class Plant:
    """Reads the loads of a directory, which need not exist."""

    def __init__(self, directory: str, window_s: float = 0.5):
        """Look at a directory.

        Args:
            directory: where the loads are.
            window_s: over which utilisation is averaged.
        """
        self._directory = directory
        self._window_ns = int(window_s * 1e9)

    def read(self, now_ns: int) -> dict[str, Usage]:
        """What each card's loads come to; a card without any is not in it.

        Args:
            now_ns: ``time.monotonic_ns()``.
        """
        loads: dict[str, list[_Reading]] = {}
        for uuid, reading in self._readings():
            loads.setdefault(uuid, []).append(reading)
        return {uuid: self._usage(readings, now_ns) for uuid, readings in loads.items()}

    def is_busy(self, uuid: str, now_ns: int, besides: Load) -> bool:
        """Whether a kernel of another load runs on a card right now."""
        return any(
            begin_ns <= now_ns < end_ns
            for other, reading in self._readings(but=os.path.basename(besides.path))
            if other == uuid
            for begin_ns, end_ns in reading.kernels(now_ns + 1)
        )

    def _readings(self, but: str = "") -> Iterable[tuple[str, _Reading]]:
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None or name == but:
                continue
            reading = _read(f"{self._directory}/{name}")
            if reading is not None:
                yield match[1], reading

    def _usage(self, readings: Sequence[_Reading], now_ns: int) -> Usage:
        # What is older than the oldest kernel of a full file is not known.
        start_ns = max([now_ns - self._window_ns, *(reading.known_since_ns for reading in readings)])
        busy_ns, reached_ns = 0, start_ns
        kernels = (kernel for reading in readings for kernel in reading.kernels(now_ns) if kernel[1] > start_ns)
        for begin_ns, end_ns in sorted(kernels):
            busy_ns += max(0, min(end_ns, now_ns) - max(begin_ns, reached_ns))
            reached_ns = max(reached_ns, end_ns)
        held_bytes = sum(reading.held_bytes for reading in readings)
        return Usage(held_bytes, busy_ns / (now_ns - start_ns) if now_ns > start_ns else 0.0)


class _Reading:
    """One file, read once."""

    def __init__(self, content: bytes):
        self.held_bytes, ended, self._since_ns = _HEADER.unpack_from(content)
        pairs = list(struct.iter_unpack("=QQ", content[_HEADER.size :]))
        self._kernels: list[tuple[int, int]] = pairs[: min(ended, KERNELS)]
        self.known_since_ns = min(begin_ns for begin_ns, _ in pairs) if ended >= KERNELS else 0

    def kernels(self, now_ns: int) -> list[tuple[int, int]]:
        """The last ones with the one that runs, which ends now as far as is known."""
        return [*self._kernels, (self._since_ns, now_ns)] if self._since_ns else self._kernels


def _read(path: str) -> _Reading | None:
    """A load's file; None if nobody holds it: then it is removed."""
    try:
        if not is_locked(path):
            # Only under its lock, so that a writer who has just made it sees it go and makes another.
            lock = try_lock(path)
            if lock is not None:
                os.unlink(path)
                os.close(lock)
            return None
        with open(path, "rb") as file:
            content = file.read(_FILE_BYTES)
    except OSError:
        return None  # gone between our looks
    return _Reading(content) if len(content) == _FILE_BYTES else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one load for a while, as a task would."""
    parser = argparse.ArgumentParser(prog="python -m gpu_queue.gpus.plant", description="Load a simulated GPU.")
    parser.add_argument("--directory", required=True, help="of the loads: <node's own directory>/simulated")
    parser.add_argument("--uuid", required=True, help="of the GPU")
    parser.add_argument("--memory", default="0", type=parse_size_bytes, help="to hold, such as 10G")
    parser.add_argument("--busy", default=0.0, type=float, help="share of the time with a kernel, 0 to 1")
    parser.add_argument("--for", default="1h", type=parse_duration_s, dest="for_s", help="how long, such as 5s")
    wanted = parser.parse_args(arguments)
    load = Load(wanted.directory, wanted.uuid)
    load.hold(wanted.memory)
    period_s = 0.02
    give_up_at = time.monotonic() + wanted.for_s
    try:
        while (left_s := give_up_at - time.monotonic()) > 0:
            if wanted.busy > 0:
                load.begin()
                time.sleep(min(left_s, period_s * wanted.busy))
            if wanted.busy < 1:
                load.end()
                time.sleep(min(left_s, period_s * (1 - wanted.busy)))
    except KeyboardInterrupt:
        pass
    finally:
        load.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
