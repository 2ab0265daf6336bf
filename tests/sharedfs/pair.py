"""Two nodes on one spool, each with a mount of its own, and what people do on them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gpu_queue.spool.paths import SpoolPaths, full_name, make_id, parse_full, strip_claim
from tests.agent.harness import ROOT, wait_until
from tests.sharedfs.faults import Faults

SIDES = ("a", "b")
QUICK = {"GPU_QUEUE_POLL": "0.2s", "GPU_QUEUE_STOP_GRACE": "2s", "GPU_QUEUE_LEAVE_GRACE": "2s"}
"""Short times where it is not the times that are tried."""
FENCE_S = 20.0
TAKEOVER_S = 90.0
FENCING = {
    "GPU_QUEUE_BEAT": "2s",
    "GPU_QUEUE_FENCE_AFTER": f"{FENCE_S:.0f}s",
    "GPU_QUEUE_TAKEOVER_AFTER": f"{TAKEOVER_S:.0f}s",
}


@dataclass
class Pair:
    """One spool as two nodes and the server see it."""

    mounts: dict[str, str]
    truth: str
    """Where the same files are seen without any cache: the server's own directory."""
    scratch: Path
    """Of this machine."""
    faults: Faults
    job_id: str
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    others: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scratch.mkdir(parents=True)
        self.ran = self.scratch / "ran"
        self.ran.touch()

    # -- agents

    def start(self, side: str, *flags: str, hook: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Start the agent of a side; ``hook``: stopped before its first rename into that directory."""
        agent = self.launch(side, *flags, hook=hook, **environment)
        self.wait_for_words(side, "Serving", 60)
        return agent

    def launch(self, side: str, *flags: str, hook: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """The same without waiting until it serves."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GPU_QUEUE_", "JOB_ID"))}
        hooks = {"HOOK_DIRECTORY": hook, "HOOK_FILES": str(self.scratch / "hook")} if hook else {}
        program = ROOT / ("tests/sharedfs/hooked_agent.py" if hook else "perpetual_motion.py")
        local = self.scratch / f"local-{side}"
        local.mkdir(mode=0o700, exist_ok=True)
        with self.said_by(side).open("ab") as out:
            self.agents[side] = subprocess.Popen(
                [
                    *(sys.executable, str(program), "--job-id", self.job_id, "--queue-root", self.mounts[side]),
                    *("--node-name", side, "--local-dir", str(local), "--simulate", "2", "--no-keepalive", *flags),
                ],
                env={**kept, **hooks, "HOME": str(self.scratch), **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self.agents[side]

    def said_by(self, side: str) -> Path:
        return self.scratch / f"agent-{side}"

    def wait_for_words(self, side: str, words: str, timeout_s: float) -> None:
        said = self.said_by(side)
        wait_until(lambda: words in said.read_text(), f"{words!r} from {side}", timeout_s, said.read_text)

    # -- the client

    def client(self, side: str, command: str, **environment: str) -> subprocess.Popen[str]:
        """A command of the client, typed on a side."""
        process = subprocess.Popen(
            ["bash", "-c", f". {shlex.quote(str(ROOT / 'client.sh'))}; {command}"],
            env={**os.environ, "QUEUE_ROOT": self.mounts[side], "JOB_ID": self.job_id, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.scratch,
            start_new_session=True,
        )
        self.others.append(process)
        return process

    def gpu(self, side: str, command: str, timeout_s: float = 120.0, **environment: str) -> list[str]:
        """What a command of the client prints; it must succeed."""
        process = self.client(side, command, **environment)
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, f"{command}: status {process.returncode}\n{out}{err}"
        return out.splitlines()

    def script(self, name: str, body: str = "", gpus: int = 0) -> Path:
        """A script that first says, on this machine's own disk, that it runs, and when."""
        path = self.scratch / name
        mark = f'echo "$GPU_QUEUE_TASK $GPU_QUEUE_NODE $(date +%s.%N)" >>{shlex.quote(str(self.ran))}'
        path.write_text(f"#!/bin/sh\n#GPUQ --gpus {gpus}\n{mark}\n{body}\n")
        return path

    def publish(self, side: str, name: str) -> str:
        """Publish an empty task as the client does, but faster than a shell could; returns its id."""
        root = Path(self.mounts[side], self.job_id)
        task_id = make_id(time.time(), secrets.token_hex(3), name.encode())
        (root / "records" / f"{task_id}.json").write_text(json.dumps({"protocol": 1, "id": task_id, "name": name}))
        hidden = root / "pending" / f".{task_id}"
        hidden.write_text(self.script(name).read_text())
        hidden.rename(hidden.with_name(full_name(500, task_id)))
        return task_id

    # -- what is so

    def names(self, state: str) -> list[str]:
        """What the server has in a state's directory."""
        root = f"{self.truth}/{self.job_id}/{state}"
        if state != "running":
            return [name for name in os.listdir(root) if not name.startswith(".")]
        return [name for node in os.listdir(root) for name in os.listdir(f"{root}/{node}") if name != "node"]

    def where(self, task_id: str) -> list[str]:
        """Every state in which the server has a task."""
        found = []
        for state in ("pending", "running", "done", "failed"):
            ids = [full[1] for full in (parse_full(strip_claim(name)) for name in self.names(state)) if full]
            found += [state] * ids.count(task_id)
        return found

    def starts(self, task_id: str = "") -> list[tuple[str, str, float]]:
        """Task, node and moment of each start, by the script's own word."""
        lines = [line.split() for line in self.ran.read_text().splitlines()]
        return [
            (line[0], line[1], float(line[2])) for line in lines if len(line) == 3 and line[0].startswith(task_id)
        ]

    def wait_for(self, task_id: str, state: str, timeout_s: float) -> None:
        wait_until(lambda: self.where(task_id) == [state], f"{task_id} in {state}", timeout_s, self.dump)

    def each_ran_once(self, names: list[str]) -> str:
        """Fails unless every task ran once and is done; returns how the sides shared the work."""
        runs = Counter(task for task, _, _ in self.starts())
        ids = [name[4:] for name in names]
        wrong = {one: runs[one] for one in ids if runs[one] != 1}
        assert not wrong, f"tasks that did not run exactly once: {wrong}\n{self.dump()}"
        places = {one: self.where(one) for one in ids[:20]}
        assert all(place == ["done"] for place in places.values()), f"{places}\n{self.dump()}"
        assert sorted(self.names("done")) == sorted(names), self.dump()
        assert not self.names("pending") + self.names("running") + self.names("failed"), self.dump()
        shares = Counter(node[0] for _, node, _ in self.starts())
        return f"{len(ids)} tasks, {shares['a']} on A, {shares['b']} on B"

    def dump(self) -> str:
        """What an unlucky reader wants to see."""
        states = "\n".join(f"{state}: {self.names(state)[:20]}" for state in ("pending", "running", "done", "failed"))
        said = "\n".join(f"--- {side}\n{self.said_by(side).read_text()[-3000:]}" for side in self.agents)
        logs = sorted(Path(self.truth, self.job_id, "logs").glob("*"))[:5]
        return f"{states}\n{said}\n" + "\n".join(f"--- {log.name}\n{log.read_text()[-500:]}" for log in logs)

    def close(self) -> None:
        """End agents, clients and tasks."""
        for agent in self.agents.values():
            if agent.poll() is None:
                agent.send_signal(signal.SIGTERM)
        for agent in self.agents.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(30)
            if agent.poll() is None:
                agent.kill()
                agent.wait()
        for process in self.others:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=20)
        paths = SpoolPaths(f"{self.truth}/{self.job_id}")
        marker = f"/{os.path.basename(paths.root)}/running/".encode()
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                held = Path(f"/proc/{int(name)}/environ").read_bytes()
                if b"GPU_QUEUE_CLAIM=" in held and marker in held and str(self.scratch).encode() in held:
                    os.kill(int(name), signal.SIGKILL)


@contextmanager
def a_pair(pair: Pair) -> Iterator[Pair]:
    """Whatever happens, the filesystem is mended and nothing of it goes on."""
    try:
        yield pair
    finally:
        for side in SIDES:
            with contextlib.suppress(Exception):
                pair.faults.heal(side)
        with contextlib.suppress(Exception):
            pair.faults.go_on()
        pair.close()
