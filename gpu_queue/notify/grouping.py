"""Whether all tasks of a group have ended, and how, by what lies in the spool's directories.

Tasks of a group leave a notice before they end.  Whoever finds none of the group waiting or running any more looks at
these: the last by name is claimed and tells of the end, and the others, which nobody claims as long as a later one is
there, are removed.  So it is told once, whoever looks.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from gpu_queue.notices import GROUP, GROUP_FAILED
from gpu_queue.notify.telling import Members
from gpu_queue.spool import records
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.outbox import group_of
from gpu_queue.spool.paths import SpoolPaths, parse_claim, parse_full, strip_claim, title_of
from gpu_queue.spool.store import listing
from gpu_queue.task import State

READ_MAX = 5000
"""So many records are read for the figures of one group."""


class Groups:
    """The groups of one spool, at one moment."""

    def __init__(self, paths: SpoolPaths) -> None:
        """Look which tasks wait and run.

        Raises:
            OSError: it could not be told.
        """
        self._paths = paths
        self._known: dict[str, tuple[str, str]] = {}
        self.tries: set[tuple[str, str]] = set()
        """Of all claims, ended or not: the task's id and the token."""
        running: set[str] = set()
        # In the order of a task's life, so that one that moves meanwhile is seen twice rather than never; but one
        # that goes back from running/ to pending/ would be missed: pending/ is listed again.
        waiting = self._ids(listing(paths.directory(State.PENDING)))
        for node in listing(paths.all_running):
            try:
                names = listing(f"{paths.all_running}/{node}")
            except NotADirectoryError:
                continue
            for parsed in map(parse_claim, names):
                if parsed is not None:
                    running.add(parsed[0].task_id)
                    self.tries.add((parsed[0].task_id, parsed[0].token))
        self._live = sorted(waiting | running | self._ids(listing(paths.directory(State.PENDING))))

    @staticmethod
    def _ids(names: Iterable[str]) -> set[str]:
        return {full[1] for full in map(parse_full, map(strip_claim, names)) if full is not None}

    def living(self, group: tuple[str, str], task_id: str) -> str | None:
        """The id of a task of this group, another than this one, that waits or runs; None: there is none.

        Raises:
            OSError: it could not be told.
        """
        ids = _nearest(self._live, task_id)
        return next((one for one in ids if one != task_id and self._group(one) == group), None)

    def tells(self, task_id: str, label: str) -> bool:
        """Whether a task says itself that this label is told of its group's end: then it leaves a notice too.

        Raises:
            OSError: it could not be told.
        """
        said = records.read_submission(self._paths, task_id, None)
        wishes = str(said.needs.get("notify", "")).split(",")
        ours = {f"{label}:{event}" for event in (GROUP, GROUP_FAILED)} | ({label} if said.array else set())
        return bool(ours & set(wishes))

    def members(self, group: tuple[str, str], task_id: str) -> Members:
        """How the tasks of a group have ended.

        Raises:
            OSError: it could not be told.
        """
        left = READ_MAX
        found: dict[State, list[str]] = {}
        for state in (State.FAILED, State.DONE):
            ids = _nearest(sorted(self._ids(listing(self._paths.directory(state)))), task_id)
            found[state] = [one for one in ids[: max(0, left)] if self._group(one) == group]
            left -= len(ids)
        failed = tuple(self._title(one) for one in sorted(found[State.FAILED]))
        return Members(len(found[State.DONE]), failed, is_all=left >= 0)

    def _group(self, task_id: str) -> tuple[str, str]:
        if task_id not in self._known:
            self._known[task_id] = key_of(Fields(group_of(records.read_submission(self._paths, task_id, None))))
        return self._known[task_id]

    def _title(self, task_id: str) -> str:
        said = records.read_submission(self._paths, task_id, None)
        run = said.experiment.name if said.experiment is not None else ""
        number = f" {said.array.index}" if said.array is not None else ""
        return run or f"{said.name or title_of(task_id)}{number}"


def key_of(group: Fields) -> tuple[str, str]:
    """Which group it is; two empty texts: none."""
    kind, key = group.raw("kind"), group.raw("key")
    return (kind, key) if isinstance(kind, str) and isinstance(key, str) else ("", "")


def _nearest(ids: list[str], task_id: str) -> list[str]:
    """Ids, those first that were submitted at about the same time: they are of one group most likely."""
    at = bisect.bisect_left(ids, task_id)
    return [ids[number] for number in sorted(range(len(ids)), key=lambda number: abs(number - at))]
