"""Four nodes, two thousand tasks, some of them over two nodes, and something dies all the time.

Each is settled once, none runs twice at once, and of those over two nodes no rank begins without the other.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, wait_until
from tests.faults.machine import TIMES, Machine

LONGEST_S = 0.3
PATIENT = {"GPU_QUEUE_MAX_LOST": "1000", "GPU_QUEUE_RETRIES": "1000", "GPU_QUEUE_RETRY_DELAY": "0.1s"}
SCRIPT = """
exec 7>>"$QUEUE_ROOT/ran/$GPU_QUEUE_TASK"
flock -n 7 || echo "$GPU_QUEUE_TASK, try $GPU_QUEUE_TRY" >>"$QUEUE_ROOT/overlaps"
echo "$GPU_QUEUE_TRY" >&7
sleep {seconds:.3f}
"""
"""The lock is held for as long as any process of the try lives: the next try must not find it."""
GANG = """#GPUQ --nodes 2 --gpus 1
try=$QUEUE_ROOT/ran/$GPU_QUEUE_TASK.try$GPU_QUEUE_TRY.$MASTER_PORT
exec 7>>"$try" 8>>"$try.$NODE_RANK"
flock -s 7
for other in "$QUEUE_ROOT/ran/$GPU_QUEUE_TASK".try*; do
  case $other in "$try"*) continue ;; esac
  flock -n -x "$other" true || echo "$GPU_QUEUE_TASK, try $GPU_QUEUE_TRY beside $other" >>"$QUEUE_ROOT/overlaps"
done
until [ -e "$try.0" ] && [ -e "$try.1" ]; do sleep 0.02; done
: >"$QUEUE_ROOT/ran/$GPU_QUEUE_TASK"
sleep {seconds:.3f}
"""
"""The ranks of one try hold a lock together, and wait for each other; a rank of another try must not hold its own."""
GANG_EVERY = 25


class Chaos:
    """Kills agents, shims and scripts at random, and now and then a whole node."""

    def __init__(self, cluster: Cluster, nodes: int, seed: int) -> None:
        self.cluster = cluster
        self.chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self._made = 0
        self.machines = [self._machine() for _ in range(nodes)]

    def _machine(self) -> Machine:
        self._made += 1
        return Machine(self.cluster, f"n{self._made}", simulate="2")

    def strike(self) -> None:
        """One blow."""
        machine = self.chance.choice(self.machines)
        kind = self.chance.choices(["agent", "shim", "script", "node"], [4, 6, 6, 1])[0]
        self.killed[kind] += 1
        if kind == "agent":
            self.cluster.kill(machine.agent)
            machine.agent = self.cluster.start(*machine.flags, simulate="2", env=TIMES, wait=False)
        elif kind == "node":
            machine.power_off()
            self.machines.remove(machine)
            self.machines.append(self._machine())
        else:
            scripts = machine.tries()
            others = [pid for pid in machine.processes() if pid not in scripts and pid != machine.agent.pid]
            found = scripts if kind == "script" else [pid for pid in others if is_shim(pid)]
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(found), signal.SIGKILL)


def is_shim(pid: int) -> bool:
    try:
        return b"/shims/" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def live_through(cluster: Cluster, tasks: int, seed: int, timeout_s: float) -> Counter[str]:
    """All tasks through to their ends; returns what was killed meanwhile."""
    chance = random.Random(seed)
    (cluster.queue_root / "ran").mkdir()
    ids = [
        cluster.submit((SCRIPT if number % GANG_EVERY else GANG).format(seconds=chance.random() * LONGEST_S))
        for number in range(tasks)
    ]
    chaos = Chaos(cluster, 4, seed)
    give_up_at = time.monotonic() + timeout_s
    while len(cluster.ids("done")) < tasks * 0.97:
        assert time.monotonic() < give_up_at, f"seed {seed}: {chaos.killed}\n{cluster.dump()}"
        chaos.strike()
        strike_at = time.monotonic() + chance.random() * 0.6
        while time.monotonic() < strike_at:
            time.sleep(0.01)  # the moment itself is what is random here
    wait_until(lambda: sorted(cluster.ids("done")) == sorted(ids), f"all in done (seed {seed})", 120, cluster.dump)
    assert not [task for state in ("pending", "running", "failed") for task in cluster.ids(state)]
    overlaps = cluster.queue_root / "overlaps"
    assert not overlaps.exists(), f"seed {seed}: {overlaps.read_text()}\n{cluster.dump()}"
    assert all((cluster.queue_root / "ran" / task).exists() for task in ids)
    return chaos.killed


@pytest.mark.soak
def test_two_thousand_tasks_on_four_nodes_under_random_kills(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PATIENT.items():
        monkeypatch.setitem(TIMES, name, value)
    seed = random.randrange(1 << 30)
    killed = live_through(cluster, 2000, seed, 1500)
    print(f"killed meanwhile: {dict(killed)}")
    assert min(killed[kind] for kind in ("agent", "shim", "script", "node")) > 0
