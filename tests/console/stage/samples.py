"""What a console would have kept of a stage's past, had one run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gpu_queue.console.history.minutes import MINUTE_S, Minute, Told
from gpu_queue.console.history.store import Store
from tests.console.stage.past import Span, uuid_of

GIB = 1 << 30
DENSE_S = 26 * 3600.0
"""So much of the past has every minute, what is older one in ten: a demonstration shall begin soon."""
SPARSE_S = 600


def keep_samples(path: str, spans: Sequence[Span], now_s: float, seed: int = 17) -> int:
    """Write a minute for each GPU and minute of a past; returns how many.

    Args:
        path: of the database.
        spans: what each GPU was used for.
        now_s: epoch seconds.
        seed: of the noise.
    """
    store = Store.open(path, now_s).store
    minutes = list(_minutes(spans, now_s - DENSE_S, random.Random(seed)))
    store.write(minutes, now_s)
    store.close()
    return len(minutes)


def _minutes(spans: Sequence[Span], dense_from_s: float, chance: random.Random) -> Iterator[Minute]:
    for span in spans:
        if span.use == "lost":
            continue
        percent, held_gib = {"filler": (77, 48), "foreign": (64, 49)}.get(span.use, (0, 0))
        if span.role is not None:
            percent, held_gib = span.role.percent, span.role.held_gib
        held = Told(held_gib * GIB, held_gib * GIB, held_gib * GIB)
        for at_s in range(int(span.begin_s // MINUTE_S + 1) * MINUTE_S, int(span.end_s), MINUTE_S):
            if at_s < dense_from_s and at_s % SPARSE_S:
                continue
            rests = span.role is not None and (at_s // MINUTE_S + 7 * span.gpu) % 53 < 2
            mean = max(0.0, min(100.0, (0.15 if rests else 1.0) * percent + chance.uniform(-3, 3)))
            load = Told(max(0.0, mean - 8), mean, min(100.0, mean + 6))
            watts = span.machine.watts * (0.11 + 0.0074 * mean)
            degrees = 32 + 0.39 * mean
            told = (load, held, Told(watts * 0.9, watts, watts * 1.06), Told(degrees - 1, degrees, degrees + 1))
            yield Minute(f"{span.machine.node}/{uuid_of(span.gpu)}", at_s, 2, told)
