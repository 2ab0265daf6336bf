"""What stands below a failure: how its log ends, where that lies, what one types.

Where all runs fail for one reason it is told once: the same end is not repeated, and of many failures within a minute
only the first have their logs shown.  The summary at the end has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_queue.experiments.progress.lines import Glyphs, clean, cut
from gpu_queue.experiments.progress.logs import log_end, near, working_directory
from gpu_queue.experiments.progress.nouns import Item, Phase
from gpu_queue.experiments.progress.sentences import commands, log_of

SHOWN_A_MINUTE = 10
COPIED_MAX = 5000
"""Characters of a path and commands, which are not cut."""


class Failures:
    """Remembers which ends were shown."""

    def __init__(self, glyphs: Glyphs) -> None:
        """None was shown yet.

        Args:
            glyphs: what can be shown.
        """
        self._glyphs = glyphs
        self._here = working_directory()
        self._shown: dict[tuple[str, ...], str] = {}
        self._minute = 0
        self._count = 0

    def below(self, item: Item, now: float, columns: int | None = None) -> Iterator[str]:
        """The lines below it, clean.

        Args:
            item: a run that failed, or was cancelled.
            now: epoch seconds.
            columns: lines of logs are cut to these, but the last one, which mostly says why, and what one may want to
                copy; None: nothing is.
        """
        if item.standing.outcome == "refused" or not item.standing.task_id:
            return
        if item.phase is Phase.FAILED:
            *before, last = self._end(item, now) or ("",)
            for line in before:
                text = f"    {clean(line, self._glyphs)}"
                yield text if columns is None else cut(text, columns, self._glyphs)
            if last:
                yield f"    {clean(last, self._glyphs)}"
        yield typed(item, self._here, self._glyphs)

    def _end(self, item: Item, now: float) -> tuple[str, ...]:
        if int(now // 60) != self._minute:
            self._minute, self._count = int(now // 60), 0
        self._count += 1
        if self._count > SHOWN_A_MINUTE or not item.standing.log:
            return ()
        found = log_end(item.standing.log)
        first = self._shown.setdefault(found, item.run.name)
        if found and first != item.run.name:
            return (f"(its log ends as that of {first})",)
        return found or ("(nothing can be read in its log)",)


def typed(item: Item, here: str, glyphs: Glyphs) -> str:
    """Where its log lies and what one types, in a clean line.

    Args:
        item: a run that was tried.
        here: the directory in which it is read.
        glyphs: what can be shown.
    """
    words = filter(None, (near(log_of(item), here), *commands(item)))
    return f"  {clean(glyphs.dot.join(words), glyphs, COPIED_MAX)}"
