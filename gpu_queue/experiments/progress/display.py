"""Where progress is shown: on a terminal with rich a screen, else lines."""

from __future__ import annotations

from typing import Protocol

from gpu_queue.experiments.progress.nouns import Progress


class Display(Protocol):
    """Shows progress; what it may not show twice it remembers."""

    def show(self, progress: Progress) -> None:
        """Show it; called some times a second, and what has not changed costs next to nothing."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def close(self) -> None:
        """The last; what is shown stays, and a question may be asked below it.  ``show`` begins anew."""
