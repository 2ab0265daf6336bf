"""A look at a huge spool from Python: what a snapshot costs.  It runs in a process of its own, for its memory."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine import ROOT, summary
from rigs import Spool as Filled

from gpu_queue.reasons import Code, reason
from gpu_queue.spool.events import EventLog
from gpu_queue.spool.pages import GpuPage, NodePage, WaitPage, write_page
from gpu_queue.spool.paths import SpoolPaths, full_name, make_id, parse_claim
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import State

_LINKS_PER_FILE = 10_000
_FIRST = 1.7e9


def measure_looking(base: Path, waiting: int, settled: int, nodes: int, rounds: int) -> dict[str, Any]:
    """Refreshes of a snapshot, beside bare listings of the same directories."""
    paths = Filled(base, "looking").paths
    number = itertools.count()
    _fill(paths, State.PENDING, waiting, number)
    _fill(paths, State.DONE, settled * 95 // 100, number)
    _fill(paths, State.FAILED, settled - settled * 95 // 100, number)
    told = sorted(os.listdir(paths.directory(State.PENDING)))[:100]
    for index in range(nodes):
        node = f"n{index}-{index:08x}"
        os.mkdir(paths.running(node))
        Path(paths.running_keeper(node)).touch()
        gpus = tuple(GpuPage(f"GPU-{index}-{gpu}", gpu, "H100", GpuState.IDLE) for gpu in range(8))
        why = tuple(WaitPage(name, reason(Code.GPUS, needed=8, idle=3, busy=5)) for name in told)
        write_page(paths, NodePage(node, "bench", AgentState.SERVING, gpus=gpus, waiting=why, waiting_count=waiting))
    command = [sys.executable, __file__, paths.root, str(rounds)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    sizes = {"waiting": waiting, "settled": settled, "nodes": nodes}
    return {**sizes, "load": round(os.getloadavg()[0], 1), **json.loads(asked.stdout)}


def _fill(paths: SpoolPaths, state: State, count: int, number: Iterator[int]) -> None:
    """Tasks; links, for it is names that cost."""
    source = ""
    for index in range(count):
        one = next(number)
        name = f"{paths.directory(state)}/500-{make_id(_FIRST + one, f'{one:06x}', b'task.sh')}"
        if index % _LINKS_PER_FILE == 0:
            source = name
            Path(name).write_text("#!/bin/sh\n", encoding="utf-8")
        else:
            os.link(source, name)


class _Looker:
    """Looks again and again, on a clock that runs as fast as it is told to."""

    def __init__(self, root: str) -> None:
        self.paths = SpoolPaths(root)
        self.now = time.monotonic()
        self.reader = SnapshotReader(self.paths)

    def first(self) -> float:
        self.reader = SnapshotReader(self.paths)
        return self.look(2.0)

    def look(self, seconds: float) -> float:
        self.now += seconds
        begun = time.perf_counter()
        self.reader.refresh(self.now)
        return time.perf_counter() - begun

    def bare(self) -> float:
        """The listings of the first look alone."""
        begun = time.perf_counter()
        for state in (State.PENDING, State.DONE, State.FAILED):
            os.listdir(self.paths.directory(state))
        return time.perf_counter() - begun

    def move(self) -> dict[str, float]:
        """The first waiting task is claimed, settles, and comes back: a look after each."""
        node = sorted(os.listdir(self.paths.all_running))[0]
        pending = self.paths.directory(State.PENDING)
        name = min(os.listdir(pending))
        claimed = f"{name}.try1.abcdef"
        os.rename(f"{pending}/{name}", f"{self.paths.running(node)}/{claimed}")
        took = {"claimed": self.look(2.0)}
        parsed = parse_claim(claimed)
        assert parsed is not None
        done = f"{self.paths.directory(State.DONE)}/{full_name(500, parsed[0].task_id)}"
        os.rename(f"{self.paths.running(node)}/{claimed}", done)
        log = EventLog(self.paths, node)
        log.add(parsed[0], ("settled", time.time(), {"outcome": "succeeded", "status": 0}))
        took["told"] = self.look(10.0)
        os.rename(done, f"{pending}/{name}")
        took["by_hand"] = self.look(2.0)
        return took


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure, and print JSON."""
    root, rounds = sys.argv[1], int(sys.argv[2])
    looker = _Looker(root)
    before = _resident_mib()
    measured: dict[str, list[float]] = {"first": [looker.look(2.0)]}
    grown = _resident_mib() - before

    def note(name: str, took_s: float) -> None:
        measured.setdefault(name, []).append(took_s)

    turns: tuple[tuple[str, Callable[[], float]], ...] = (
        ("bare", looker.bare),
        ("first", looker.first),
        ("unchanged", lambda: min(looker.look(2.0) for _ in range(5))),
    )
    for _ in range(rounds):
        for name, take in turns:
            note(name, take())
        for name, took_s in looker.move().items():
            note(name, took_s)
    found = {name: {**summary(values), "best_ms": round(min(values) * 1000, 3)} for name, values in measured.items()}
    print(json.dumps({"rounds": rounds, "grown_mib": round(grown, 1), **found}))


if __name__ == "__main__":
    main()
