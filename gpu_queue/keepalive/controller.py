"""How hard a filler works, from what the device says about its utilisation.  Pure: readings in, duty out.

- The duty is the share of time in which the worker has a kernel running, 0..1.  A perfect worker on a perfect gauge
  reads as its duty, so the first duty is the aim of the band: feed-forward does most of the work.
- What the gauge shows for a duty (the gain) is estimated from the readings: one that surprises is believed, since
  the plant has changed (a clock went down, a kernel takes longer); others are averaged, so noise moves nothing.
- A reading speaks of the past: of a window of up to 1 s that ended up to 1 s ago.  So after a change that matters
  the next readings are left out: they mix both duties.  This is what keeps the loop from ringing.
- Zones, in the readings' percent: below ``threshold`` to the duty that the estimate asks for, at once; from there to
  ``low`` the same, but in two steps if the reading may be noise; within the band leave alone, as long as the estimate
  lies within ``DEAD_PERCENT`` of the aim, else drift to it, so that it does not sit on an edge; above ``high`` slow
  down as from below.
- Nothing winds up: the duty is bounded, the estimate is bounded, and there is no sum of errors.
- Without readings the duty stays as it is, from the start the aim: open loop.
"""

from __future__ import annotations

from gpu_queue.band import Band

LEAST_DUTY = 0.05
MOST_DUTY = 1.0
"""Launches follow each other without a pause then; a word to the worker is still heard between two of them."""
DEAD_PERCENT = 2.0
PERIOD_S = 1.0
"""How often a reading is taken into account; what comes sooner after the last one is left out."""
_SOONEST_S = 0.85 * PERIOD_S
_SETTLED_S = 2.35
"""So long after a change the readings speak of the new duty, but for a remainder: they show a window of up to 1 s,
for as long, and are a mean over half a second."""
_MOVED_DUTY = 0.03
"""A smaller change hides in the noise: the readings need not wait for it."""
_KI = 0.3
_SURPRISE_PERCENT = 9.0
"""More than noise makes (4, and as much for the estimate)."""
_LEAST_WEIGHT = 0.2
_GAIN_BOUNDS = (0.5, 2.5)
_SATURATING_PERCENT = 94.0
_SILENT_S = 10.0
"""So long without a reading is open loop."""
_BLIND_AFTER = 10
"""So many readings of 0 in a row, while the filler works, are no readings."""


class Controller:
    """The duty of one GPU's filler.  Call ``step`` with each reading, once a second or more often.

    ``restart`` says that the worker begins, or works again after a pause: what was learned stays.  Make a new one for
    a new worker, or a new band.
    """

    def __init__(self, band: Band) -> None:
        self._band = band
        self._gain = 1.0
        self._seen = 0
        self._zeros = 0
        self._heard_s: float | None = None
        self._stepped_s: float | None = None
        self._moved_s: float | None = None
        self._duty = self._wanted()

    @property
    def duty(self) -> float:
        """What the worker is to do until the next step."""
        return self._duty

    @property
    def is_open_loop(self) -> bool:
        """No readings stand behind the duty: there are none, or the gauge does not show the filler."""
        return self._heard_s is None

    def restart(self, now_s: float) -> None:
        """The worker begins to work at this moment (monotonic): readings of what was before say nothing."""
        self._moved_s = now_s

    def step(self, now_s: float, reading_percent: float | None, *, hold: bool = False) -> float:
        """Take a reading into account, and tell the duty, 0.05..1.

        Args:
            now_s: monotonic; a reading sooner than 0.85 s after the last one that counted is left out.
            reading_percent: utilisation as the device reports it; None: it could not be read.
            hold: someone else may be at work on the card: the reading is not only ours, the duty stays.
        """
        if self._moved_s is None:
            self._moved_s = now_s
        if reading_percent is None:
            if self._heard_s is not None and now_s - self._heard_s > _SILENT_S:
                self._heard_s = None
            return self._duty
        if reading_percent > 0:
            self._heard_s = now_s
        if hold:
            return self._duty
        if now_s - self._moved_s < _SETTLED_S:
            return self._duty
        if self._stepped_s is not None and now_s - self._stepped_s < _SOONEST_S:
            return self._duty
        self._stepped_s = now_s
        if reading_percent <= 0:
            return self._nothing_seen(now_s)
        self._zeros = 0
        self._learn(min(reading_percent, 100.0))
        return self._correct(now_s, reading_percent)

    def _nothing_seen(self, now_s: float) -> float:
        """0 while the filler works is no answer to the duty: after some, go on without the gauge."""
        self._zeros += 1
        if self._zeros == _BLIND_AFTER:
            self._heard_s = None
            self._gain, self._seen = 1.0, 0
            self._move(now_s, self._wanted())
        return self._duty

    def _learn(self, reading_percent: float) -> None:
        # near its end the gauge tells less than the load: 100 stands for 100 and more
        beyond = max(0.0, reading_percent - _SATURATING_PERCENT)
        measured = (reading_percent + beyond) / 100 / self._duty
        surprise = abs(reading_percent - min(100.0, 100 * self._gain * self._duty))
        if surprise > _SURPRISE_PERCENT or reading_percent < self._band.threshold:
            self._seen = 0
        self._seen += 1
        weight = max(_LEAST_WEIGHT, 1 / self._seen)
        gain = self._gain + weight * (measured - self._gain)
        self._gain = min(max(gain, _GAIN_BOUNDS[0]), _GAIN_BOUNDS[1])

    def _correct(self, now_s: float, reading_percent: float) -> float:
        error = self._band.aim - 100 * self._gain * self._duty
        if self._band.low <= reading_percent <= self._band.high:
            if abs(error) > DEAD_PERCENT:
                self._move(now_s, self._duty + _KI * (self._wanted() - self._duty))
        else:
            self._move(now_s, self._wanted())
        return self._duty

    def _wanted(self) -> float:
        """The duty that reads as the aim, by what is known of the gain."""
        return min(max(self._band.aim / 100 / self._gain, LEAST_DUTY), MOST_DUTY)

    def _move(self, now_s: float, duty: float) -> None:
        if abs(duty - self._duty) > _MOVED_DUTY:
            self._moved_s = now_s
        self._duty = min(max(duty, LEAST_DUTY), MOST_DUTY)
