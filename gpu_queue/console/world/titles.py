"""How submitters called their tasks, where ids cannot carry it: read once each, for those that are shown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from gpu_queue.console.models.living import ENDED_MAX, RUNNING_MAX, WAITING_MAX
from gpu_queue.spool.paths import SpoolPaths, title_of
from gpu_queue.spool.records import read_title
from gpu_queue.spool.snapshot.view import Snapshot

KEPT_MAX = 4000
EACH_MAX = 50
"""So many are read at a look; the others at the next ones."""


class Titles:
    """The titles of one spool's tasks; for the thread that may wait for its storage."""

    def __init__(self, paths: SpoolPaths) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._kept: OrderedDict[str, str] = OrderedDict()

    def of(self, seen: Snapshot) -> dict[str, str]:
        """By id, of the tasks that are shown; those that their ids tell, or that were not read yet, are left out."""
        found, left = {}, EACH_MAX
        for one in _shown(seen):
            if "_" not in title_of(one):  # what takes the place of all that an id cannot carry
                continue
            if one not in self._kept:
                if not left:
                    continue
                left -= 1
                self._kept[one] = read_title(self._paths, one)
                if len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
            found[one] = self._kept[one]
        return found


def _shown(seen: Snapshot) -> Iterable[str]:
    yield from (one.task_id for one in seen.waiting[:WAITING_MAX] if one.task_id is not None)
    yield from (one.task_id for one in seen.running[:RUNNING_MAX])
    for tasks in (seen.failed, seen.done):
        yield from (one.task_id for one in tasks[:ENDED_MAX])
