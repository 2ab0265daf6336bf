"""Progress on a terminal: bars and what runs at its foot, failures as lines above them that stay (decision 0027)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from gpu_queue.experiments.progress.drawing import Size, frame
from gpu_queue.experiments.progress.failures import Failures
from gpu_queue.experiments.progress.lines import Glyphs, Ink, Line, clean, wrapped
from gpu_queue.experiments.progress.model import events_between
from gpu_queue.experiments.progress.nouns import Event, Happened, Progress, Queue
from gpu_queue.experiments.progress.painting import Painter
from gpu_queue.experiments.progress.sentences import happened
from gpu_queue.experiments.progress.summary import summary_lines

_SHOWN_BELOW = (Happened.STARTED, Happened.DONE)
"""What the bars and the lines below them tell."""


class ScreenDisplay:
    """Draws on a terminal; rich is needed for it."""

    def __init__(self, stream: TextIO) -> None:
        """Nothing is drawn yet.

        Args:
            stream: a terminal.

        Raises:
            ModuleNotFoundError: rich is not installed.
        """
        self._painter = Painter(stream)
        self._glyphs = Glyphs.of(stream.encoding)
        self._failures = Failures(self._glyphs)
        self._before: Progress | None = None
        self._drawn: tuple[int, tuple[int, int]] | None = None
        self._frame: tuple[Line, ...] = ()
        self._stays = False
        """Something stands above: an empty line keeps it apart."""

    def show(self, progress: Progress) -> None:
        """Draw it, if something is to be seen that was not there before."""
        size = self._painter.size
        above = [line for event in events_between(self._before, progress) for line in self._of(event, size[0])]
        is_same = self._before is not None and self._before.items is progress.items
        is_same = is_same and self._before is not None and self._before.agent == progress.agent
        drawn = int(progress.now), size
        if is_same and drawn == self._drawn and not above:
            return
        self._before, self._drawn = progress, drawn
        # The last column stays empty: behind it each terminal has its own idea of where the cursor is.
        self._frame = frame(progress, Size(size[0] - 1, size[1] - 1), self._glyphs)
        self._stays = self._stays or bool(above)
        if self._stays and len(self._frame) < size[1] - 1:
            self._frame = ((), *self._frame)
        self._painter.paint(self._frame, above)

    def say(self, line: str) -> None:
        """A line that stays, above what is drawn."""
        self._stays = True
        self._painter.paint(self._frame, [((clean(line, self._glyphs), Ink.PLAIN),)])

    def close(self) -> None:
        """What is drawn stays."""
        self._painter.forget()
        self._frame = ()
        self._drawn = None
        self._stays = True

    def end(self, progress: Progress, queue: Queue) -> None:
        """The summary takes the place of what is drawn."""
        size = self._painter.size
        above = [line for event in events_between(self._before, progress) for line in self._of(event, size[0])]
        apart: list[Line] = [()] if above or self._stays else []
        self._painter.paint((), [*above, *apart, *summary_lines(progress, queue, size[0] - 1, self._glyphs)])
        self._before, self._frame, self._drawn = progress, (), None

    def _of(self, event: Event, columns: int) -> Iterator[Line]:
        if event.what in _SHOWN_BELOW:
            return
        word, rest = happened(event)
        is_loud = event.what is Happened.FAILED
        head, *more = wrapped(f"{word.upper() if is_loud else word} {clean(rest, self._glyphs)}", columns - 1)
        ink = Ink.PLAIN if is_loud else Ink.FAINT
        yield (head[: len(word)], Ink.FAILED if is_loud else Ink.FAINT), (head[len(word) :], ink)
        yield from (((line, ink),) for line in more)
        if is_loud and event.item is not None:
            for line in self._failures.below(event.item, event.at, columns - 1):
                yield ((line, Ink.FAINT),)
