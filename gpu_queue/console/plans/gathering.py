"""What has to be read for a plan beside the snapshot; it blocks on shared storage, within bounds of time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from gpu_queue.config import TABLE, examine
from gpu_queue.console.plans.dependents import published
from gpu_queue.errors import SettingsError
from gpu_queue.policy import read_config
from gpu_queue.reasons import REASONS_PUBLISHED
from gpu_queue.spool.paths import SpoolPaths, title_of
from gpu_queue.spool.records import read_submission, read_title
from gpu_queue.spool.snapshot.view import Snapshot

READ_S = 1.0
"""So long records are read for a plan; the next one goes on."""
KEPT_MAX = 50_000


class AfterCache:
    """What tasks come after, as their records say, which never change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._after: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def gather(
        self, paths: SpoolPaths, seen: Snapshot, first: Iterable[str] = (), limit_s: float = READ_S
    ) -> tuple[dict[str, tuple[str, ...]], int]:
        """What waiting tasks come after, and of how many nobody knows.

        Args:
            paths: of the spool.
            seen: it.
            first: ids whose own records need not be read.
            limit_s: so long records are read.
        """
        own = set(first)
        deadline = time.monotonic() + limit_s
        found = published(seen.waiting, REASONS_PUBLISHED)
        unread = 0
        with self._lock:
            known = dict(self._after)
        new: dict[str, tuple[str, ...]] = {}
        for one in seen.waiting:
            task_id = one.task_id
            if task_id is None or task_id in own:
                continue
            after = known.get(task_id)
            if after is None and time.monotonic() < deadline:
                after = _read(paths, task_id)
                if after is not None:
                    new[task_id] = after
            if after is None:
                unread += 1
            elif after:
                found[task_id] = tuple({*found.get(task_id, ()), *after})
        with self._lock:
            self._after.update(new)
            while len(self._after) > KEPT_MAX:
                self._after.popitem(last=False)
        return found, unread


def _read(paths: SpoolPaths, task_id: str) -> tuple[str, ...] | None:
    """None: the storage does not tell."""
    try:
        said = read_submission(paths, task_id, None).needs.get("after")
    except OSError:
        return None
    return tuple(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()


def titles(paths: SpoolPaths, ids: Iterable[str]) -> dict[str, str]:
    """The names of tasks that their ids cannot carry."""
    return {one: title for one in ids if (title := read_title(paths, one)) != title_of(one)}


def users(paths: SpoolPaths, ids: Iterable[str], limit_s: float = READ_S) -> dict[str, str]:
    """Whose tasks these are, as far as their records say so, and are read in that time."""
    deadline = time.monotonic() + limit_s
    found: dict[str, str] = {}
    for one in ids:
        if time.monotonic() >= deadline:
            break
        with contextlib.suppress(OSError):
            found[one] = read_submission(paths, one, None).user
    return found


def stop_grace_s(paths: SpoolPaths) -> float | None:
    """Between TERM and KILL, as the spool's config.yaml or the table of settings says; None: nobody can tell.

    An agent that was started with another one keeps to that.
    """
    try:
        config = read_config(paths.config, frozenset({os.geteuid(), 0}), is_shared=False)
    except SettingsError:
        return None
    if "stop_grace" in config.broken:
        return None
    return examine(TABLE, {}, {}, config).settings.stop_grace_s


def is_kept(paths: SpoolPaths) -> bool:
    """Whether allocations that end are followed by others (``submit.sh --keep``)."""
    return os.path.lexists(paths.keep)
