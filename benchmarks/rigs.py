"""What is measured, ready to be used: an agent and its spool, a running bash, tsp, a FIFO as a stopwatch."""

from __future__ import annotations

import json
import os
import secrets
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine import ROOT

from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths, make_id
from gpu_queue.task import State

PATIENCE_S = 60.0
QUIET_S = 0.6
"""After a task the agent writes its node file once more; then it is idle."""


def wait_until(
    condition: Callable[[], bool], what: str, every_s: float = 0.005, patience_s: float = PATIENCE_S
) -> None:
    """Poll; a benchmark that hangs says for what it waited."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:.0f} s in vain for {what}")
        time.sleep(every_s)


class Stopwatch:
    """A FIFO: a script's first line writes into it, and the reader takes the time.

    It is open for writing here as well, so a script never waits for a reader.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def read(self) -> float:
        """The moment (seconds since 1970) at which the next line came."""
        return self._next()[0]

    def read_each(self, count: int) -> list[float]:
        """The moments at which so many lines came."""
        moments: list[float] = []
        while len(moments) < count:
            now, content = self._next()
            moments += [now] * content.count(b"\n")
        return moments

    def _next(self) -> tuple[float, bytes]:
        ready, _, _ = select.select([self.descriptor], [], [], PATIENCE_S)
        now = time.time()
        if not ready:
            raise TimeoutError("a script did not start")
        return now, os.read(self.descriptor, 4096)

    def release(self) -> None:
        """Let a script go on that reads a line from this FIFO."""
        os.write(self.descriptor, b"\n")

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True)
class Called:
    """When a command was called and when it returned, by the shell's own clock."""

    begun: float
    ended: float

    @property
    def took_s(self) -> float:
        return self.ended - self.begun


class Shell:
    """A running bash that has sourced client.sh, as a user has one before him."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.call(f"source {shlex.quote(str(ROOT / 'client.sh'))}")

    def begin(self, command: str) -> None:
        """Hand in a command; :meth:`end` fetches when it was called and when it returned."""
        assert self._process.stdin is not None
        self._process.stdin.write(
            f'q_a=$EPOCHREALTIME; {command} >/dev/null 2>&1; q_s=$? q_b=$EPOCHREALTIME; echo "$q_a $q_b $q_s"\n'
        )
        self._process.stdin.flush()

    def end(self) -> Called:
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if len(words) != 3 or words[2] != "0":
            raise RuntimeError(f"bash said {' '.join(words)!r}; a bash of 5.0 or newer is needed")
        return Called(float(words[0]), float(words[1]))

    def call(self, command: str) -> Called:
        self.begin(command)
        return self.end()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)


class Spool:
    """One spool, filled without an agent."""

    def __init__(self, base: Path, job_id: str) -> None:
        self.job_id = job_id
        self.queue_root = base / "queue"
        self.paths = SpoolPaths(str(self.queue_root / job_id))
        previous = os.umask(0o077)
        make_spool(self.paths)
        os.umask(previous)

    def prepare(self, script: str, **needs: object) -> tuple[str, str]:
        """Write record and script; returns the path that is to be renamed, and the path in pending/."""
        task_id = make_id(time.time(), secrets.token_hex(3), b"task.sh")
        record = {"protocol": 1, "id": task_id, "name": "task.sh", "cwd": "/", "needs": needs}
        Path(self.paths.record(task_id)).write_text(json.dumps(record) + "\n", encoding="utf-8")
        pending = self.paths.directory(State.PENDING)
        hidden = f"{pending}/.{task_id}"
        Path(hidden).write_text(script, encoding="utf-8")
        return hidden, f"{pending}/500-{task_id}"

    def count(self, state: State) -> int:
        return len(os.listdir(self.paths.directory(state)))

    @property
    def running(self) -> Path:
        """The directory of the one node that serves it."""
        return next(Path(self.paths.directory(State.RUNNING)).iterdir())

    def claims(self) -> list[Path]:
        return [path for path in self.running.iterdir() if path.name != "node"]


class Agent:
    """An agent with simulated GPUs on a spool."""

    def __init__(self, base: Path, spool: Spool, simulate: str = "2", node: str = "") -> None:
        self.spool = spool
        self.local = base / f"local{node}"
        self._before = set(os.listdir(spool.paths.nodes))
        # fmt: off
        self._process = subprocess.Popen(
            [
                sys.executable, str(ROOT / "perpetual_motion.py"), "--job-id", spool.job_id,
                "--queue-root", str(spool.queue_root), "--local-dir", str(self.local),
                "--simulate", simulate, "--no-keepalive", "--lifetime", "never",
                *(("--node-name", node) if node else ()),
            ],
            env=environment(base), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        # fmt: on
        wait_until(self._is_present, "the agent's first node file")
        time.sleep(1.0)  # the file events are being set up

    def _is_present(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("the agent did not start")
        return any(name.endswith(".json") for name in set(os.listdir(self.spool.paths.nodes)) - self._before)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_settled(self, count: int) -> None:
        """Wait until so many tasks have been settled."""
        wait_until(lambda: self.spool.count(State.DONE) + self.spool.count(State.FAILED) >= count, "settled tasks")

    def close(self) -> None:
        end(self._process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End an agent, by force if it does not go."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def environment(base: Path) -> dict[str, str]:
    """Ours without what would steer an agent or a client."""
    dropped = ("GPU_QUEUE_", "JOB_ID", "QUEUE_ROOT", "CUDA_VISIBLE_DEVICES", "TS_", "AUTO_SHUTDOWN")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "HOME": str(base),
        "TMPDIR": str(base),
        "QUEUE_ROOT": str(base / "queue"),
        "TS_SOCKET": str(base / "tsp.socket"),
        "TS_MAXFINISHED": "10",
    }


TSP = shutil.which("tsp") or shutil.which("task-spooler")
NO_TSP = "tsp is not here, so nothing is compared with it: apt-get install task-spooler"


@contextmanager
def task_spooler(base: Path, slots: int) -> Iterator[Callable[..., None]]:
    """A server of its own, idle; yields a call of its client."""
    assert TSP is not None
    program, env = TSP, environment(base)

    def client(*arguments: str) -> None:
        subprocess.run([program, *arguments], env=env, stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE_S)

    client("-S", str(slots))
    try:
        yield client
    finally:
        client("-K")
