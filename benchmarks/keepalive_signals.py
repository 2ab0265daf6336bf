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
        self._is_deferred = False

    def install(self) -> None:
        signal.signal(signal.SIGALRM, self._ring)
        for number in _ASK_TO_END:
            signal.signal(number, self._end)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note, until :meth:`check`, that somebody asks for the end: nothing is torn here."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def check(self) -> None:
        """Obey who has asked for the end meanwhile.

        Raises:
            Interrupted: somebody has.
        """
        if self.received is not None:
            raise Interrupted

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Raise :class:`TimeOver` after so long, and again in what is tidied up after it; or :class:`Interrupted`."""
        before, self._is_deferred = self._is_deferred, False
        signal.setitimer(signal.ITIMER_REAL, seconds, TIDY_S)
        try:
            yield
        finally:
            self._is_deferred = before
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise TimeOver

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received is None:
            self.received = signal.Signals(number)
            if signal.getitimer(signal.ITIMER_REAL)[0]:  # within a part
                signal.setitimer(signal.ITIMER_REAL, TIDY_S, TIDY_S)
            if not self._is_deferred:
                raise Interrupted
