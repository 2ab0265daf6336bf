"""Two keep-alives from PyPI, installed beside the Python that runs, without touching it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from keepalive_rig import NotMeasured

_PINNED = ("keep-gpu==1.0.0", "gpu-keepalive==0.1.2")
_THEIRS = ("typer", "rich")
_INSTALL_S = 60.0


class Installation:
    """Both, and what they need beyond torch and NVML, in a directory of this run; made while others measure."""

    def __init__(self, base: Path) -> None:
        self.directory = base / "peers"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        pip += ["--retries", "0", "--timeout", "8", "--target", str(self.directory)]
        # Without their dependencies: --target does not see an installed torch, and would fetch another.
        both = [[*pip, "--no-deps", *_PINNED], [*pip, *_THEIRS]]
        self._output = base / "peers.out"
        with self._output.open("wb") as output:
            self._processes = [
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) for command in both
            ]

    def wait(self) -> None:
        """Until it is there.

        Raises:
            NotMeasured: it cannot be had.
        """
        give_up_at = time.monotonic() + _INSTALL_S
        for process in self._processes:
            try:
                status = process.wait(max(0.1, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                status = None
            if status != 0:
                said = self._output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise NotMeasured(f"pip could not install them: {said[-1] if said else 'no answer in time'}"[:300])

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
