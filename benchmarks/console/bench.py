"""What the console costs, held against the budgets of its design: a table for docs/console.md.

    python -m benchmarks.console.bench [--quick]

Each figure is of a console of its own: a process over a queue on a local disk, asked over HTTP as a page asks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import GpuPage, NodePage, write_page
from gpu_queue.spool.paths import SpoolPaths, full_name, make_id
from gpu_queue.states import AgentState, GpuState
from tests.console.served import Served, a_console
from tests.console.stage.past import Machine, make_past

from .logs import make_log, measure
from .row import Row

NODES = 8
STREAMS = 20
MIB = 1 << 20
LINKS_PER_FILE = 10_000


def filled(root: Path, waiting: int, settled: int, nodes: int = NODES) -> SpoolPaths:
    """A queue with so many tasks, as links to few files, and node files that count as alive."""
    paths = SpoolPaths(str(root / "exp"))
    root.mkdir(parents=True, exist_ok=True)
    previous = os.umask(0o077)
    make_spool(paths)
    os.umask(previous)
    begin_s, made = time.time() - 86400, 0
    for state, count in (("pending", waiting), ("done", settled * 95 // 100), ("failed", settled * 5 // 100)):
        source = ""
        for number in range(made, made + count):
            name = full_name(500, make_id(begin_s + number / 10, f"{number & 0xFFFFFF:06x}", b"sweep_lr3_seed7.sh"))
            path = f"{paths.root}/{state}/{name}"
            if (number - made) % LINKS_PER_FILE == 0:
                source = path
                Path(path).write_text("#!/bin/bash\npython train.py --lr 3e-5 --seed 7\n")
            else:
                os.link(source, path)
        made += count  # no id is given twice
    for number in range(nodes):
        write_page(paths, page(f"gpu{number}-{number:08x}", time.time()))
    return paths


def page(node: str, now_s: float) -> NodePage:
    """Of a node with eight GPUs."""
    gpus = tuple(
        GpuPage(f"GPU-{index}", index, "NVIDIA H100 80GB HBM3", GpuState.IDLE, 80 << 30, 0, int(now_s) % 100, 70.0)
        for index in range(8)
    )
    return NodePage(node, "0" * 12, AgentState.SERVING, host=node, pid=1, started_s=now_s, beat_s=now_s, gpus=gpus)


def resident_bytes(pid: int) -> int:
    """As the kernel counts it."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) << 10


@contextmanager
def asked(console: Served) -> Iterator[httpx.Client]:
    """A client with the token."""
    headers = {"Authorization": f"Bearer {console.token}"}
    with httpx.Client(base_url=f"{console.address}api/v1/", headers=headers, timeout=60) as client:
        yield client


@contextmanager
def streams(console: Served, count: int) -> Iterator[None]:
    """So many readers of the stream, as so many browsers have them."""
    over = threading.Event()

    def read() -> None:
        stream = "spools/exp/stream"
        # The console may end first.
        with contextlib.suppress(httpx.HTTPError), asked(console) as client, client.stream("GET", stream) as reply:
            for _ in reply.iter_raw():
                if over.is_set():
                    return

    threads = [threading.Thread(target=read, daemon=True) for _ in range(count)]
    for one in threads:
        one.start()
    yield
    over.set()
    for one in threads:
        one.join(20)


@contextmanager
def beating(paths: SpoolPaths) -> Iterator[None]:
    """Nodes that tell something new every two seconds, as watched ones do."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(2.0):
            for number in range(NODES):
                write_page(paths, page(f"gpu{number}-{number:08x}", time.time()))

    threading.Thread(target=write, daemon=True).start()
    yield
    over.set()


def calls_per_s(pid: int, root: str, seconds: float) -> tuple[float, float]:
    """Directories listed, and files opened, below a path, a second, as strace counts them."""
    with tempfile.NamedTemporaryFile("r") as log:
        command = ["strace", "-f", "-y", "-e", "trace=openat,getdents64", "-o", log.name, "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1.0)  # it attaches to each thread
        before = os.path.getsize(log.name)
        time.sleep(seconds)
        tracer.terminate()
        tracer.wait()
        log.seek(before)
        lines = [line for line in log if root in line]
    opened = [line for line in lines if "openat(" in line and "O_DIRECTORY" not in line and " = -1" not in line]
    listed = {line.split("getdents64(", 1)[1] for line in lines if "getdents64(" in line and " = 0" not in line}
    listings = sum("O_DIRECTORY" in line for line in lines if "openat(" in line)
    return (listings or len(listed)) / seconds, len(opened) / seconds


def took(work: Callable[[], Any], times: int = 5) -> float:
    """The median of some runs, in seconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return sorted(found)[times // 2]


@contextmanager
def a_tab() -> Iterator[Any]:
    """A tab of a browser with nothing in it; None: there is no browser, and the rest is measured."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        yield None
        return
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        browser.close()


def first_load(base: Path) -> Iterator[Row]:
    """Bytes over the wire until the page of the GPUs stands, and where they go."""
    filled(base / "queues", 100, 100)
    with a_console(base) as console, a_tab() as tab:
        if tab is None:
            return
        session = tab.context.new_cdp_session(tab)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        begun = time.perf_counter()
        tab.goto(f"{console.link}")
        tab.get_by_text("gpu0").first.wait_for()
        stood_s = time.perf_counter() - begun
        tab.wait_for_timeout(1500)
        yield Row(
            "first load of `/ui/gpu`, gzip", "< 300 kB", f"{sum(sizes) / 1000:.0f} kB, rows after {stood_s:.2f} s"
        )


def pages(base: Path, waiting: int, settled: int) -> Iterator[Row]:
    """A list of so many tasks in a browser."""
    paths = filled(base / "queues", waiting, settled)
    with a_console(base) as console, beating(paths), a_tab() as tab:
        if tab is None:
            return
        from .scrolling import tasks_page  # noqa: PLC0415

        tab.goto(console.link)
        tab.locator("[data-way=live]").wait_for(timeout=60_000)
        yield from tasks_page(console, tab, waiting + settled)


def log(base: Path, size: int) -> Iterator[Row]:
    """A log as large as they come; benchmarks/console/logs.py tells more of it."""
    path = base / "a.log"
    make_log(path, size)
    found = measure(path)
    window = f"{found['window_at_end_s'] * 1000:.0f} ms, p99 of random ones {found['window_p99_s'] * 1000:.0f} ms"
    search = f"{found['search_exact_s']} s, in any case {found['search_any_case_s']} s"
    told = f"{window}; {search}; lines counted {found['index_s']} s; +{found['memory_added_bytes'] / MIB:.0f} MiB"
    yield Row(f"a log of {found['bytes'] / 1e9:.2f} GB: a window; a search of all of it", "< 1 s", told)


def rows(base: Path, waiting: int, settled: int, budget: str) -> Iterator[Row]:
    """A list of so many tasks: its first window, a filter, its end; and what the server holds with 20 tabs."""
    paths = filled(base / "queues", waiting, settled)
    with a_console(base, by_hand=True) as console, asked(console) as client, beating(paths):
        alone = resident_bytes(console.process.pid)

        def ask(query: str) -> dict[str, Any]:
            reply = client.get(f"spools/exp/tasks?{query}")
            reply.raise_for_status()
            return dict(reply.json())

        begun = time.perf_counter()
        total = ask("state=all&limit=100")["total"]
        first_s = time.perf_counter() - begun
        window_s = took(lambda: ask("state=all&limit=100"))
        end_s = took(lambda: ask(f"state=all&limit=100&offset={total - 100}"))
        filter_s = took(lambda: ask("state=all&limit=100&q=seed7"))
        later = f"again {window_s * 1000:.0f}; end {end_s * 1000:.0f}; filter {filter_s * 1000:.0f} ms"
        told = f"first {first_s:.2f} s; {later}"
        yield Row(f"{total:,} tasks: rows of a window, by the server", budget, told)
        with streams(console, STREAMS):
            time.sleep(6)
            held = resident_bytes(console.process.pid)
        sizes = f"{alone / MIB:.0f}; {held / MIB:.0f} MiB"
        yield Row(f"server alone; with {total:,} tasks and {STREAMS} streams", "< 80; < 200 MiB", sizes)


def share(base: Path, seconds: float) -> Iterator[Row]:
    """What the shared directory is asked for."""
    paths = filled(base / "queues", 500, 5000)
    with a_console(base, "--no-history", by_hand=True) as console, beating(paths):
        for count in (0, 1, STREAMS):
            with streams(console, count):
                time.sleep(4)
                listings, opens = calls_per_s(console.process.pid, paths.root, seconds)
            time.sleep(35 if count == 1 else 0)  # it looks for half a minute after the last one has left
            budget = "0" if not count else f"{2 + NODES / 10:.1f}; {NODES / 2:.0f}"
            what = f"share, {NODES} nodes, {count} streams: listings; opens a second"
            yield Row(what, budget, f"{listings:.1f}; {opens:.1f}")


def timeline(base: Path) -> Iterator[Row]:
    """A week of 64 GPUs."""
    now_s = time.time()
    paths = filled(base / "queues", 10, 10, nodes=0)
    machines = [Machine(f"gpu{number}-{number:08x}", 8) for number in range(8)]
    make_past(paths, machines, now_s, tasks=5000)
    size = sum(os.path.getsize(paths.events(one.node)) for one in machines)
    with a_console(base, by_hand=True) as console, asked(console) as client:

        def ask(seconds: float) -> httpx.Response:
            return client.get("spools/exp/timeline", params={"from": now_s - seconds, "to": now_s})

        begun = time.perf_counter()
        reply = ask(7 * 86400)
        first_s = time.perf_counter() - begun
        count = sum(len(lane["intervals"]) for lane in json.loads(reply.content)["lanes"])
        week_s, day_s = took(lambda: ask(7 * 86400)), took(lambda: ask(6 * 3600))
        later = f"week {week_s * 1000:.0f}, 6 h {day_s * 1000:.0f} ms"
        told = f"first {first_s:.2f} s ({size / MIB:.0f} MiB of events); {later}"
        yield Row(f"timeline, 64 GPUs, 7 days, {count:,} intervals, by the server", "-", told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console.bench", description="What the console costs.")
    parser.add_argument("--quick", action="store_true", help="ten times fewer tasks, shorter looks")
    parser.add_argument(
        "--only", default="", help="parts whose names begin so: first_load, rows, pages, log, share, timeline"
    )
    wanted = parser.parse_args(arguments)
    few = 10 if wanted.quick else 1
    parts: list[tuple[str, Callable[[Path], Iterator[Row]]]] = [
        ("first_load", first_load),
        ("rows", lambda base: rows(base, 10_000 // few, 0, "1 s; 200 ms")),
        ("rows", lambda base: rows(base, 10_000 // few, 100_000 // few, "1 s; 200 ms")),
        ("pages", lambda base: pages(base, 10_000 // few, 0)),
        ("pages", lambda base: pages(base, 10_000 // few, 100_000 // few)),
        ("log", lambda base: log(base, (1 << 30) // few)),
        ("share", lambda base: share(base, 10.0 if wanted.quick else 30.0)),
        ("timeline", timeline),
    ]
    print("| what | budget | measured |\n|---|---|---|", flush=True)
    for name, part in parts:
        if not name.startswith(wanted.only):
            continue
        with tempfile.TemporaryDirectory(prefix="gpu-queue-bench-") as directory:
            for row in part(Path(directory)):
                print(f"| {row.what} | {row.budget} | {row.measured} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
