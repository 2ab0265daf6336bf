"""A worker's rhythm and a driver's gauge, without waiting: the real pace books real kernels in a plant, in a time of
its own, and the plant is read as the agent reads a card."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

from gpu_queue.gpus.plant import Load, Plant
from gpu_queue.keepalive.pace import Pace
from gpu_queue.keepalive.protocol import WorkerSpec

UUID = "GPU-0"
SPEC = WorkerSpec(UUID, "matmul", 0, 0, 0)
TICK_S = 0.1
"""As often does an agent read a card that has a worker."""
MEAN_OF = 5


class Gauge:
    """One worker on one card whose driver averages over a window.

    Args:
        directory: of the plant.
        window_s: of the driver's gauge.
        kernel_s: what one launch takes.
        late_s: how much too late a rest ends at most.
        keeps_value: the driver computes its value once for each window, and not anew for each reading.
        seed: of all chance.
    """

    def __init__(
        self,
        directory: Path,
        window_s: float,
        kernel_s: float = SPEC.tile_s,
        late_s: float = 0.001,
        *,
        keeps_value: bool = False,
        seed: int = 1,
    ) -> None:
        self.now = 1000.0
        self.launches = 0
        self.busy = 0.0
        """The worker's share of the last half second, as it reports it."""
        self._chance = random.Random(seed)
        self._pace = Pace(SPEC.period_s, kernel_s, self._chance.random)
        self._plant, self._load = Plant(str(directory), window_s), Load(str(directory), UUID)
        self._window_s = window_s
        self._kernel_s, self._late_s, self._keeps_value = kernel_s, late_s, keeps_value
        self._shown, self._shown_until = 0, 0.0
        self._recent: deque[int] = deque(maxlen=MEAN_OF)
        self._reports: deque[float] = deque([0.0] * MEAN_OF, maxlen=MEAN_OF)

    def run(self, duty: float) -> tuple[int, float]:
        """The worker obeys a duty until the next reading; that reading, and the mean of the last half second."""
        tick = self.now - (self.now % TICK_S) + TICK_S
        self._pace.obey(duty, 3.0, self.now)
        busy_s = 0.0
        while self.now < tick:
            wait_s = min(self._pace.wait_s(self.now), tick - self.now)
            if wait_s > 0:
                self.now += wait_s + self._chance.uniform(0, self._late_s)
                continue
            kernel_s = self._kernel_s * self._chance.uniform(0.97, 1.03)
            self._load.book(round(self.now * 1e9), round((self.now + kernel_s) * 1e9))
            self._pace.ran(kernel_s)
            self.now += kernel_s
            self.launches += 1
            busy_s += kernel_s
        self._reports.append(busy_s / TICK_S)
        self.busy = min(1.0, sum(self._reports) / MEAN_OF)
        self._recent.append(self._read(tick))
        return self._recent[-1], sum(self._recent) / len(self._recent)

    def _read(self, now: float) -> int:
        if self._keeps_value and now < self._shown_until:
            return self._shown
        usage = self._plant.read(round(now * 1e9))
        self._shown, self._shown_until = round(100 * usage[UUID].busy_share), now + self._window_s - 1e-6
        return self._shown

    def close(self) -> None:
        self._load.close()
