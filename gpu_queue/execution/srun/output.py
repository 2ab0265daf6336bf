"""Where the ranks of a step write to, and what they read."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Mapping

from gpu_queue.execution.srun.step import Refused, Step


def say(text: str) -> None:
    """Tell people."""
    _write(2, f"srun: {text}\n".encode("utf-8", "surrogateescape"))


def path_of(pattern: str, environment: Mapping[str, str], number: int, rank: int) -> str:
    """A file's name by srun's signs: ``%t`` the rank, ``%j`` the job and so on."""
    job = environment.get("SLURM_JOB_ID", "0")
    host = environment.get("SLURMD_NODENAME") or socket.gethostname()
    known = {
        "%": "%",
        "A": environment.get("SLURM_ARRAY_JOB_ID", job),
        "a": environment.get("SLURM_ARRAY_TASK_ID", "4294967294"),
        "J": f"{job}.{number}",
        "j": job,
        "N": host.partition(".")[0],
        "n": "0",
        "s": str(number),
        "t": str(rank),
        "u": environment.get("USER", str(os.getuid())),
        "x": environment.get("SLURM_JOB_NAME", "job"),
    }

    def put(match: re.Match[str]) -> str:
        value = known.get(match[2])
        if value is None:
            return match[0]
        return value.zfill(min(int(match[1]), 10)) if match[1] and value.isdigit() else value

    return re.sub(r"%([0-9]*)(.)", put, pattern, flags=re.DOTALL)


class Outputs:
    """Where the ranks write to; a file of many is opened once."""

    def __init__(self, step: Step, environment: Mapping[str, str], number: int) -> None:
        self._environment = environment
        self._number = number
        self._append = step.given.get("open-mode", "t").startswith("a")
        self._opened: dict[str, int] = {}

    def descriptor(self, pattern: str | None, rank: int, otherwise: int) -> int:
        """What a rank gets in the place of ours."""
        if pattern is None or pattern in ("all", ""):
            return otherwise
        if pattern.isdigit():
            return otherwise if int(pattern) == rank else self._open("/dev/null")
        return self._open(
            "/dev/null" if pattern == "none" else path_of(pattern, self._environment, self._number, rank)
        )

    def _open(self, path: str) -> int:
        if path not in self._opened:
            mode = os.O_APPEND if self._append else os.O_TRUNC
            try:
                self._opened[path] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o666)
            except OSError as error:
                raise Refused(f"cannot write {path}: {error.strerror}") from None
        return self._opened[path]


class Labels:
    """Puts the rank before each line (``--label``)."""

    def __init__(self, ranks: int) -> None:
        self._width = len(str(ranks - 1))
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def pipe(self, rank: int, to: int) -> int:
        """The end that a rank writes to."""
        reading, writing = os.pipe()
        thread = threading.Thread(
            target=self._copy, args=(reading, to, f"{rank:>{self._width}}: ".encode()), daemon=True
        )
        self._threads.append(thread)
        return writing

    def begin(self) -> None:
        """Copy, when all ranks have been started: what is forked has no threads."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Wait for what was written; whoever holds a pipe beyond its rank is not waited for."""
        deadline = time.monotonic() + 1.0
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _copy(self, reading: int, to: int, label: bytes) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                with self._lock:
                    _write(to, label + line if line.endswith(b"\n") else label + line + b"\n")


def _write(descriptor: int, content: bytes) -> None:
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except OSError:
        pass  # a full disk takes no words, and ends no training
