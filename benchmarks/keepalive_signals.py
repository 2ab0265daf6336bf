"""What may end a part before its time: its limit, and whoever asks the report to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TIDY_S = 3.0
"""For what a part that was ended has to end itself; then it is left to be ended by force."""
_ASK_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks for the end; no part catches it by mistake."""


class TimeOver(BaseException):
    """A part took longer than it may, or has not tidied up in time."""


class Signals:
    """Those of this process."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first that asked for the end; it is obeyed, and later ones change nothing."""

    def install(self) -> None:
        signal.signal(signal.SIGALRM, self._ring)
        for number in _ASK_TO_END:
            signal.signal(number, self._end)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Raise :class:`TimeOver` after so long, and again in what is tidied up after that."""
        signal.setitimer(signal.ITIMER_REAL, seconds, TIDY_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise TimeOver

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received is None:
            self.received = signal.Signals(number)
            if signal.getitimer(signal.ITIMER_REAL)[0]:  # within a part
                signal.setitimer(signal.ITIMER_REAL, TIDY_S, TIDY_S)
            raise Interrupted
