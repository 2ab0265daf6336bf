"""A real agent on a spool of its own, and what people do with it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths, make_id, parse_claim, parse_full, strip_claim

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "GPU_QUEUE_SETTLE": "0.2s",
    "GPU_QUEUE_SETTLE_UNFINISHED": "0.6s",
    "GPU_QUEUE_POLL": "0.1s",
    "GPU_QUEUE_STOP_GRACE": "2s",
    "GPU_QUEUE_LEAVE_GRACE": "2s",
    "GPU_QUEUE_RETRY_DELAY": "0.2s",
    "GPU_QUEUE_KEEPALIVE_QUIET_BEFORE": "0s",
}
"""Short times, so that tests need not wait for people's ones."""


def wait_until(
    condition: Callable[[], Any], what: str, timeout_s: float = 40.0, dump: Callable[[], str] = str
) -> Any:
    """The first true value of a condition; fails with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)  # the pace of looking, not of the test
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}\n{dump()}")


def put(path: str | Path, text: str) -> None:
    """Make a file appear whole, as the protocol demands of all that agents read: by a rename."""
    hidden = Path(path).with_name(f".{secrets.token_hex(6)}")
    hidden.write_text(text)
    hidden.rename(path)


def _read(path: str) -> bytes:
    """Without what pathlib and io add: all processes of the machine are looked at, and again and again."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 17):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


class Cluster:
    """One spool and the agents that serve it."""

    def __init__(self, base: Path, job_id: str = "exp") -> None:
        self.base = base
        self.queue_root = base / "queue root"
        self.job_id = job_id
        self.paths = SpoolPaths(str(self.queue_root / job_id))
        self.local = base / "local"
        self.agents: list[subprocess.Popen[bytes]] = []
        self.output = base / "agent.out"
        self._stamp = 0.0
        previous = os.umask(0o077)
        make_spool(self.paths)
        os.umask(previous)

    # -- agents

    def command(self, *flags: str, simulate: str | None = "2") -> list[str]:
        given = ["--simulate", simulate] if simulate else []
        return [
            sys.executable,
            str(ROOT / "perpetual_motion.py"),
            *("--job-id", self.job_id, "--queue-root", str(self.queue_root), "--local-dir", str(self.local)),
            *given,
            *flags,
        ]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GPU_QUEUE_", "JOB_ID"))}
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        return {**kept, "HOME": str(self.base), **QUICK, **more}

    def start(
        self,
        *flags: str,
        simulate: str | None = "2",
        keepalive: bool = False,
        torch: bool = False,
        wait: bool = True,
        env: dict[str, str] | None = None,
        **more: str,
    ) -> subprocess.Popen[bytes]:
        """Start an agent; returns when it has looked around.

        ``torch``: its keep-alive imports the real one, which the engine of the tests has no use for.
        """
        more = {**(env or {}), **more}
        if keepalive and not torch and "GPU_QUEUE_KEEPALIVE_PYTHON" not in more:
            more.setdefault("PYTHONPATH", str(ROOT / "tests/keepalive/without"))
        with self.output.open("ab") as out:
            agent = subprocess.Popen(
                self.command(*flags, *(() if keepalive else ("--no-keepalive",)), simulate=simulate),
                env=self.environment(**more),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.agents.append(agent)
        if wait:
            pid = agent.pid
            wait_until(
                lambda: agent.poll() is not None or any(node.get("pid") == pid for node in self.nodes()),
                "the agent's first node file",
                dump=self.dump,
            )
            assert agent.poll() is None, self.dump()
        return agent

    def held_back(self) -> dict[str, str]:
        """An environment in which an agent stands still while it starts, until there is a file ``go on``."""
        modules = self.base / "modules"
        modules.mkdir()
        (modules / "yaml.py").write_text(
            f"import os, sys, time\nwhile not os.path.exists({str(self.base / 'go on')!r}):\n    time.sleep(0.01)\n"
            f"sys.path.remove({str(modules)!r})\ndel sys.modules['yaml']\nimport yaml\n"
        )
        return {"PYTHONPATH": str(modules)}

    def kill(self, agent: subprocess.Popen[bytes]) -> None:
        """As the OOM killer does."""
        agent.send_signal(signal.SIGKILL)
        agent.wait()

    def close(self) -> None:
        """End everything that was started, tasks as well."""
        for agent in self.agents:
            if agent.poll() is None:
                agent.send_signal(signal.SIGTERM)
        for agent in self.agents:
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(10)
            if agent.poll() is None:
                self.kill(agent)
        for pid in self.own_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def own_processes(self) -> list[int]:
        """Whatever carries this cluster's directory in its arguments or its marker."""
        found = []
        needle = os.fsencode(str(self.base))
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if (
                    needle in _read(f"/proc/{name}/cmdline")
                    or b"GPU_QUEUE_CLAIM=" + needle in _read(f"/proc/{name}/environ")
                ) and _read(f"/proc/{name}/stat").rpartition(b")")[2].split()[0] != b"Z":
                    found.append(int(name))
        return found

    # -- tasks

    def submit(
        self,
        script: str,
        name: str = "task.sh",
        priority: int = 500,
        said: dict[str, Any] | None = None,
        **needs: Any,
    ) -> str:
        """Publish a script as a client does, with what else its record says; returns its id."""
        self._stamp = max(time.time(), self._stamp + 0.001)  # like any client: never the same twice
        task_id = make_id(self._stamp, secrets.token_hex(3), name.encode())
        record = {"protocol": 1, "id": task_id, "name": name, "cwd": str(self.base), "needs": needs}
        record |= said or {}
        Path(self.paths.record(task_id)).write_text(json.dumps(record))
        put(Path(self.paths.root, "pending", f"{priority:03d}-{task_id}"), script)
        return task_id

    def command_all(self, verb: str, **keys: Any) -> str:
        """Post a command to all present nodes as a client does; returns the entry's stem."""
        nonce = secrets.token_hex(6)
        to = [f"{node['node']}/{node['incarnation']}" for node in self.nodes()]
        value = {"protocol": 1, "nonce": nonce, "command": verb, "to": to, "from": "test", **keys}
        stem = f"{make_id(time.time(), nonce[:6], b'x')[:18]}-{nonce}"
        put(Path(self.paths.control, f"{stem}.json"), json.dumps(value))
        return stem

    def ack(self, stem: str, timeout_s: float = 40.0) -> str:
        """The answers to a command, when there are any."""
        pattern = f"{stem}.*.ack"
        wait_until(lambda: list(Path(self.paths.control).glob(pattern)), "an answer", timeout_s, self.dump)
        return "\n".join(path.read_text() for path in sorted(Path(self.paths.control).glob(pattern)))

    # -- looking

    def names(self, state: str) -> list[str]:
        if state == "running":
            return [
                name
                for node in os.listdir(f"{self.paths.root}/running")
                if os.path.isdir(f"{self.paths.root}/running/{node}")
                for name in os.listdir(f"{self.paths.root}/running/{node}")
                if name != "node"
            ]
        return [name for name in os.listdir(f"{self.paths.root}/{state}") if not name.startswith(".")]

    def ids(self, state: str) -> list[str]:
        """Ids of the tasks in a state; a claim's name counts as its task."""
        return [full[1] for full in (parse_full(strip_claim(name)) for name in self.names(state)) if full]

    def where(self, task_id: str) -> list[str]:
        """Every place where a task is."""
        return [state for state in ("pending", "running", "done", "failed") if task_id in self.ids(state)]

    def wait_for(self, task_id: str, state: str, timeout_s: float = 40.0) -> None:
        wait_until(lambda: self.where(task_id) == [state], f"{task_id} in {state}", timeout_s, self.dump)

    def wait_for_line(self, task_id: str, line: str, timeout_s: float = 40.0) -> None:
        wait_until(lambda: line in self.log(task_id), f"{line!r} in the log of {task_id}", timeout_s, self.dump)

    def log(self, task_id: str) -> str:
        """The logs of all tries."""
        logs = sorted(Path(self.paths.root, "logs").glob(f"{task_id}*.log"), key=lambda path: path.stat().st_mtime)
        return "".join(path.read_text(errors="replace") for path in logs)

    def tries(self, task_id: str) -> list[dict[str, Any]]:
        """The records of all tries."""
        paths = Path(self.paths.root, "records").glob(f"{task_id}.try[0-9]*.json")
        return sorted((json.loads(path.read_text()) for path in paths), key=lambda record: record["try"])

    def nodes(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self._pages("json")]

    def node_text(self) -> str:
        return "\n".join(self._pages("tsv"))

    def _pages(self, ending: str) -> list[str]:
        found = []
        for path in Path(self.paths.root, "nodes").glob(f"[!.]*.{ending}"):
            with contextlib.suppress(OSError, ValueError):  # put away by a peer, or no page
                text = path.read_text() if path.is_file() else ""
                found += [text] if text and (ending != "json" or "pid" in json.loads(text)) else []
        return found

    def claim_of(self, task_id: str) -> str:
        """The name of the live claim of a task."""
        for name in self.names("running"):
            parsed = parse_claim(name)
            if parsed is not None and parsed[0].task_id == task_id:
                return name
        raise AssertionError(f"{task_id} does not run\n{self.dump()}")

    def dump(self) -> str:
        """What an unlucky reader of a failed test wants to see."""
        states = "\n".join(f"{state}: {self.names(state)}" for state in ("pending", "running", "done", "failed"))
        said = self.output.read_text(errors="replace")[-4000:] if self.output.exists() else ""
        return f"{states}\n--- nodes\n{self.node_text()}\n--- agents said\n{said}"


@contextlib.contextmanager
def a_cluster(base: Path, job_id: str = "exp") -> Iterator[Cluster]:
    """A spool whose agents and tasks are gone afterwards."""
    cluster = Cluster(base, job_id)
    try:
        yield cluster
    finally:
        cluster.close()
