"""A try laid out in real directories, started by the real launcher."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpu_queue.execution.launcher import LaunchSpec, descriptor_path
from gpu_queue.execution.local import NodeDirectory, TryDirectory
from gpu_queue.execution.processes import find_try, read_process, send
from gpu_queue.execution.shims import SharedTimer, Shim
from gpu_queue.spool.growing import open_to_append

SHELLS = {"dash": ("/bin/dash",), "bash": ("/bin/bash", "--posix"), "busybox": ("/bin/busybox", "sh")}


def wait_until(what: Callable[[], object], within_s: float = 15.0) -> None:
    """Look until it is so; a deadline that passes fails the test."""
    give_up_at = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < give_up_at, "it did not come about"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or process.state == "Z"


@dataclass
class Bench:
    """A node's running directory, its own directory, and the tries started in them."""

    base: Path
    shell: tuple[str, ...] = ("/bin/sh",)
    name: str = field(default_factory=lambda: f"500-20260101T000000000-abcdef-train.sh.try1.{os.urandom(3).hex()}")
    """Of the claim.  Never the same twice, as in a spool: a shim knows its processes by it."""
    started: list[tuple[int, str]] = field(default_factory=list)
    logs: list[int] = field(default_factory=list)
    """Descriptors that an agent would have the storage thread close."""

    def __post_init__(self) -> None:
        self.running.mkdir(parents=True)
        (self.running / "node").touch()
        self.node = NodeDirectory.open(str(self.base / "local"))
        self.agent = self.node.agent("/spool", "node")

    @property
    def running(self) -> Path:
        return self.base / "running"

    @property
    def claim(self) -> Path:
        return self.running / self.name

    @property
    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    @property
    def directory(self) -> TryDirectory:
        return self.agent.try_directory(self.name)

    def names(self) -> list[str]:
        """What the running directory says about claims."""
        return sorted(set(os.listdir(self.running)) - {"node"})

    def spec(self, script: str, **changes: object) -> LaunchSpec:
        path = self.base / "script.sh"
        path.write_text(script)
        environment = {"PATH": os.environ["PATH"], "HOME": "/"}
        spec = LaunchSpec(
            claim_path=str(self.claim),
            try_dir=self.directory.path,
            log_path=str(changes.get("log_path") or self.open_log()),
            cwd=str(self.base),
            program=("bash", str(path)),
            environment=environment,
            beat_s=1,
            fence_s=0,
            grace_s=5,
            leave_grace_s=5,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def open_log(self) -> str:
        """The log as an agent hands it over."""
        self.logs.append(open_to_append(str(self.base / "log")))
        return descriptor_path(self.logs[-1])

    def wait_shim(self, timer: SharedTimer | None = None, shell: tuple[str, ...] = ()) -> Shim:
        """A shim that waits for its try: we are its agent."""
        common = {"PATH": os.environ["PATH"], "HOME": "/"}
        return Shim(self.directory, self.node.install_shim(), common, timer, shell or self.shell)

    def begin(self, shim: Shim, script: str, **changes: object) -> int:
        """Tell a shim to run this script; returns its pid."""
        self.claim.touch()
        spec = self.spec(script, **changes)
        shim.begin(spec)
        self.started.append((shim.pid, spec.claim_path))
        return shim.pid

    def start(self, script: str, timer: SharedTimer | None = None, **changes: object) -> int:
        """Start a try of this script."""
        return self.begin(self.wait_shim(timer), script, **changes)

    def start_orphan(self, script: str, **changes: Any) -> None:
        """Start a try whose agent dies as soon as the script begins; what the script does comes after its death."""
        script = f"until [ -e orphaned ]; do sleep 0.01; done\n{script}"
        child = os.fork()
        if child == 0:
            try:
                self.start(script, **changes)
                wait_until(self.directory.has_begun)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        (self.base / "orphaned").touch()
        self.started.append((0, str(self.claim)))

    def run(self, script: str, **changes: Any) -> int:
        """The status of a whole try."""
        return self.status(self.start(script, **changes))

    def status(self, pid: int) -> int:
        give_up_at = time.monotonic() + 20
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.started = [one for one in self.started if one[0] != pid]
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < give_up_at, f"the shim is still there; its log: {self.log}"
            time.sleep(0.005)

    def wait_for(self, name: str) -> str:
        """The content of a file that the script writes in its directory, complete with its newline."""
        path = self.base / name
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
        return path.read_text().strip()

    def close(self) -> None:
        while self.logs:
            os.close(self.logs.pop())
        for pid, claim in self.started:
            for process in find_try(claim, pid):
                send(process, signal.SIGKILL)
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except (ProcessLookupError, ChildProcessError):
                    pass


@contextmanager
def bench(base: Path, shell: str = "dash") -> Iterator[Bench]:
    one = Bench(base, SHELLS[shell])
    try:
        yield one
    finally:
        one.close()
