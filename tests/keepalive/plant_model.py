"""A GPU as its gauge shows it: a duty goes in, readings of a window come out, late, noisy and as whole numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

TICK_S = 1 / 60


@dataclass
class Plant:
    """Utilisation follows the duty at once; the gauge shows its mean over a window that ended some time ago."""

    window_s: float
    lag_s: float
    gain: float
    noise_percent: float
    chance: random.Random
    foreign: Callable[[float], float] = lambda now_s: 0.0
    """Somebody else's busy share at a moment; the gauge shows the union, taken as independent."""
    history: list[float] = field(default_factory=list)
    """True utilisation in percent, a value each tick since the beginning."""

    @property
    def now_s(self) -> float:
        return len(self.history) * TICK_S

    def run(self, duty: float, seconds: float) -> None:
        """The worker obeys this duty for some time."""
        for _ in range(round(seconds / TICK_S)):
            ours = min(1.0, self.gain * duty)
            self.history.append(100 * (1 - (1 - ours) * (1 - self.foreign(self.now_s))))

    def truth(self, over_s: float) -> float:
        """Mean utilisation over the time before this moment."""
        return self._mean(0.0, over_s)

    def reading(self) -> int:
        """What the driver says now."""
        shown = self._mean(self.lag_s, self.window_s) + self.chance.uniform(-self.noise_percent, self.noise_percent)
        return int(min(100.0, max(0.0, shown)))

    def _mean(self, lag_s: float, window_s: float) -> float:
        end = max(0, len(self.history) - round(lag_s / TICK_S))
        start = max(0, end - round(window_s / TICK_S))
        missing = round(window_s / TICK_S) - (end - start)  # before the beginning the card was idle
        return sum(self.history[start:end]) / max(1, end - start + missing)
