"""A console as its user has it: a process on a free port, over a directory of queues, with a token of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from gpu_queue import Spool
from tests.agent.harness import ROOT
from tests.console import forks
from tests.console.forks import MAIN, Fork


@dataclass
class Served:
    """A console that answers."""

    process: subprocess.Popen[bytes] | Fork
    address: str
    """With a slash at its end."""
    token: str
    queue_root: Path
    home: Path
    output: Path
    """What it wrote to stderr."""

    @property
    def port(self) -> int:
        found = urlsplit(self.address).port
        assert found is not None
        return found

    @property
    def link(self) -> str:
        return f"{self.address}#token={self.token}"

    def spool(self, job_id: str = "exp") -> Spool:
        return Spool(job_id, self.queue_root)

    def ask(self, method: str, path: str, *, token: str | None = "full", **more: Any) -> httpx.Response:
        """A request, with the token unless told otherwise (None: without; else what is shown)."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {self.token if token == 'full' else token}"
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.request(method, f"{self.address}{path.lstrip('/')}", headers=headers, **more)

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def end(self) -> int:
        """Ask it to end; its status."""
        self.process.terminate()
        return self.process.wait(20)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a user with this home directory, who has set nothing."""
    dropped = ("GPU_QUEUE_", "JOB_ID", "QUEUE_ROOT", "XDG_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **more}


@contextlib.contextmanager
def a_console(
    base: Path, *flags: str, queue_root: Path | None = None, by_hand: bool = False, before: str = "", **more: str
) -> Iterator[Served]:
    """Start one with these flags, on a free port unless they name one.

    Args:
        base: a directory for its home, its output and its queues.
        flags: of ``gpu-queue console``.
        queue_root: of its queues; None: below the base, with nothing in it.
        by_hand: start a Python for it, as its user does; else it is forked from one that has imported the console.
        before: Python that one that is forked runs before its program.
        more: of its environment.
    """
    home, root = base / "home", queue_root or base / "queues"
    home.mkdir(exist_ok=True)
    root.mkdir(exist_ok=True)
    output = base / "console.err"
    port = () if any(one.startswith("--port") for one in flags) else ("--port", "0")
    words = ["--queue-root", str(root), *port, *flags]
    told, tells = os.pipe()
    process: subprocess.Popen[bytes] | Fork
    with open(told, encoding="utf-8") as said:
        try:
            with output.open("w") as errors:
                if by_hand:
                    process = subprocess.Popen(
                        [sys.executable, MAIN, *words],
                        env=environment(home, **more),
                        cwd="/",
                        stdin=subprocess.DEVNULL,
                        stdout=tells,
                        stderr=errors,
                    )
                else:
                    process = forks.start(words, environment(home, **more), tells, errors.fileno(), before)
        finally:
            os.close(tells)
        try:
            link = said.readline().strip()
            address, _, token = link.partition("#token=")
            assert token, f"it did not start: {output.read_text()}"
            yield Served(process, address, token, root, home, output)
        finally:
            process.kill()
            process.wait()
