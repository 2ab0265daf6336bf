"""Readings of GPUs over the last minutes, as nodes told them while somebody looked.  Pure."""

from __future__ import annotations

from collections import deque

from gpu_queue.console.models.living import RECENT_S, Sample
from gpu_queue.console.world.attention import IDLE_PERCENT
from gpu_queue.console.world.living import gpu_key
from gpu_queue.spool.snapshot.view import Snapshot

SAMPLES_MAX = 120


class Gauges:
    """What each GPU told lately."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[Sample]] = {}
        self.idle_since: dict[str, float] = {}
        """GPUs that were below ``IDLE_PERCENT`` under a task at each look, and since when, by the server's clock."""

    def add(self, seen: Snapshot, now_s: float) -> None:
        """What a snapshot tells; a page that was seen before adds nothing."""
        written = {one.node: one.written_s for one in seen.nodes}
        present = set()
        for one in seen.gpus:
            key, percent, at_s = gpu_key(one.node, one.page.uuid), one.page.utilization_percent, written[one.node]
            present.add(key)
            if percent is not None and percent < IDLE_PERCENT and one.claims:
                self.idle_since.setdefault(key, at_s if at_s is not None else now_s)
            else:
                self.idle_since.pop(key, None)
            recent = self._recent.setdefault(key, deque(maxlen=SAMPLES_MAX))
            if at_s is not None and (not recent or at_s > recent[-1].at_s):
                recent.append(Sample(at_s=at_s, percent=percent))
        for gone in self._recent.keys() - present:
            del self._recent[gone]
            self.idle_since.pop(gone, None)

    def recent(self, now_s: float) -> dict[str, list[Sample]]:
        """Utilisation of the last ``RECENT_S``, and one reading before: a line has to begin somewhere."""
        found = {}
        for key, samples in self._recent.items():
            young = [one for one in samples if one.at_s >= now_s - RECENT_S]
            found[key] = young or list(samples)[-1:]
        return found
