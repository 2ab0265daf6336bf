"""Progress without a terminal: a line for each event, and each minute one that says how far all of it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TextIO

from gpu_queue.experiments.progress.failures import Failures
from gpu_queue.experiments.progress.lines import Glyphs, clean, text_of
from gpu_queue.experiments.progress.model import events_between
from gpu_queue.experiments.progress.nouns import Event, Happened, Progress, Queue
from gpu_queue.experiments.progress.sentences import agent_in_words, happened, plural, summary, why_first
from gpu_queue.experiments.progress.summary import summary_lines
from gpu_queue.units import format_clock

EVERY_S = 60.0
COLUMNS = 120
"""Of what nobody looks at yet."""
_WORD_COLUMNS = 8
_LOUD = (Happened.FAILED,)


class PlainDisplay:
    """Writes lines."""

    def __init__(self, stream: TextIO) -> None:
        """Nothing is written yet.

        Args:
            stream: where to; each line is there at once.
        """
        self._stream = stream
        self._glyphs = Glyphs.of(stream.encoding)
        self._failures = Failures(self._glyphs)
        self._before: Progress | None = None
        self._told_at = 0.0
        self._agent = ""

    def show(self, progress: Progress) -> None:
        """What has happened, and each minute how far it is."""
        for line in self._lines(progress):
            self._write(progress.now, line)
        self._before = progress

    def say(self, line: str) -> None:
        """A line that stays."""
        self._write(time.time(), self._clean(line))

    def close(self) -> None:
        """Nothing is left to do."""
        self._stream.flush()

    def end(self, progress: Progress, queue: Queue) -> None:
        """The summary, which is no event and has no time."""
        for line in summary_lines(progress, queue, COLUMNS, self._glyphs):
            self._stream.write(f"{text_of(line)}\n")
        self._stream.flush()

    def _lines(self, progress: Progress) -> Iterator[str]:
        before = self._before
        for event in events_between(before, progress):
            yield from self._of(event)
        agent = agent_in_words(progress)
        if agent != self._agent:
            self._agent = agent
            if agent or not progress.is_over:
                yield self._clean(agent) or "the agent serves it"
        if before is None and progress.earlier:
            yield f"{plural(len(progress.earlier), 'run')} done before"
        is_due = before is None or progress.now - self._told_at >= EVERY_S
        if is_due or (progress.is_over and before is not None and not before.is_over):
            self._told_at = progress.now
            yield summary(progress)
            if progress.waiting and not progress.running and why_first(progress.waiting[0]):
                yield self._clean(f"  {progress.waiting[0].run.name}: {why_first(progress.waiting[0])}")

    def _of(self, event: Event) -> Iterator[str]:
        word, rest = happened(event)
        yield self._clean(f"{word.upper() if event.what in _LOUD else word:<{_WORD_COLUMNS}} {rest}")
        if event.what is Happened.FAILED and event.item is not None:
            yield from self._failures.below(event.item, event.at)

    def _clean(self, text: str) -> str:
        return clean(text, self._glyphs)

    def _write(self, now: float, line: str) -> None:
        self._stream.write(f"{format_clock(now)} {line}\n")
        self._stream.flush()
