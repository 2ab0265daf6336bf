"""SCO ACP as the stand-in has it, and the way to it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
WAY = PROJECT / "gpu_queue/ways/sco"
NONCE = "0123456789ab"
OTHER_NONCE = "ba9876543210"


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """The first true value of a condition; fails with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)  # the pace of looking, not of the test
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}")


@dataclass(frozen=True)
class Said:
    """What a program said, and its status."""

    status: int
    out: str
    err: str


@dataclass
class Platform:
    """A workspace of SCO ACP, and somebody's shell before it."""

    base: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.base / "acp"

    def run(self, words: list[str], env: dict[str, str], stdin: str = "") -> Said:
        done = subprocess.run(
            words,
            env={**self.env, **env},
            cwd=self.base,
            check=False,
            capture_output=True,
            text=True,
            timeout=50,
            input=stdin,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def sco(self, *words: str, **env: str) -> Said:
        """``sco acp jobs …`` as a person types it, in the workspace of the document."""
        return self.run(["sco", "acp", "jobs", words[0], "--workspace-name=share-space", *words[1:]], env)

    def way(self, *words: str, **env: str) -> Said:
        return self.run([str(WAY), *words], env)

    def submit(self, name: str = "ydj-train-exp1", nonce: str = NONCE, nodes: int = 1, **env: str) -> Said:
        """Render and submit a job that runs ``start``."""
        env = self.request(name, nonce, nodes) | env
        rendered = self.way("render", **env)
        assert rendered.status == 0, rendered
        file = self.base / f"request-{nonce}"
        file.write_text(rendered.out)
        return self.way("submit", str(file), **env)

    def request(self, name: str = "ydj-train-exp1", nonce: str = NONCE, nodes: int = 1) -> dict[str, str]:
        return {"GQ_NAME": name, "GQ_NONCE": nonce, "GQ_NODES": str(nodes), "GQ_START": self.start(nonce)}

    def start(self, nonce: str = NONCE, text: str = "") -> str:
        """A start script; without a text it waits until it is told to go on."""
        path = self.base / f"start-{nonce}.sh"
        if text or not path.exists():
            path.write_text(text or f"until [ -e '{self.base}/go' ]; do sleep 0.1; done\n")
        return str(path)

    def jobs(self) -> list[dict[str, Any]]:
        said = self.sco("list", "--page-size", "500", "-o", "json", SCO_STAND_IN_MODE="")
        assert said.status == 0, said
        found: list[dict[str, Any]] = [] if said.out == "No jobs found\n" else json.loads(said.out)
        return found

    def calls(self, verb: str) -> list[list[str]]:
        """The arguments of each call with this verb, of the way and of us."""
        try:
            lines = (self.home / "calls").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        calls: list[list[str]] = [json.loads(line) for line in lines]
        return [call for call in calls if call[2:3] == [verb]]

    def place(self, number: int, name: str, state: str = "RUNNING", script: str = "sleep inf") -> str:
        """Put a job there of which the platform says this for ever; much cheaper than a call.  Returns its id."""
        job = {
            "name": f"pt-{number:08x}",
            "display_name": name,
            "create_time": f"2026-11-29T18:00:{number:02}Z",
            "ownership": {"user_name": "bob"},
            "roles": [{"startup_script": script, "total_replicas": 0}],
            "stand_in": {"state": state, "began": 0, "start_s": 0, "is_contained": False},
        }
        (self.home / "jobs").mkdir(parents=True, exist_ok=True)
        (self.home / f"jobs/{job['name']}.json").write_text(json.dumps(job), encoding="utf-8")
        return str(job["name"])

    def fix(self, job: str, state: str, **more: Any) -> None:
        """Let the platform say this state of the job from now on."""
        path = self.home / "jobs" / f"{job}.json"
        known = json.loads(path.read_text(encoding="utf-8")) | more
        known["stand_in"]["state"] = state
        path.write_text(json.dumps(known), encoding="utf-8")

    def wait_for(self, state: str, timeout_s: float = 30.0) -> None:
        wait_until(lambda: [job["state"] for job in self.jobs()] == [state], f"one job that is {state}", timeout_s)

    def programs(self, word: str) -> list[int]:
        """Processes of this platform with that word among their arguments."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if word in words and f"{HERE}/stand_in.py" in map(os.path.realpath, words):
                    environment = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                    found += [int(entry)] if f"SCO_STAND_IN={self.home}".encode() in environment else []
            except OSError:
                continue  # it has just ended
        return found

    def power_off(self) -> None:
        """End all that runs on the platform, at once."""
        self.home.mkdir(exist_ok=True)
        (self.home / "off").touch()
        wait_until(lambda: not self.programs("--hold"), "the platform's machines to be off")
