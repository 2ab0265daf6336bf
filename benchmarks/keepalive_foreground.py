#!/usr/bin/env python3
"""What a person's program does to a card: starts CUDA, takes memory, multiplies without a pause, and counts.

One word a line on standard input: ``go``, ``stop``, ``end``.  On standard output a JSON list for each event: what,
the moment (monotonic seconds), products so far.  ``starting`` is before its first call to CUDA, ``context`` after its
first product; then ``mark``, ``stopped``; or ``out of memory``, with which it ends (status 3).

On a simulated card it is a load in the plant, whose kernels take twice as long while another one runs, as those of
the engine ``cpu`` do.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections.abc import Callable

MARK_S = 0.05
SIZE = 4096
KERNEL_S = 0.004
BLOCK_BYTES = 1 << 30
OUT_OF_MEMORY = 3


class _OutOfMemory(Exception):
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description="A foreground program, for the report.")
    parser.add_argument("--uuid", default="", help="of the card; empty: the one that it is shown")
    parser.add_argument("--plant", default="", help="of the simulated load; empty: a real card")
    parser.add_argument("--total", type=int, default=0, help="bytes of the simulated card")
    parser.add_argument("--take", type=int, default=0, help="bytes of memory to take right after the start")
    parser.add_argument("--go", action="store_true", help="multiply at once")
    parser.add_argument("--for", type=float, dest="for_s", help="end after so many seconds; nothing is read")
    options = parser.parse_args()
    begin = _simulated(options) if options.plant else _real(options.uuid, options.take)
    _say("starting", 0)
    try:
        product = begin()
    except _OutOfMemory:
        _say("out of memory", 0)
        return OUT_OF_MEMORY
    _say("context", 1)
    _multiply(product, options.go or options.for_s is not None, options.for_s)
    return 0


def _multiply(product: Callable[[], None], is_going: bool, for_s: float | None) -> None:
    count, marked_at, begun_at = 1, 0.0, time.monotonic()
    while for_s is None or time.monotonic() - begun_at < for_s:
        word = "" if for_s is not None else _word(0.0 if is_going else None)
        if word == "end":
            break
        if word:
            is_going = word == "go"
            _say("mark" if is_going else "stopped", count)
        if not is_going:
            continue
        product()
        count += 1
        if time.monotonic() - marked_at >= MARK_S:
            marked_at = time.monotonic()
            _say("mark", count)
    _say("stopped", count)


def _word(wait_s: float | None) -> str:
    """The next word; empty: none has come.  Unbuffered, for what select() does not see would be waited for."""
    if not select.select([0], [], [], wait_s)[0]:
        return ""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return "end"
        line += byte
    return line.decode().strip()


def _say(what: str, count: int) -> None:
    sys.stdout.write(json.dumps([what, time.monotonic(), count]) + "\n")
    sys.stdout.flush()


def _real(uuid: str, take_bytes: int) -> Callable[[], Callable[[], None]]:
    if uuid:
        os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    import torch  # noqa: PLC0415  after the card is chosen, and not at all for a simulated one

    out_of_memory = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError
    held: list[object] = []

    def begin() -> Callable[[], None]:
        try:
            for taken in range(0, take_bytes, BLOCK_BYTES):
                size_bytes = min(BLOCK_BYTES, take_bytes - taken)
                held.append(torch.empty(size_bytes, dtype=torch.uint8, device="cuda"))
            a = torch.randn(SIZE, SIZE, dtype=torch.float16, device="cuda")
            b, c = torch.randn_like(a), torch.empty_like(a)
            torch.mm(a, b, out=c)
            torch.cuda.synchronize()
        except out_of_memory as error:
            raise _OutOfMemory from error

        def product() -> None:
            torch.mm(a, b, out=c)
            torch.cuda.synchronize()

        return product

    return begin


def _simulated(options: argparse.Namespace) -> Callable[[], Callable[[], None]]:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from gpu_queue.gpus.plant import Load, Plant  # noqa: PLC0415

    others = Plant(options.plant)

    def begin() -> Callable[[], None]:
        usage = others.read(time.monotonic_ns()).get(options.uuid)
        wanted_bytes = max(512 << 20, options.take)
        if options.total and (usage.held_bytes if usage else 0) + wanted_bytes > options.total:
            raise _OutOfMemory
        load = Load(options.plant, options.uuid)
        load.hold(wanted_bytes)

        def product() -> None:
            begin_ns = time.monotonic_ns()
            is_shared = others.is_busy(options.uuid, begin_ns, besides=load)
            end_ns = begin_ns + int(KERNEL_S * (2 if is_shared else 1) * 1e9)
            load.book(begin_ns, end_ns)
            time.sleep(max(0, end_ns - time.monotonic_ns()) / 1e9)

        product()
        return product

    return begin


if __name__ == "__main__":
    sys.exit(main())
