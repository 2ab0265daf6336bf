"""What a log of 1 GB costs the console: windows, a search of all of it, the count of its lines, memory.

``python benchmarks/console/logs.py [--bytes N] [--directory DIR]`` makes the log, measures, and removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_queue.console.logs.lines import LineIndex
from gpu_queue.console.logs.opening import Opened, opened
from gpu_queue.console.logs.rows import Blocks, sgr_before, window
from gpu_queue.console.logs.searching import search, wanted

WINDOWS = 500
ROWS = 300
NEEDLE = "RuntimeNeedle"


def make_log(path: Path, size: int) -> None:
    """Lines in colours, bars without newlines, lines of 100,000 columns, no text; a rare word at its end."""
    part = b"".join(
        b"step %d loss 0.%05d \x1b[32mok\x1b[0m lr 3e-4 tokens/s 18234 eta 3h12m\n" % (one, one)
        for one in range(4000)
    )
    part += b"".join(b"\reval: %3d%%|####      |" % (one % 101) for one in range(2000)) + b"\n"
    part += b"w" * 100_000 + b"\n\xff\xfe<script>alert(1)</script>\n"
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(part)
        file.write(f"{NEEDLE}: here\n".encode())


def look(file: Opened, anchor: int) -> int:
    """What the route of windows does."""
    blocks = Blocks(file.read, file.size)
    found = window(blocks, anchor, ROWS, ROWS)
    sgr_before(blocks, found.first)
    return len(found.rows)


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_bytes(of: str = "VmHWM") -> int:
    """The most resident memory since it was forgotten; `VmRSS`: at this moment."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(of))


def search_all(file: Opened, text: str) -> tuple[int, int]:
    """Hits and requests."""
    what, at, hits, requests = wanted(text), 0, 0, 0
    while True:
        found = search(file.read, file.size, what, at)
        hits, requests = hits + found.count, requests + 1
        if found.next is None:
            return hits, requests
        at = found.next


def count_all(file: Opened) -> int:
    """Slices until all lines are counted."""
    index, slices = LineIndex(), 1
    while not index.count(file.read, file.size):
        slices += 1
    return slices


def measure(path: Path) -> dict[str, Any]:
    """All figures; times in seconds."""
    chosen = random.Random(7)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak, which is that of making the log
    before = peak_bytes("VmRSS")
    with opened(str(path.parent), path.name) as file:
        first_s = seconds(lambda: look(file, file.size))
        random_s = sorted(seconds(lambda: look(file, chosen.randrange(file.size))) for _ in range(WINDOWS))
        hits, requests = search_all(file, NEEDLE)
        if hits != 1:
            raise SystemExit(f"{path}: the search found {hits} of 1")
        return {
            "bytes": file.size,
            "window_at_end_s": round(first_s, 4),
            "window_median_s": round(statistics.median(random_s), 4),
            "window_p99_s": round(random_s[len(random_s) * 99 // 100], 4),
            "search_exact_s": round(seconds(lambda: search_all(file, NEEDLE)), 2),
            "search_any_case_s": round(seconds(lambda: search_all(file, NEEDLE.lower())), 2),
            "search_two_words_s": round(seconds(lambda: search_all(file, f"{NEEDLE}|Absent")), 2),
            "search_requests": requests,
            "index_s": round(seconds(lambda: count_all(file)), 2),
            "memory_added_bytes": peak_bytes() - before,
            "load": round(os.getloadavg()[0], 1),
        }


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--directory", default=None, help="where the log is made; its filesystem is what is measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        path = Path(directory, "a.log")
        make_log(path, chosen.bytes)
        print(json.dumps(measure(path), indent=1))


if __name__ == "__main__":
    main()
