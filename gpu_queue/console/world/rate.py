"""What looking has cost the storage over the last minute.  Pure."""

from __future__ import annotations

from collections import deque

OVER_S = 60.0


class Rate:
    """Counts that grow, noted now and then."""

    def __init__(self) -> None:
        """Nothing is noted yet."""
        self._noted: deque[tuple[float, int, int]] = deque()

    def note(self, now: float, listings: int, opens: int) -> None:
        """What there was in all at a moment (monotonic)."""
        self._noted.append((now, listings, opens))
        # One that is older stays: the minute has to begin somewhere.
        while len(self._noted) > 2 and self._noted[1][0] <= now - OVER_S:
            self._noted.popleft()

    def per_s(self, now: float) -> tuple[float, float]:
        """Listings and opens a second, over the last minute or as long as there is something to tell.

        The first look, which reads all there is, counts among those of its minute.
        """
        if not self._noted or self._noted[-1][0] <= now - OVER_S:
            return 0.0, 0.0
        first, last = self._noted[0], self._noted[-1]
        span_s = min(OVER_S, max(now - first[0], 1.0))
        return (last[1] - first[1]) / span_s, (last[2] - first[2]) / span_s
