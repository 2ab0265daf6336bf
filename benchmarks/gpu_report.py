#!/usr/bin/env python3
"""The keep-alive on a real card: ``make gpu-report``.

Needs one NVIDIA GPU that nobody uses, and a Python that has torch and nvidia-ml-py; takes less than nine minutes.
Every part drives the real zygote, workers, supervisor or agent.  After each part the results are in
benchmarks/results/keepalive-<gpu>.json and, as a table, in docs/keepalive.md; parts of earlier calls stay there.

A part that fails says why, and the others go on; then the exit status is 1, as it is without a GPU.  TERM, INT and
HUP end all that was started and keep what was measured; then it is 128 and the number of the signal.

``--simulate`` tries the report itself on a simulated card and writes nothing into the repository.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # it runs with a Python in which this project is not installed

import keepalive_below
import keepalive_beside
import keepalive_gauge
import keepalive_page
import keepalive_record
import keepalive_tasks
from keepalive_bench import FULL, QUICK, Bench, Sizes
from keepalive_call import Call, Part
from keepalive_card import Card, NotMeasured
from keepalive_record import NOWHERE, REPOSITORY, Place
from keepalive_signals import Interrupted, Signals

from gpu_queue.errors import GpuQueueError

START_S = 30.0
"""For the choice of the card and a cold import of torch: before the first part, at no part's cost."""
MOST_S = 540.0
"""All parts, and the start."""

PARTS: dict[str, Part] = {
    "pause": Part(keepalive_gauge.measure_pause, 22),
    "gauge": Part(keepalive_gauge.measure_gauge, 24),
    "band": Part(keepalive_tasks.measure_band, 112),
    "yield": Part(keepalive_beside.measure_yield, 40),
    "watts": Part(keepalive_gauge.measure_watts, 28),
    "tenant": Part(keepalive_beside.measure_tenant, 28),
    "light": Part(keepalive_beside.measure_light, 22),
    "contexts": Part(keepalive_gauge.measure_contexts, 17),
    "calls": Part(keepalive_gauge.measure_calls, 11),
    "starting": Part(keepalive_beside.measure_starting, 38),
    "training": Part(keepalive_tasks.measure_training, 34),
    "agents": Part(keepalive_tasks.measure_agents, 30),
    "smi": Part(keepalive_beside.measure_smi, 22),
    "foreign": Part(keepalive_beside.measure_foreign, 82),
}
"""In this order: an interruption loses what matters least."""
BAND_BESIDES_S = 40.0
"""What the part ``band`` takes besides the band: the start of an agent, and its scripts."""


def main() -> int:
    options = _options()
    if options.merge:
        return _merge(options)
    keepalive_below.adopt()
    signals = Signals()
    signals.install()
    try:
        with ExitStack() as stack:
            stack.callback(keepalive_below.end_all)
            return _report(stack, options, signals)
    except Interrupted:
        assert signals.received is not None
        print(f"gpu-report: interrupted by {signals.received.name}; what was measured is kept", file=sys.stderr)
        return 128 + signals.received


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the keep-alive on one GPU that nobody uses.")
    parser.add_argument("--gpu", default="all", help="index or UUID (default: the first that is free)")
    parser.add_argument("--only", default="", help=f"some of {','.join(PARTS)}; the others stay as they were")
    parser.add_argument("--seconds", type=float, help="for each of the parts, instead of its budget")
    parser.add_argument("--quick", action="store_true", help="a few trials of each, to try it out")
    parser.add_argument("--simulate", action="store_true", help="on a simulated card")
    parser.add_argument("--into", type=Path, help="a directory for results and page, instead of the repository's")
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing: join records of other calls, write them",
    )
    options = parser.parse_args()
    options.parts = [name.strip() for name in options.only.split(",") if name.strip()] or list(PARTS)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"--only {','.join(unknown)}: expected some of {','.join(PARTS)}")
    if options.seconds is not None and options.seconds <= 0:
        parser.error(f"--seconds {options.seconds:g}: expected more than 0")
    options.parts = [name for name in PARTS if name in options.parts]
    return options


def _place(options: argparse.Namespace) -> Place:
    if options.into:
        return Place(options.into, options.into / "keepalive.md")
    return NOWHERE if options.quick or options.simulate else REPOSITORY


def _merge(options: argparse.Namespace) -> int:
    place = _place(options)
    try:
        given = keepalive_record.joined([keepalive_record.read(path) for path in options.merge])
        if place is REPOSITORY and given["device"] == "simulated":
            raise ValueError("a simulated card says nothing about a GPU; to join its records: --into DIR")
        record = place.before(given)
    except (OSError, ValueError) as error:
        print(f"gpu-report: {error}", file=sys.stderr)
        return 1
    place.write(record)
    print(keepalive_page.render(record))
    return 0


# -- one call -------------------------------------------------------------------------------------------------------


def _report(stack: ExitStack, options: argparse.Namespace, signals: Signals) -> int:
    base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpu-report.", ignore_cleanup_errors=True)))
    try:
        _check_torch()
        card = Card(base, is_simulated=options.simulate, wanted=options.gpu)
        place = NOWHERE if card.plant and not options.into else _place(options)
        first = keepalive_record.begun(card, base)
        record = place.before(first)
        bench = Bench(base, card, _sizes(options), stack)
        begun_s = time.monotonic()
        print(f"gpu-report: {card.describe()}; importing torch …", file=sys.stderr, flush=True)
        bench.nursery.take()
    except (GpuQueueError, NotMeasured, RuntimeError, TimeoutError, OSError, ValueError) as error:
        print(f"gpu-report: {_without_hint(error)}. To try the report without a GPU: --simulate", file=sys.stderr)
        return 1
    print(f"gpu-report: {_plan(options)} (torch: {time.monotonic() - begun_s:.0f} s)", file=sys.stderr, flush=True)
    stamp = keepalive_record.stamp(card, first["machine"]["commit"], is_quick=options.quick)
    parts = {name: PARTS[name] for name in options.parts}
    return Call(parts, bench, signals, place, record, stamp, options.seconds).run()


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = QUICK if options.quick else FULL
    if options.seconds is None or options.quick:
        return sizes
    return replace(sizes, band_s=max(10.0, options.seconds - BAND_BESIDES_S))


def _plan(options: argparse.Namespace) -> str:
    budgets = {name: options.seconds or PARTS[name].budget_s for name in options.parts}
    each = ", ".join(f"{name} {budget_s:.0f}" for name, budget_s in budgets.items())
    return f"{len(budgets)} parts, at most {sum(budgets.values()):.0f} s: {each}"


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise NotMeasured(f"torch is not installed for {sys.executable}; the workers need it: pip install torch")


def _without_hint(error: Exception) -> str:
    """One line, without what the agent's messages say of its own ``--simulate``."""
    return str(error).replace(" To try it without GPUs: --simulate 4", "").rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
