"""What those tasks are called that others wait for, for people: an id cannot carry every title."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from gpu_queue.reasons import AFTER_TOLD, REASONS_PUBLISHED
from gpu_queue.spool import records
from gpu_queue.spool.paths import SpoolPaths, is_id, title_of
from gpu_queue.task import State, Waiting

READ_AT_MOST = 20
"""So many records are read for one look; the next one goes on."""


class Titles:
    """Titles by id; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, allowed_uids: frozenset[int]) -> None:
        self._paths = paths
        self._uids = allowed_uids
        self._known: dict[str, str] = {}
        """Of what is not waiting: empty where nothing but the id is to be told."""

    def look(self, holders: Iterable[str], waiting: Sequence[Waiting]) -> dict[str, str]:
        """The titles that no id can carry, of what reasons speak of; a record is read once.

        Args:
            holders: of busy queues; what is no id is passed over.
            waiting: what waits, in run order.
        """
        named = dict.fromkeys((*holders, *_waited_for(waiting)))
        # A token that is half written, or was written by somebody else, names no task.
        spoken = [one for one in named if is_id(one) and "_" in title_of(one)]
        here = {one.task_id: one.title for one in waiting if one.task_id and one.title} if spoken else {}
        known = self._known | here
        found = {one: known[one] for one in spoken if one in known}
        for one in islice((one for one in spoken if one not in found), READ_AT_MOST):
            try:
                name = records.read_submission(self._paths, one, self._uids).name
            except OSError:
                continue  # the next look asks again
            found[one] = records.told_title(one, name)
        self._known = found
        return {one: title for one, title in found.items() if title}


def _waited_for(waiting: Sequence[Waiting]) -> Iterator[str]:
    """The tasks that reasons name where some wait for others."""
    waiters = (one.upstream for one in waiting if one.upstream)
    for upstream in islice(waiters, REASONS_PUBLISHED):
        yield from islice((one for one, state in upstream if state is not State.DONE), AFTER_TOLD)
        yield from islice((one for one, state in upstream if state is State.FAILED), 1)
