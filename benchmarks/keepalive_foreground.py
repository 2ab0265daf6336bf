#!/usr/bin/env python3
"""What a person's program does to a card: starts CUDA, waits for a word, multiplies without a pause, and counts.

One word a line on standard input: ``go``, ``stop``, ``end``.  On standard output a JSON list for each mark:
what (``context``, ``mark``, ``stopped``), the moment (monotonic seconds), products so far.  On a simulated card it is
a load in the plant, whose kernels take twice as long while another one runs, as those of the engine ``cpu`` do.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections.abc import Callable

MARK_S = 0.1
SIZE = 4096
KERNEL_S = 0.004


def main() -> None:
    parser = argparse.ArgumentParser(description="A foreground program, for the report.")
    parser.add_argument("--uuid", required=True)
    parser.add_argument("--plant", default="", help="of the simulated load; empty: a real card")
    options = parser.parse_args()
    product = _simulated(options.plant, options.uuid) if options.plant else _real(options.uuid)
    _say("context", 0)
    count, is_going, marked_at = 0, False, 0.0
    while True:
        word = _word(0.0 if is_going else None)
        if word == "end":
            return
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


def _real(uuid: str) -> Callable[[], None]:
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    import torch  # noqa: PLC0415  after the card is chosen, and not at all for a simulated one

    a = torch.randn(SIZE, SIZE, dtype=torch.float16, device="cuda")
    b, c = torch.randn_like(a), torch.empty_like(a)
    torch.mm(a, b, out=c)
    torch.cuda.synchronize()

    def product() -> None:
        torch.mm(a, b, out=c)
        torch.cuda.synchronize()

    return product


def _simulated(plant: str, uuid: str) -> Callable[[], None]:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from gpu_queue.gpus.plant import Load, Plant  # noqa: PLC0415

    load, others = Load(plant, uuid), Plant(plant)
    load.hold(512 << 20)

    def product() -> None:
        begin_ns = time.monotonic_ns()
        is_shared = others.is_busy(uuid, begin_ns, besides=load)
        end_ns = begin_ns + int(KERNEL_S * (2 if is_shared else 1) * 1e9)
        load.book(begin_ns, end_ns)
        time.sleep(max(0, end_ns - time.monotonic_ns()) / 1e9)

    return product


if __name__ == "__main__":
    main()
