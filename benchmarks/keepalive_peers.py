"""Two keep-alives from PyPI, as they come, on the same card: how much of the time they are in the band."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keepalive_numbers import known_percents, mean_w, share_in_band
from keepalive_parts import Bench
from keepalive_rig import Card, NotMeasured, watch
from machine import cpu_of
from rigs import wait_until

PEERS = {
    "keep-gpu": ("keep_gpu.cli", "app", ("--gpu-ids", "{index}", "--interval", "1")),
    "gpu-keepalive": ("gpu_keepalive.cli", "main", ("go", "--gpus", "{index}", "--min", "70", "--target", "77")),
}
"""Each with the interval or the target that comes closest to ours."""
_SETTLE_S = 5.0
_END_S = 5.0


def measure_peers(bench: Bench) -> dict[str, Any]:
    """Each for a few seconds, after a few to settle."""
    if bench.peers is None:
        raise NotMeasured("they know no simulated card")
    bench.peers.wait()
    values: dict[str, Any] = {}
    for name in PEERS:
        try:
            values[name] = _measure(bench, name, bench.peers.directory)
        except (RuntimeError, TimeoutError) as error:
            values[name] = {"problem": str(error)}
            bench.notes.append(f"{name}: {error}")
    return values


def _measure(bench: Bench, name: str, directory: Path) -> dict[str, Any]:
    card, seconds = bench.card, bench.sizes.peer_s
    card.wait_idle(3.0)
    log = bench.base / f"{name}.out"
    with _running(card, name, directory, log) as process:
        time.sleep(_SETTLE_S)
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"it ended at once: {said[-1] if said else 'without a word'}"[:300])
        before, begun_s = cpu_of(process.pid), time.monotonic()
        readings = watch(card, seconds)
        used_s = (cpu_of(process.pid) - before).own_s
        known = known_percents(readings)
        watts, share = mean_w(readings), share_in_band(readings)
        values: dict[str, Any] = {
            "arguments": " ".join(PEERS[name][2]),
            "seconds": seconds,
            "share_percent": None if share is None else round(share, 2),
            "mean_percent": round(sum(known) / len(known), 1) if known else None,
            "watts": None if watts is None else round(watts, 1),
            "cpu_percent": round(100 * used_s / (time.monotonic() - begun_s), 2),
            "memory_percent": round(100 * (card.used_bytes - card.baseline_bytes) / card.total_bytes, 2),
        }
        told_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            wait_until(card.is_back, "the card's memory to be back", 0.002, _END_S)
            values["end_to_memory_back_s"] = round(time.monotonic() - told_s, 3)
        except TimeoutError:
            bench.notes.append(f"{name}: it did not give its memory back within {_END_S:.0f} s of TERM")
    return values


@contextmanager
def _running(card: Card, name: str, directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    module, function, arguments = PEERS[name]
    code = f"import sys; from {module} import {function} as run; sys.argv[0] = {name!r}; run()"
    environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    # They take NVML's indices for CUDA's.
    environment |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PYTHONPATH": str(directory)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *(word.format(index=card.gpu.index) for word in arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        card.wait_empty()
