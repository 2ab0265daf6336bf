#!/usr/bin/env python3
"""The keep-alive on a real card: ``make gpu-report``.

Needs one NVIDIA GPU that nobody uses, and a Python that has torch and nvidia-ml-py; takes less than eight minutes.
Every part drives the real zygote, workers, supervisor or agent.  The results go to
benchmarks/results/keepalive-<gpu>.json and, as a table, into docs/keepalive.md.  A part that fails says why, and the
others go on; a number that was not measured is not printed.  The exit status is 3 if a part failed, 1 without a GPU.

``--simulate`` tries the report itself on a simulated card and writes nothing into the repository.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # it runs with a Python in which this project is not installed

import keepalive_page
import keepalive_parts
import page
from keepalive_installation import Installation
from keepalive_parts import FULL, QUICK, Bench, Values
from keepalive_peers import measure_peers
from keepalive_rig import Card, NotMeasured
from machine import facts

from gpu_queue.errors import GpuQueueError

RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/keepalive.md"
MARKS = ("<!-- gpu-report -->", "<!-- /gpu-report -->")
BUDGET_S = 478.0
"""Of the whole run; a part that does not fit any more is left out."""


@dataclass(frozen=True)
class Part:
    """One part of the report."""

    measure: Callable[[Bench], Values]
    planned_s: float
    """What it is expected to take in full; so long must be left."""
    limit_s: float
    """It is given up after this."""


PARTS: dict[str, Part] = {
    "gauge": Part(keepalive_parts.measure_gauge, 16, 60),
    "pause": Part(keepalive_parts.measure_pause, 11, 40),
    "yield": Part(keepalive_parts.measure_yield, 34, 120),
    "band": Part(keepalive_parts.measure_band, 320, 400),
    "tenant": Part(keepalive_parts.measure_tenant, 13, 60),
    "watts": Part(keepalive_parts.measure_watts, 26, 80),
    "light": Part(keepalive_parts.measure_light, 14, 60),
    "contexts": Part(keepalive_parts.measure_contexts, 15, 50),
    "peers": Part(measure_peers, 26, 90),
}
"""In this order: what matters most is not what is left out when time runs short."""


class _TimeOver(Exception):
    """A part took longer than it may."""


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, _ring)
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpu-report.")))
        try:
            _check_torch()
            card = Card(base, is_simulated=options.simulate, wanted=options.gpu)
        except (GpuQueueError, NotMeasured) as error:
            print(f"gpu-report: {_without_hint(error)}. To try the report without a GPU: --simulate", file=sys.stderr)
            return 1
        results = _measure(Bench(base, card, QUICK if options.quick else FULL, stack), options)
    text = keepalive_page.render(results)
    print(text)
    _write(results, text, options)
    return 3 if any(values.get("has_failed") for values in results["parts"].values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the keep-alive on one GPU that nobody uses.")
    parser.add_argument("--gpu", default="all", help="index or UUID (default: the first that is free)")
    parser.add_argument("--only", default="", help=f"some of {','.join(PARTS)}; the others stay as they were")
    parser.add_argument(
        "--quick", action="store_true", help="a few trials of each, to try it out; nothing is written"
    )
    parser.add_argument("--simulate", action="store_true", help="on a simulated card; nothing is written")
    parser.add_argument("--output", type=Path, help="write the numbers to this file, and nothing elsewhere")
    options = parser.parse_args()
    options.parts = [name.strip() for name in options.only.split(",") if name.strip()] or list(PARTS)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"--only {','.join(unknown)}: expected some of {','.join(PARTS)}")
    return options


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise NotMeasured(f"torch is not installed for {sys.executable}; the workers need it: pip install torch")


def _without_hint(error: Exception) -> str:
    """One line, without what the agent's messages say of its own ``--simulate``."""
    return str(error).replace(" To try it without GPUs: --simulate 4", "").rstrip(".")


def _measure(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    begun_s = time.monotonic()
    card = bench.card
    results: dict[str, Any] = {
        "device": "simulated" if card.plant else card.gpu.name,
        "memory_total_bytes": card.total_bytes,
        "machine": {**facts(bench.base), "GPUs": card.describe(), "torch": metadata.version("torch")},
        "quick": options.quick,
        "parts": {},
    }
    if "peers" in options.parts and not card.plant:
        bench.peers = Installation(bench.base)  # made while others measure
        bench.stack.callback(bench.peers.close)
    for name, part in PARTS.items():
        if name not in options.parts:
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        left_s = BUDGET_S - (time.monotonic() - begun_s)
        part_begun_s = time.monotonic()
        results["parts"][name] = _one(part, bench, left_s, in_full=not options.quick)
        results["parts"][name]["seconds_taken"] = round(time.monotonic() - part_begun_s, 1)
    results["notes"] = bench.notes
    results["seconds"] = round(time.monotonic() - begun_s, 1)
    return results


def _one(part: Part, bench: Bench, left_s: float, *, in_full: bool) -> Values:
    """What a part comes to, or why it comes to nothing; it leaves an empty card behind."""
    if in_full and part.planned_s > left_s:
        return {"problem": f"no time was left; --only {_name_of(part)} measures it alone"}
    try:
        signal.setitimer(signal.ITIMER_REAL, part.limit_s)
        try:
            return part.measure(bench)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except NotMeasured as error:
        return {"problem": str(error)}
    except _TimeOver:
        return {"problem": f"given up after {part.limit_s:.0f} s", "has_failed": True}
    except Exception as error:  # the driver, torch, a process that ended: told, and the next part goes on
        return {"problem": f"{type(error).__name__}: {error}", "has_failed": True}


def _name_of(part: Part) -> str:
    return next(name for name, one in PARTS.items() if one is part)


def _write(results: Mapping[str, Any], text: str, options: argparse.Namespace) -> None:
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.output or options.quick or results["device"] == "simulated":
        return
    path = RESULTS / f"keepalive-{_file_name(results['device'])}.json"
    whole = dict(results)
    if options.only and path.exists():
        whole["parts"] = {**json.loads(path.read_text(encoding="utf-8"))["parts"], **results["parts"]}
        text = keepalive_page.render(whole)
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    page.put(PAGE, text, MARKS)


def _file_name(device: str) -> str:
    """``NVIDIA H100 80GB HBM3`` as ``h100-80gb-hbm3``."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-").removeprefix("nvidia-")


def _ring(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise _TimeOver


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(128 + number)  # through all that must be ended


if __name__ == "__main__":
    sys.exit(main())
