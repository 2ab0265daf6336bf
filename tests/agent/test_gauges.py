"""Real agents on simulated GPUs: what was done on them can be seen later."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from tests.agent.harness import Cluster, wait_until

GIB = 1 << 30
ROOT = str(Path(__file__).parents[2])


def uses(cluster: Cluster) -> list[tuple[int, str, str]]:
    """Each change of a GPU's use in the history: its index, before, now."""
    found = []
    for path in Path(cluster.paths.root, "events").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            event = json.loads(line) if line else {}
            if event.get("event") == "gpu":
                found.append((event["gpu_indices"][0], event.get("before", ""), event["use"]))
    return found


WORKS_S = 3.0
"""The task's own time; the agent looks once a second."""


def test_the_history_tells_what_a_gpu_was_used_for_and_a_record_how_much(cluster: Cluster) -> None:
    cluster.start()
    wait_until(lambda: len(uses(cluster)) == 2, "both GPUs idle", dump=cluster.dump)
    program = (
        f"import os, sys, time\nsys.path.insert(0, {ROOT!r})\nfrom gpu_queue.gpus.plant import Load\n"
        f"load = Load({str(cluster.local / 'simulated')!r}, 'GPU-00000000-0000-0000-0000-000000000000')\n"
        f"load.hold({30 * GIB})\ntime.sleep({WORKS_S})\n"
    )
    task = cluster.submit(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(program)}\n")
    cluster.wait_for(task, "done")
    wait_until(lambda: uses(cluster)[-1] == (0, "task", "idle"), "idle again", dump=cluster.dump)
    record = cluster.tries(task)[0]
    (usage,) = record["gpu_usage"]
    assert usage["memory_peak_bytes"] == 30 * GIB, usage
    assert 1 <= usage["samples"] <= record["duration_s"] + 2, "about one a second"
    assert [use for use in uses(cluster) if use[0] == 0] == [
        (0, "", "idle"),
        (0, "idle", "task"),
        (0, "task", "idle"),
    ]
    assert [use for use in uses(cluster) if use[0] == 1] == [(1, "", "idle")]
