"""Where an adversary strikes: tasks that tell when they run twice at once, machines, and what is judged then."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.agent.harness import Cluster, wait_until
from tests.faults.machine import TIMES, Machine
from tests.faults.test_soak import is_shim

SCRIPT = """#GPUQ --gpus {gpus}{more}
exec 7>>"$QUEUE_ROOT/ran/$GPU_QUEUE_TASK"
flock -n 7 || echo "$GPU_QUEUE_TASK, try $GPU_QUEUE_TRY" >>"$QUEUE_ROOT/overlaps"
echo "$GPU_QUEUE_TRY" >&7
{queue}
sleep {seconds:.3f}
"""
"""The lock is held for as long as any process of the try lives: the next try must not find it."""
IN_QUEUE = """
exec 8>>"$QUEUE_ROOT/queue-{queue}"
flock -n 8 || echo "queue {queue}: $GPU_QUEUE_TASK" >>"$QUEUE_ROOT/overlaps"
"""
PATIENT = {
    **TIMES,
    "GPU_QUEUE_MAX_LOST": "1000",
    "GPU_QUEUE_RETRIES": "1000",
    "GPU_QUEUE_RETRY_DELAY": "0.1s",
}
AT_ONCE = 60
"""So many tasks wait or run at a time."""
SETTLE_S = 120.0


@dataclass
class Verdict:
    """What came of a round."""

    tasks: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    tries: int = 0
    lost: list[str] = field(default_factory=list)
    """Tasks that are nowhere, in two places, or never came to their end."""
    doubled: list[str] = field(default_factory=list)
    """Tries that ran beside another of the same task or queue."""
    wrong: list[str] = field(default_factory=list)
    """Tasks that are in done/ and never ran, or have failed though their script could not."""
    said: str = ""
    """What the agents said, where something is amiss."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.lost or self.doubled or self.wrong)


class Arena(Cluster):
    """One spool, some machines, and tasks without end."""

    def __init__(self, base: Path, seed: int, queues: int = 0, seconds: float = 0.3) -> None:
        super().__init__(base)
        self.chance = random.Random(seed)
        self.queues = queues
        self.seconds = seconds
        self.submitted: list[str] = []
        self.struck: Counter[str] = Counter()
        self.machines: list[Machine] = []
        self.flags: tuple[str, ...] = ()
        self.may_have_failed: set[str] = set()
        self._made = 0
        (self.queue_root / "ran").mkdir()

    # -- machines

    def add_machine(self) -> Machine:
        """One more node."""
        self._made += 1
        machine = Machine(self, f"n{self._made}", *self.flags, simulate="2", env=PATIENT)
        self.machines.append(machine)
        return machine

    def restart(self, machine: Machine, *flags: str) -> None:
        """Kill an agent, and start the next."""
        self.kill(machine.agent)
        machine.agent = self.start(*machine.flags, *flags, simulate="2", env=PATIENT, wait=False)

    def processes(self, kind: str) -> list[int]:
        """Those of one kind, of all machines."""
        found: list[int] = []
        for machine in self.machines:
            scripts = set(machine.tries())
            if kind == "script":
                found += scripts
            elif kind == "shim":
                found += [pid for pid in machine.processes() if pid not in scripts and is_shim(pid)]
        return found

    # -- tasks

    def keep_busy(self) -> None:
        """Submit as many as are missing."""
        there = sum(len(self.there(state)) for state in ("pending", "running"))
        for _ in range(AT_ONCE - there):
            queue = f"q{self.chance.randrange(self.queues)}" if self.queues else ""
            script = SCRIPT.format(
                gpus=self.chance.choice([1, 1, 1, 2]),
                more=f" --queue {queue}" if queue else "",
                queue=IN_QUEUE.format(queue=queue) if queue else "",
                seconds=self.chance.random() * self.seconds,
            )
            with contextlib.suppress(OSError):  # a full disk, a directory that is away
                self.submitted.append(self.submit(script))

    def there(self, state: str) -> list[str]:
        """Ids of the tasks in a state, where that can be said."""
        with contextlib.suppress(OSError):
            return self.ids(state)
        return []

    def last(self, seconds: float, strike: Callable[[], str], pause_s: float = 0.4) -> None:
        """Let it go on for a while, and strike again and again."""
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at:
            self.keep_busy()
            self.struck[strike()] += 1
            next_at = time.monotonic() + self.chance.random() * pause_s
            while time.monotonic() < next_at:
                time.sleep(0.01)  # the moment itself is what is random here

    def judge(self) -> Verdict:
        """Wait until all have settled, and say what is amiss."""
        ours = set(self.submitted)
        with contextlib.suppress(AssertionError):
            wait_until(
                lambda: not ours.intersection((*self.there("pending"), *self.there("running"))),
                "the end",
                SETTLE_S,
                lambda: "",
            )
        verdict = Verdict(len(self.submitted), self.struck)
        where = {state: Counter(self.there(state)) for state in ("pending", "running", "done", "failed")}
        for task in self.submitted:
            places = [state for state, ids in where.items() for _ in range(ids[task])]
            ran = self.queue_root / "ran" / task
            verdict.tries += len(ran.read_text().split()) if ran.exists() else 0
            if len(places) != 1 or places[0] in ("pending", "running"):
                verdict.lost.append(f"{task}: {' and '.join(places) or 'nowhere'}")
            elif places[0] == "failed" and task not in self.may_have_failed:
                verdict.wrong.append(f"{task}: failed")
            elif places[0] == "done" and not ran.exists():
                verdict.wrong.append(f"{task}: done, and never ran")
        overlaps = self.queue_root / "overlaps"
        verdict.doubled += overlaps.read_text().splitlines() if overlaps.exists() else []
        if not verdict.is_good:
            verdict.said = self.dump()
        return verdict


@contextlib.contextmanager
def an_arena(seed: int, machines: int = 4, *, queues: int = 0, base: Path | None = None) -> Iterator[Arena]:
    """An arena that is gone afterwards."""
    place = base or Path(tempfile.mkdtemp(prefix="gpu-queue-attack."))
    place.mkdir(mode=0o755, exist_ok=True)
    place.chmod(0o755)
    arena = Arena(place, seed, queues)
    try:
        for _ in range(machines):
            arena.add_machine()
        yield arena
    finally:
        for pid in arena.processes("shim"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        arena.close()
        shutil.rmtree(place, ignore_errors=True)


def can_mount() -> bool:
    """Whether a filesystem may be mounted here."""
    with tempfile.TemporaryDirectory() as there:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", there], check=False, capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", there], check=True)
        return done.returncode == 0
