"""What stands below a failure: how its log ends, where that lies, what one types.

Where all runs fail for one reason it is told once: the same end is not repeated, and of many failures within a minute
only the first have their logs shown.  The summary at the end has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_queue.experiments.progress.lines import Glyphs
from gpu_queue.experiments.progress.logs import log_end
from gpu_queue.experiments.progress.nouns import Item
from gpu_queue.experiments.progress.sentences import commands, log_of

SHOWN_A_MINUTE = 10


class Failures:
    """Remembers which ends were shown."""

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._shown: dict[tuple[str, ...], str] = {}
        self._minute = 0
        self._count = 0

    def of(self, item: Item, now: float) -> Iterator[str]:
        """The lines below it, as others wrote them: whoever shows them cleans them.

        Args:
            item: a run that failed.
            now: epoch seconds.
        """
        if item.standing.outcome == "refused" or not item.standing.task_id:
            return
        yield from (f"  {line}" for line in self._end(item, now))
        yield self._glyphs.dot.join(filter(None, (log_of(item), *commands(item))))

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
