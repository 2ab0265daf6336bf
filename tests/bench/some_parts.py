"""A report of made-up parts on a simulated card, in a process of its own: for how a call goes, not for numbers.

``some_parts.py DIRECTORY SECONDS NAME...``: ``good``, ``raises``, ``cannot``, ``sleeps`` (which starts what would
outlive it), ``looks``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import keepalive_below
import keepalive_record
from keepalive_bench import QUICK, Bench, Values
from keepalive_call import Call, Part
from keepalive_card import Card, NotMeasured
from keepalive_record import Place
from keepalive_signals import Interrupted, Signals


def good(bench: Bench, values: Values) -> None:
    values["value"] = 1
    bench.notes.append("a note")


def raises(bench: Bench, values: Values) -> None:
    raise RuntimeError("CUDA error: out of memory")


def cannot(bench: Bench, values: Values) -> None:
    raise NotMeasured("nvidia-smi is not found")


def sleeps(bench: Bench, values: Values) -> None:
    values["half"] = 1
    # One below us, and one whose parent has gone, in a session of its own: as the shim of a dead agent is.
    started = subprocess.Popen(["sleep", "1000"])
    subprocess.run(["sh", "-c", "setsid sleep 1000 & echo $! >orphan"], cwd=bench.base, check=True)
    (Path(sys.argv[1]) / "pids").write_text(f"{started.pid} {(bench.base / 'orphan').read_text()}")
    print("asleep", flush=True)
    time.sleep(1000)


def looks(bench: Bench, values: Values) -> None:
    """Which of them the part before has left."""
    pids = map(int, (Path(sys.argv[1]) / "pids").read_text().split())
    values["left"] = [pid for pid in pids if pid in keepalive_below.descendants(os.getpid())]


def main() -> int:
    into = Path(sys.argv[1])
    base = Path(tempfile.mkdtemp(dir=into))
    keepalive_below.adopt()
    signals = Signals()
    signals.install()
    parts = {name: Part(globals()[name], float(sys.argv[2])) for name in sys.argv[3:]}
    try:
        with ExitStack() as stack:
            stack.callback(keepalive_below.end_all)
            card = Card(base, is_simulated=True)
            record = keepalive_record.begun(card, base)
            stamp = keepalive_record.stamp(card, "abc1234", is_quick=True)
            place = Place(into, into / "keepalive.md")
            bench = Bench(base, card, QUICK, stack)
            return Call(parts, bench, signals, place, place.before(record), stamp).run()
    except Interrupted:
        assert signals.received is not None
        return 128 + signals.received


if __name__ == "__main__":
    sys.exit(main())
