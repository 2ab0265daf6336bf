"""A directory with an experiment file, and who types ``gpu-queue run`` in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpu_queue.execution.processes import pids, read_process
from gpu_queue.experiments.running.place import own_spool
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.spool import Spool
from tests.agent.harness import QUICK, ROOT, wait_until

CTRL_C = b"\x03"
WITHIN_S = 90.0


class Typed:
    """One ``gpu-queue run``, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, master: int | None = None) -> None:
        self.process = process
        self._output = output
        self._master = master
        self._seen = ""

    @property
    def said(self) -> str:
        if self._master is None:
            return self._output.read_text()
        with contextlib.suppress(OSError):  # its other end is closed
            while select.select([self._master], [], [], 0)[0] and (piece := os.read(self._master, 65536)):
                self._seen += piece.decode(errors="replace")
        return self._seen

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said, repr(text), WITHIN_S, lambda: self.said)

    def press(self, keys: bytes) -> None:
        assert self._master is not None
        os.write(self._master, keys)

    def status(self) -> int:
        """Its exit status, when it has ended."""
        wait_until(lambda: (self.said, self.process.poll())[1] is not None, "its end", WITHIN_S, lambda: self.said)
        return self.process.returncode

    def kill(self) -> None:
        """As the OOM killer does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        if self._master is not None:
            os.close(self._master)


class Lab:
    """The directory; what its runs do they note in ``ran``, and they wait for ``gate`` where they say so."""

    def __init__(self, base: Path, text: str, name: str = "jobs.yaml") -> None:
        self.base = base
        self.file = base / name
        self.file.write_text(text)
        self.local = base / "local"
        self.more: dict[str, str] = {}
        self._typed: list[Typed] = []

    @property
    def paths(self) -> SpoolPaths:
        return own_spool(str(self.file))

    @property
    def spool(self) -> Spool:
        return Spool(os.path.basename(self.paths.root), os.path.dirname(self.paths.root))

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GPU_QUEUE_", "JOB_ID"))}
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        return {**kept, "HOME": str(self.base), "PYTHONPATH": str(ROOT), "TERM": "dumb", **QUICK, **self.more}

    def type(self, *words: str, simulate: str = "4", terminal: bool = False) -> Typed:
        """Begin ``gpu-queue run``."""
        program = [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())", "run"]
        devices = [f"--simulate={simulate}"] if simulate else []
        given = [self.file.name, f"--local-dir={self.local}", *devices, *words]
        output = self.base / f"said.{len(self._typed)}"
        master, slave = pty.openpty() if terminal else (None, None)
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*program, *given],
                cwd=self.base,
                env=self.environment(),
                stdin=subprocess.DEVNULL if slave is None else slave,
                stdout=file if slave is None else slave,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=None if slave is None else _take_terminal,  # noqa: PLW1509  there are no threads
            )
        if slave is not None:
            os.close(slave)
        typed = Typed(process, output, master)
        self._typed.append(typed)
        return typed

    def run(self, *words: str, simulate: str = "4") -> tuple[int, str]:
        """Its status and what it says, when it has ended."""
        typed = self.type(*words, simulate=simulate)
        return typed.status(), typed.said

    @property
    def ran(self) -> Counter[str]:
        """How often what has run."""
        path = self.base / "ran"
        return Counter(path.read_text().split() if path.exists() else ())

    def open_gate(self) -> None:
        (self.base / "gate").touch()

    def pages(self) -> Mapping[int, Any]:
        """What the agents tell that live, by their pids."""
        pages = [one.page for one in self.spool.snapshot().nodes if one.page is not None]
        return {page.pid: page for page in pages if os.path.exists(f"/proc/{page.pid}") and page.state != "stopped"}

    def agent(self) -> int:
        """The pid of the agent, when there is one."""
        return int(wait_until(lambda: os.path.exists(self.paths.protocol) and [*self.pages()], "an agent")[0])

    def wait_for_agents_to_end(self) -> None:
        wait_until(lambda: not self.pages(), "the end of the agent", WITHIN_S, self.agent_said)

    def agent_said(self) -> str:
        path = Path(self.paths.agent_output)
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for typed in self._typed:
            typed.close()
        needle = os.fsencode(str(self.base))
        give_up_at = time.monotonic() + 10.0
        while (left := self._processes(needle)) and time.monotonic() < give_up_at:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _processes(self, needle: bytes) -> list[int]:
        found = []
        for one in filter(None, map(read_process, pids())):
            with contextlib.suppress(OSError):
                words = [Path(f"/proc/{one.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
                if one.pid != os.getpid() and one.state != "Z" and any(needle in word for word in words):
                    found.append(one.pid)
        return found


def _take_terminal() -> None:
    """Let Ctrl-C in it be heard by us, as in a shell's foreground."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def a_lab(base: Path, text: str, name: str = "jobs.yaml") -> Iterator[Lab]:
    """One whose processes are gone afterwards."""
    lab = Lab(base, text, name)
    try:
        yield lab
    finally:
        lab.close()
