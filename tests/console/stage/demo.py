"""The demonstration: a queue with a past, three agents on simulated GPUs, people who use it, and a console.

All of it lies in one directory that is removed at the end, as is every process.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from math import sin
from pathlib import Path

from gpu_queue import Spool
from gpu_queue.console.history.keeper import directory_of, path_of
from gpu_queue.gpus.plant import Plant
from gpu_queue.node.side import node_name
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths
from tests.console.stage.jobfiles import write_job_files
from tests.console.stage.past import Machine, Span, make_past, uuid_of
from tests.console.stage.people import People
from tests.console.stage.samples import keep_samples

ROOT = Path(__file__).resolve().parents[3]
JOB = "train-exp1"
GAUGES_S = 2.0
STOP_S = 15.0
FOREIGN, LOST = ("gpu2", 7), ("gpu3", 3)
AGENT = {
    "GPU_QUEUE_SETTLE": "0.5s",
    "GPU_QUEUE_STOP_GRACE": "2s",
    "GPU_QUEUE_LEAVE_GRACE": "2s",
    "GPU_QUEUE_RETRY_DELAY": "45s",
    "GPU_QUEUE_KEEPALIVE_QUIET_BEFORE": "0s",
}


class Rig:
    """One machine of the stage: an agent with a name, GPUs and a directory of its own."""

    def __init__(self, base: Path, name: str, gpus: int, memory_gib: int, watts: int, model: str) -> None:
        self.name, self.base, self.gpus, self.memory_gib, self.watts = name, base, gpus, memory_gib, watts
        self.local = base / name
        self.local.mkdir(mode=0o700)
        found = self.local.stat()
        self.machine = Machine(node_name(name, (found.st_dev, found.st_ino)), gpus, memory_gib, watts, model)
        self.driven = base / f"{name}.json"
        self.plant = Plant(str(self.local / "simulated"), window_s=2.0)
        self._degrees = [40.0] * gpus

    def command(self, queue_root: Path) -> list[str]:
        """Of its agent."""
        where = ["--job-id", JOB, "--queue-root", str(queue_root), "--local-dir", str(self.local)]
        how = ["--node-name", self.name, "--simulate", f"{self.gpus}x{self.memory_gib}G", "--lifetime", "2d"]
        return [sys.executable, str(ROOT / "perpetual_motion.py"), *where, *how]

    def gauge(self, at_s: float) -> None:
        """Have each GPU tell power and temperature that fit its load; others use one, and one is lost."""
        loads = self.plant.read(time.monotonic_ns())
        told: dict[str, dict[str, object]] = {}
        for gpu in range(self.gpus):
            usage = loads.get(uuid_of(gpu))
            share = min(1.0, usage.busy_share) if usage else 0.0
            one: dict[str, object] = {}
            if (self.name, gpu) == FOREIGN:
                percent = round(60 + 25 * sin(at_s / 7))
                one, share = {"used": "49G", "utilization": percent}, percent / 100
            if (self.name, gpu) == LOST:
                told[str(gpu)] = {"lost": True, "name": self.machine.model}
                continue
            self._degrees[gpu] += 0.25 * (32 + 39 * share + gpu - self._degrees[gpu])
            watts = self.watts * (0.11 + 0.74 * share) * (1 + 0.03 * sin(at_s / 3 + gpu))
            one |= {"temperature_c": round(self._degrees[gpu]), "power_w": round(watts, 1)}
            told[str(gpu)] = {**one, "power_limit_w": self.watts, "name": self.machine.model}
        hidden = self.driven.with_name(f".{self.driven.name}")
        hidden.write_text(json.dumps(told))
        hidden.replace(self.driven)


RIGS = (
    ("gpu1", 8, 80, 700, "NVIDIA H100 80GB HBM3"),
    ("gpu2", 8, 80, 400, "NVIDIA A100-SXM4-80GB"),
    ("gpu3", 4, 24, 450, "NVIDIA GeForce RTX 4090"),
)


class Stage:
    """All that stands and runs."""

    settled = 1300
    """So many tasks have, unless told otherwise."""

    def __init__(self, base: Path, rigs: Sequence[tuple[str, int, int, int, str]] = RIGS) -> None:
        self.base, self.queue_root = base, base / "queue_root"
        self.paths = SpoolPaths(str(self.queue_root / JOB))
        self.parts, self.tools, self.torch = base / "parts", base / "bin", base / "modules" / "torch"
        self.told, self.rigs = rigs, list[Rig]()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.over = threading.Event()

    def build(self, tasks: int | None) -> list[Span]:
        """The directories, and what has been."""
        for one in (self.queue_root, self.parts, self.tools, self.torch, self.base / "home"):
            one.mkdir(parents=True, mode=0o700)
        previous = os.umask(0o077)
        make_spool(self.paths)
        os.umask(previous)
        (self.torch / "__init__.py").write_text(_TORCH)
        for name in ("torchrun", "python"):
            tool = self.tools / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("worker.py")}" "$@"\n')
            tool.chmod(0o755)
        self.rigs = [Rig(self.base, *one) for one in self.told]
        now_s = time.time()
        write_job_files(self.paths, now_s)
        spans = self.remember(now_s, self.settled if tasks is None else tasks)
        keep_samples(path_of(directory_of(self.environment()), self.paths), spans, now_s)
        return spans

    def remember(self, now_s: float, tasks: int) -> list[Span]:
        """What has been: so many tasks have settled."""
        return make_past(self.paths, [one.machine for one in self.rigs], now_s, tasks)

    def environment(self, **more: str) -> dict[str, str]:
        """Of what is started: nothing of this user's own is read or written."""
        kept = {
            name: one for name, one in os.environ.items() if not name.startswith(("GPU_QUEUE_", "XDG_", "JOB_ID"))
        }
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        home = str(self.base / "home")
        own = {"HOME": home, "XDG_STATE_HOME": f"{home}/state", "XDG_CONFIG_HOME": f"{home}/config"}
        return {**kept, **own, "QUEUE_ROOT": str(self.queue_root), "JOB_ID": JOB, **more}

    def start_agents(self) -> None:
        """Three of them, and what their GPUs tell."""
        for rig in self.rigs:
            rig.gauge(time.time())
            path = f"{self.tools}:{os.environ['PATH']}"
            stage = {"STAGE_PARTS": str(self.parts), "STAGE_PLANT": str(rig.local / "simulated"), "PATH": path}
            stage["PYTHONPATH"] = f"{self.torch.parent}:{ROOT}"
            driven = {"GPU_QUEUE_SIMULATE_FILE": str(rig.driven)}
            self.start(rig.command(self.queue_root), f"{rig.name}.out", **AGENT, **stage, **driven)
        threading.Thread(target=self._gauge, daemon=True).start()

    def _gauge(self) -> None:
        while not self.over.wait(GAUGES_S):
            for rig in self.rigs:
                rig.gauge(time.time())

    def start(self, command: Sequence[str], output: str, **more: str) -> subprocess.Popen[bytes]:
        """A process that ends with the stage."""
        with (self.base / output).open("ab") as out:
            environment = self.environment(**more)
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.processes.append(process)
        return process

    def arrive(self) -> None:
        """Have people submit what runs and waits when the curtain rises."""
        self._people = People(
            Spool(JOB, self.queue_root), str(self.parts), str(self.base / "home"), secrets.randbits(32)
        )
        self._people.arrive()

    def step(self) -> None:
        """Have them do what is due."""
        self._people.step(time.monotonic())

    def wait_for_agents(self, within_s: float = 30.0) -> None:
        """Until each has written its node file.

        Raises:
            SystemExit: one has ended, or says nothing.
        """
        until = time.monotonic() + within_s
        wanted = [self.paths.node_json(rig.machine.node) for rig in self.rigs]
        while not all(map(os.path.exists, wanted)):
            for rig, process in zip(self.rigs, self.processes, strict=False):
                if process.poll() is not None or time.monotonic() > until:
                    said = (self.base / f"{rig.name}.out").read_text(errors="replace")
                    raise SystemExit(f"the agent of {rig.name} does not serve:\n{said}")
            time.sleep(0.05)

    def close(self) -> None:
        """End everything that was started here, and remove it."""
        self.over.set()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
        for pid in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.base, ignore_errors=True)

    def _left(self) -> Iterator[int]:
        """Tasks whose agents are gone: by their marker."""
        needle = f"GPU_QUEUE_CLAIM={self.paths.root}".encode()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if needle in Path(f"/proc/{name}/environ").read_bytes():
                    yield int(name)


_TORCH = '''"""The engine of simulated GPUs asks torch for nothing."""
from types import SimpleNamespace

__version__ = "0.0"
version = SimpleNamespace(cuda=None)
cuda = SimpleNamespace()


class OutOfMemoryError(RuntimeError):
    pass
'''
