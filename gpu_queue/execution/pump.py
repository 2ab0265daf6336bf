"""Stands between a script and its log, where the log must not be able to end the script (``log: pump``).

::

    python pump.py PROGRAM [ARGUMENT...]

- Without it a script writes into its log itself: a full disk fails its writes, which ends many a training, and
  storage that hangs holds it.  Here it writes into a pipe that is always read; what the log takes not is dropped,
  counted, and noted in the log as soon as it takes something again.
- A program of its own, run as a file by the agent's Python with ``-I -S``; nothing of the package is imported.
- It ends as the script ends: by the same status, or by the same signal.  TERM, USR1 and USR2 are the script's to
  answer: whoever sends them to a try or to a job of Slurm sends them to all its processes.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time

PIECE_BYTES = 1 << 16
QUEUED_PIECES = 256
"""16 MiB: so much waits for storage that hangs, before output is dropped."""
REFUSED_REST_S = 0.5
"""After a write was refused the next attempt waits so long; what comes meanwhile is dropped."""
LINGER_S = 2.0
"""After the script's end: so long what it left behind may go on writing, and the log may take its time."""
NOT_OURS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Log:
    """Writes into descriptor 1 from a thread of its own, and never waits for it."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(QUEUED_PIECES)
        self._lock = threading.Lock()
        self._lost_bytes = 0
        self._why = ""
        self._rests_until = 0.0
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def take(self, piece: bytes) -> None:
        """Hand over some output."""
        try:
            self._pieces.put_nowait(piece)
        except queue.Full:
            self._lose(len(piece), "the storage did not answer")

    def close(self) -> None:
        """Write what is left, if the log takes it in time."""
        try:
            self._pieces.put(None, timeout=LINGER_S)
        except queue.Full:
            return
        self._thread.join(LINGER_S)

    def _lose(self, count: int, why: str = "") -> None:
        with self._lock:
            self._lost_bytes += count
            self._why = why or self._why

    def _write_all(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if time.monotonic() < self._rests_until or not self._note():
                self._lose(len(piece))
            else:
                self._write(piece)
        self._note()

    def _note(self) -> bool:
        """Say what was lost, if anything was; False if the log does not even take that."""
        lost_bytes = self._lost_bytes
        if not lost_bytes:
            return True
        note = f"\n==== {lost_bytes} bytes of output were lost: {self._why}\n".encode()
        if self._write(note, is_output=False):
            self._lose(-lost_bytes)
            return True
        return False

    def _write(self, piece: bytes, *, is_output: bool = True) -> bool:
        written = 0
        try:
            while written < len(piece):
                written += os.write(1, piece[written:])
        except OSError as error:
            self._lose(len(piece) - written if is_output else 0, error.strerror or str(error))
            self._rests_until = time.monotonic() + REFUSED_REST_S
            return False
        return True


def main(program: list[str]) -> int:
    """Run a program with its output pumped; returns its status, or ends by its signal."""
    for number in NOT_OURS:
        signal.signal(number, signal.SIG_IGN)
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(program, stdout=writing, stderr=writing, preexec_fn=_as_before)  # noqa: PLW1509
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
        return 126 if isinstance(error, PermissionError) else 127
    finally:
        os.close(writing)
    log = Log()
    pump = threading.Thread(target=_pump, args=(reading, log), daemon=True)
    pump.start()
    status = child.wait()
    pump.join(LINGER_S)
    log.close()
    if status < 0:
        _end_by(-status)
    return status if status >= 0 else 128 - status


def _as_before() -> None:
    for number in NOT_OURS:
        signal.signal(number, signal.SIG_DFL)


def _pump(reading: int, log: Log) -> None:
    while piece := os.read(reading, PIECE_BYTES):
        log.take(piece)


def _end_by(number: int) -> None:
    """End by the signal that ended the script, so that the shim sees the same."""
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.stdout = sys.stderr = None  # they would flush into a full disk at the end
    os._exit(main(sys.argv[1:]))
