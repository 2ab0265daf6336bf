"""Nodes with real agents, each with a local directory of its own, that can be switched off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

from tests.agent.harness import Cluster, wait_until

TAKEOVER_S = 6.0
TIMES = {
    "GPU_QUEUE_BEAT": "1s",
    "GPU_QUEUE_FENCE_AFTER": "2s",
    "GPU_QUEUE_TAKEOVER_AFTER": f"{TAKEOVER_S:.0f}s",
    "GPU_QUEUE_CACHE": "0s",
}
TICKING = """
while [ ! -e "$QUEUE_ROOT/finish" ]; do
  echo "$GPU_QUEUE_TRY $(date +%s%N)" >>"$QUEUE_ROOT/ticks"
  sleep 0.05
done
"""
"""A task that says all the time which try of it runs."""


class Machine:
    """A node: an agent with a local directory of its own, and all that it starts."""

    def __init__(
        self, cluster: Cluster, name: str, *flags: str, simulate: str = "1", env: dict[str, str] | None = None
    ) -> None:
        self.cluster = cluster
        self.local = cluster.base / f"local-{name}"
        self.flags = ("--node-name", name, "--local-dir", str(self.local), *flags)
        self.agent = cluster.start(*self.flags, simulate=simulate, env=TIMES if env is None else env)
        (self.node,) = {node["node"] for node in cluster.nodes() if node.get("pid") == self.agent.pid}

    def processes(self) -> list[int]:
        """What the agent has started, shims and scripts."""
        needles = [os.fsencode(f"{place}/") for place in (self.cluster.paths.running(self.node), self.local)]
        found = []
        for pid in self.cluster.own_processes():
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
                if any(needle in told for needle in needles):
                    found.append(pid)
        return found

    def tries(self) -> list[int]:
        """The processes of its scripts."""
        marker = os.fsencode(f"GPU_QUEUE_CLAIM={self.cluster.paths.running(self.node)}/")
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if marker in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
        return found

    def power_off(self) -> None:
        """Everything of it is gone at once: no shim has a moment left in which to say how its script ended."""
        self.suspend()
        self.agent.kill()
        self.agent.wait()
        while pids := self.processes():
            self.signal(signal.SIGKILL, pids)

    def suspend(self) -> None:
        self.signal(signal.SIGSTOP, [self.agent.pid])
        for _ in range(3):  # one may have forked while it was being stopped
            self.signal(signal.SIGSTOP, self.processes())

    def resume(self) -> None:
        self.signal(signal.SIGCONT, [self.agent.pid, *self.processes()])

    @staticmethod
    def signal(number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def is_there(self) -> bool:
        return os.path.exists(self.cluster.paths.node_json(self.node))


def ticks(cluster: Cluster) -> list[tuple[int, float]]:
    """Which try ran when, in epoch seconds."""
    path = cluster.queue_root / "ticks"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), int(at) / 1e9) for number, at in (line.split() for line in lines)]


def runs_on(cluster: Cluster, task: str, machine: Machine, number: int, timeout_s: float = 60.0) -> None:
    def so() -> bool:
        return any(number == one for one, _ in ticks(cluster)) and any(
            task in name for name in os.listdir(cluster.paths.running(machine.node))
        )

    wait_until(so, f"try {number} on {machine.node}", timeout_s, cluster.dump)


def tries(cluster: Cluster, task: str) -> list[dict[str, object]]:
    value = json.loads(Path(cluster.paths.tries_index(task)).read_text())["tries"]
    assert isinstance(value, list)
    return value
