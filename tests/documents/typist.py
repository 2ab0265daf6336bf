"""Types the commands of the documents, as they stand there, into a real bash in a copy of examples/documents."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.agent.harness import QUICK, ROOT

EXAMPLES = ROOT / "examples/documents"
PYTHON = """#!/usr/bin/env bash
# As the documents have it; of each training it is noted when it begins and ends, and some are made to fail.
[[ ${{1-}} == test.py ]] || exec {python} "$@"
echo "begin $*" >>{told}
status=1
if grep -qxF -- "$*" {fails} 2>/dev/null; then echo "RuntimeError: no luck"; else {python} "$@"; status=$?; fi
echo "end $*" >>{told}
exit "$status"
"""


class Typist:
    """Somebody in front of a shared server, whose GPUs are simulated."""

    def __init__(self, base: Path, simulate: str) -> None:
        self.base = base
        self.project = base / "project"
        shutil.copytree(EXAMPLES, self.project, symlinks=True, ignore=shutil.ignore_patterns("logs", ".gpu-queue"))
        (base / "gpu_queue").symlink_to(ROOT / "gpu_queue")
        self.told = base / "told"
        self.fails = base / "fails"
        self.others = base / "others.json"
        words = {"python": sys.executable, "told": self.told, "fails": self.fails}
        for name in ("python", "python3"):
            program = base / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(PYTHON.format(**{key: shlex.quote(str(value)) for key, value in words.items()}))
            program.chmod(0o755)
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GPU_QUEUE_", "MIN_", "MAX_"))
        }
        for name in ("JOB_ID", "QUEUE_ROOT", "CUDA_VISIBLE_DEVICES", "PYTHON"):
            kept.pop(name, None)
        self.environment = {
            **kept,
            **QUICK,
            "HOME": str(base),
            "PATH": f"{base}/bin{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ROUND_SECONDS": "0",
            "GPU_QUEUE_SIMULATE": simulate,
            "GPU_QUEUE_SIMULATE_FILE": str(self.others),
            "GPU_QUEUE_LOCAL_DIR": str(base / "local"),
        }

    def types(self, text: str, at: str = "", status: int = 0, **more: str) -> str:
        """What a bash says to these lines, which end with this status."""
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.project / at,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def ran(self) -> list[str]:
        """The trainings that began, in their order, as they were typed."""
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [line.removeprefix("begin ") for line in lines if line.startswith("begin ")]

    def at_once(self) -> int:
        """How many trainings ran at one time, at most."""
        running: Counter[str] = Counter()
        most = 0
        for line in self.told.read_text().splitlines():
            word, _, which = line.partition(" ")
            running[which] += 1 if word == "begin" else -1
            most = max(most, running.total())
        return most

    def forgets(self) -> None:
        """From now on trainings are counted anew."""
        self.told.unlink(missing_ok=True)


@contextlib.contextmanager
def a_typist(base: Path, simulate: str) -> Iterator[Typist]:
    """Somebody of whom nothing is left running in the end."""
    base.mkdir()
    try:
        yield Typist(base, simulate)
    finally:
        end_s = time.monotonic() + 10
        while (left := _left(base)) and time.monotonic() < end_s:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _left(base: Path) -> list[int]:
    """Processes that serve a queue below here."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.fsencode(base) in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return [pid for pid in found if pid != os.getpid()]
