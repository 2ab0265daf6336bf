"""Calls a way as submit.sh and an agent do."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "gpu_queue" / "ways"
GOLDEN = Path(__file__).resolve().parent / "golden"
NONCE = "00000000c0de"
STRANGE = "it's a 试验 \"x\\y $(touch pwned) $HOME `touch pwned`"
"""A JOB_ID that stays what it is, through whatever it is handed."""

SHORT = (
    '#!/bin/bash\nwhile [[ $1 == -* ]]; do [[ $1 == -k ]] && shift; shift; done\nexec /usr/bin/timeout 1 "${@:2}"\n'
)
"""A ``timeout`` that has no patience."""


@dataclass
class Way:
    """A way, and the environment in which it is called."""

    file: Path
    directory: Path
    """Of one submission: its start script, its request."""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "GQ_LIB": str(OURS / "lib.sh"),
            **self.of("train-exp1"),
            **self.env,
        }

    def of(self, job_id: str, nonce: str = NONCE) -> dict[str, str]:
        """What submit.sh says of a submission."""
        return {
            "GQ_JOB_ID": job_id,
            "GQ_NAME": f"alice-{job_id}",
            "GQ_NONCE": nonce,
            "GQ_GPUS": "2",
            "GQ_NODES": "1",
            "GQ_SECONDS": "86400",
            "GQ_START": f"{self.directory}/start-{nonce}.sh",
            "GQ_LOG_DIR": str(self.directory),
            "GQ_AFTER": "",
        }

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.file, *words],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, *words: str, **env: str) -> str:
        done = self.call(*words, **env)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def refusal(self, *words: str, **env: str) -> str:
        """What it says to a setting that is wrong."""
        done = self.call(*words, **env)
        assert (done.returncode, done.stdout) == (100, ""), (words, done.returncode, done.stdout, done.stderr)
        return done.stderr

    def submit(self, **env: str) -> subprocess.CompletedProcess[str]:
        request = self.directory / "request"
        request.write_text(self.ok("render", **env), encoding="utf-8")
        return self.call("submit", str(request), **env)

    def states(self, *words: str, **env: str) -> dict[str, list[str]]:
        """The lines of an answer by their ids: word, raw, nonce, name."""
        lines = [line.split("\t") for line in self.ok("states", *words, **env).splitlines()]
        assert all(len(line) == 5 for line in lines), lines
        return {line[0]: line[1:] for line in lines}

    def use(self, program: str, text: str) -> None:
        """Put a program of the test's in front of the machine's."""
        there = self.directory / "bin"
        there.mkdir(exist_ok=True)
        (there / program).write_text(text)
        (there / program).chmod(0o755)
        if not self.env["PATH"].startswith(f"{there}:"):
            self.env["PATH"] = f"{there}:{self.env['PATH']}"


def golden(name: str, text: str) -> None:
    """What a way prints is what it printed; rewrite the file where it is to be otherwise."""
    there = GOLDEN / name
    if os.environ.get("WRITE_GOLDEN"):
        there.write_text(text, encoding="utf-8")
    assert text == there.read_text(encoding="utf-8"), f"{there}: WRITE_GOLDEN=1 writes it anew"
