"""Where progress is shown: on a terminal with rich a screen, else lines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol, TextIO

from gpu_queue.experiments.progress.nouns import Progress, Queue
from gpu_queue.experiments.progress.plain import PlainDisplay

WITHOUT_RICH = "with the package rich there is a live screen here: pip install rich"
_NO_SCREEN = frozenset({"", "dumb", "unknown"})


class Display(Protocol):
    """Shows progress; what it may not show twice it remembers."""

    def show(self, progress: Progress) -> None:
        """Show it; called some times a second, and what has not changed costs next to nothing."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def close(self) -> None:
        """Before a question, or when one leaves: what is shown stays.  ``show`` begins anew below it."""

    def end(self, progress: Progress, queue: Queue) -> None:
        """All has ended: the summary takes the place of what is shown."""


def a_display(stream: TextIO, environ: Mapping[str, str]) -> Display:
    """A screen where that can be drawn, else lines.

    Args:
        stream: usually stdout.
        environ: of this process; a TERM that can move no cursor gets lines.
    """
    if not stream.isatty() or environ.get("TERM", "") in _NO_SCREEN or not _is_in_front(stream):
        return PlainDisplay(stream)
    try:
        from gpu_queue.experiments.progress.screen import ScreenDisplay  # noqa: PLC0415  an extra, and it takes its time
    except ModuleNotFoundError:
        plain = PlainDisplay(stream)
        plain.say(WITHOUT_RICH)
        return plain
    return ScreenDisplay(stream)


def _is_in_front(stream: TextIO) -> bool:
    """Whether the terminal is ours: a job in the background would draw over what its user does there."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:
        return True  # it is not the one that controls us: nobody's shell uses it
