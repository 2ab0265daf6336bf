#!/usr/bin/env python3
"""Start latency and throughput, beside tsp and a bare loop: ``make bench``.

What is compared is measured in turns in one run, so that noise hits all alike.  The results go to
benchmarks/results/latency.json, and as tables into docs/performance.md.  Nothing here judges: a test that fails
because a machine is busy teaches people to ignore tests.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import page
from commands import measure_commands
from drain import measure_drain
from ends import measure_ends
from experiments import measure_experiments
from idle import measure_idle
from looking import measure_looking
from machine import ROOT, facts
from rigs import NO_TSP, TSP
from scale import measure_scale
from start_latency import measure_start, measure_submit

RESULTS = ROOT / "benchmarks/results/latency.json"
PAGE = ROOT / "docs/performance.md"
Measure = Callable[[Path], dict[str, Any]]

FULL: dict[str, Measure] = {
    "start": lambda base: measure_start(base, trials=120),
    "submit": lambda base: measure_submit(base, calls=100, batch=100),
    "drain": lambda base: measure_drain(base, tasks=1000, rounds=5),
    "ends": lambda base: measure_ends(base, links=100, waits=30),
    "commands": lambda base: measure_commands(base, waiting=10_000, waiting_of_tsp=100, rounds=40),
    "idle": lambda base: measure_idle(base, seconds=30),
    "scale": lambda base: measure_scale(base, waiting=10_000, settled=100_000, steps=200),
    "looking": lambda base: measure_looking(base, waiting=10_000, settled=100_000, nodes=8, rounds=30),
    "experiments": lambda base: measure_experiments(base, runs=1000, members=10_000, rounds=7),
}
QUICK: dict[str, Measure] = {
    "start": lambda base: measure_start(base, trials=20),
    "submit": lambda base: measure_submit(base, calls=5, batch=20),
    "drain": lambda base: measure_drain(base, tasks=100, rounds=1),
    "ends": lambda base: measure_ends(base, links=10, waits=2),
    "commands": lambda base: measure_commands(base, waiting=200, waiting_of_tsp=20, rounds=3),
    "idle": lambda base: measure_idle(base, seconds=3),
    "scale": lambda base: measure_scale(base, waiting=500, settled=2000, steps=20),
    "looking": lambda base: measure_looking(base, waiting=500, settled=2000, nodes=2, rounds=2),
    "experiments": lambda base: measure_experiments(base, runs=80, members=200, rounds=2),
}


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    measures = QUICK if options.quick else FULL
    results: dict[str, Any] = {} if options.quick else _earlier(partly=bool(options.only))
    if TSP is None:
        print(NO_TSP, file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="gpu-queue-bench.", dir=options.directory) as directory:
        results["machine"] = facts(Path(directory))
        for name in options.only or measures:
            print(f"{name} …", file=sys.stderr)
            base = Path(directory, name)
            base.mkdir()
            results[name] = measures[name](base)
    table = page.render(results)
    print(table)
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        page.put(PAGE, table)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the queue beside tsp and a bare loop.")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out: prints, and writes nothing")
    parser.add_argument("--only", action="append", choices=FULL, help="this part alone; the others stay as they were")
    parser.add_argument("--directory", help="where to work; a local disk (default: the system's place for such)")
    return parser.parse_args()


def _earlier(*, partly: bool) -> dict[str, Any]:
    if not partly or not RESULTS.exists():
        return {}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(128 + number)  # through all that must be ended


if __name__ == "__main__":
    sys.exit(main())
