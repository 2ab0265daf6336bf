"""A machine on which submit.sh is called, with a stand-in for the agent."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MOON_WAY = (HERE / "moon.sh").read_text()
"""A way to a cluster that is a directory of files, as somebody may have written it for himself."""
AT_WORK = '[ -z "${WAITS:-}" ] || { touch "$MOON/../begun"; until [ -e "$MOON/../go" ]; do sleep 0.1; done; }'
"""A line for that way by which it waits where ``WAITS`` is set, until there is a file ``go``."""
PROJECT = HERE.parents[1]


@dataclass
class Machine:
    """A machine on which submit.sh is called."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    script: Path = PROJECT / "submit.sh"

    def submit(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", self.script, *words],
            env={**self.env, **env},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def on_a_terminal(self, *words: str, **env: str) -> str:
        """What a person sees."""
        ours, theirs = pty.openpty()
        calling = subprocess.Popen(["bash", self.script, *words], env={**self.env, **env}, stdout=theirs)
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux tells the end of a terminal
                break
            said += piece
        os.close(ours)
        assert calling.wait() == 0
        return said.decode().replace("\r\n", "\n")

    def dry_run(self, *words: str, **env: str) -> str:
        done = self.submit(*words, "--dry-run", **env)
        assert done.returncode == 0, done.stderr
        assert not (self.root / "facts").exists()
        return done.stdout

    def own_way(self, name: str, text: str) -> Path:
        """A way as a stranger writes it."""
        path = self.root / "home" / ".config" / "gpu-queue" / "ways" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(f"#!/bin/bash\n{text}")
        path.chmod(0o755)
        return path

    def allocations(self, job_id: str = "exp1") -> list[Path]:
        """The directories of what was submitted, by age."""
        return sorted((self.root / "home" / "gpu_queue" / job_id / "allocations").glob("2*"))

    def refusal(self, *words: str, **env: str) -> str:
        done = self.submit(*words, **env)
        assert (done.returncode, done.stdout) == (100, "")
        assert not (self.root / "facts").exists()
        return done.stderr

    @property
    def agent(self) -> dict[str, Any]:
        """How the stand-in was started."""
        facts: dict[str, Any] = json.loads((self.root / "facts").read_text())
        return facts

    @property
    def log(self) -> Path:
        return self.root / "state" / "gpu-queue" / "exp1.log"
