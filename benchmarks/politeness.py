#!/usr/bin/env python3
"""What politeness costs on a shared server: how soon cards that others leave are used, and how much of them is not.

An agent of the policy ``shared`` serves cards of the tests' fake driver, always with more tasks than cards; a second
process plays the other users (``tests/agent/other_users.py``).  It needs root, for they have another uid.  The
results go to benchmarks/results/politeness.json, and as a table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import page
from machine import ROOT, facts

sys.path.insert(0, str(ROOT))  # the players are the tests'

from tests.agent.harness import a_cluster
from tests.agent.politeness import Manners, Server, run_among_others
from tests.fake_nvml import build

RESULTS = ROOT / "benchmarks/results/politeness.json"
PAGE = ROOT / "docs/performance.md"
MARKS = ("<!-- politeness -->", "<!-- /politeness -->")
CARDS = 4
PEOPLE: dict[str, tuple[float, dict[str, float] | None]] = {
    "nobody else; tasks of 5 s": (5.0, None),
    "programs of 9 to 30 s, as long away; tasks of 5 s": (5.0, {"there_s": 30.0, "away_s": 30.0}),
    "programs of 1 to 4 s, 2 to 8 s away; tasks of 1 s": (1.0, {"there_s": 4.0, "away_s": 8.0}),
}
"""How long a task of ours takes, and how the others behave."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each of the three parts")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("only root can act as several users", file=sys.stderr)
        return 1
    results: dict[str, Any] = {"seconds": options.seconds, "cards": CARDS}
    with tempfile.TemporaryDirectory(prefix="gpu-queue-bench.") as directory:
        os.chmod(directory, 0o755)
        results["machine"] = facts(Path(directory))
        library = build(Path(directory, "nvml"))
        for number, (name, (task_s, people)) in enumerate(PEOPLE.items()):
            print(f"{name} …", file=sys.stderr)
            base = Path(directory, str(number))
            base.mkdir()
            server = Server(base, library, CARDS)
            with a_cluster(base) as cluster:
                server.serve(cluster)
                results[name] = told(run_among_others(cluster, server, options.seconds, task_s, people, seed=number))
    table = render(results)
    print(table)
    if not options.dry_run:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        page.put(PAGE, table, MARKS)
    return 0


def told(manners: Manners) -> dict[str, Any]:
    """The numbers."""
    return {
        "tasks": manners.tasks,
        "impolite": len(manners.impolite),
        "races": len(manners.races_s),
        "after_stranger": _spread(manners.after_stranger_s),
        "after_own": _spread(manners.after_own_s),
        "used_share": round(manners.used_s / manners.free_s, 3),
    }


def _spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"count": len(ordered), "median_s": round(median(ordered), 2), "p95_s": round(p95, 2)}


def render(results: dict[str, Any]) -> str:
    """As a table."""
    times_of = "after others: median s | p95 s | after ours: median s | p95 s"
    rows = [f"| who else is there | tasks | impolite | races | {times_of} | used |", "| --- |" + " ---: |" * 8]
    for name in PEOPLE:
        one = results[name]
        times = [_told(one[key], part) for key in ("after_stranger", "after_own") for part in ("median_s", "p95_s")]
        cells = [name, one["tasks"], one["impolite"], one["races"], *times, f"{100 * one['used_share']:.0f} %"]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    machine = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    what = f"{results['cards']} cards, {results['seconds']:.0f} s each; {machine}."
    return "\n" + what + "\n\n" + "\n".join(rows) + "\n"


def _told(spread: dict[str, float] | None, part: str) -> str:
    return "" if spread is None else f"{spread[part]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
