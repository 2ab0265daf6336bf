"""One look at a spool after the other, each with the living document of what it saw.  For one thread."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_queue.config import Settings
from gpu_queue.config.given import Given
from gpu_queue.console.models.living import Band, Living
from gpu_queue.console.models.living import Storage as StorageView
from gpu_queue.console.world.attention import attention_of
from gpu_queue.console.world.living import Around, living_of
from gpu_queue.console.world.titles import Titles
from gpu_queue.errors import SettingsError, SpoolError
from gpu_queue.policy import believed, read_config
from gpu_queue.spool.desk.entrance import is_made
from gpu_queue.spool.desk.watching import TOUCH_EVERY_S, touch_watched
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.looks import Cost
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.stamps import Stamps
from gpu_queue.spool.snapshot.view import Snapshot

CONFIG_EVERY_S = 10.0


@dataclass(frozen=True)
class Seen:
    """What was seen last."""

    snapshot: Snapshot
    now_s: float
    """The file server's clock then."""
    at_s: float
    """Our monotonic clock then."""
    took_s: float


class Looker:
    """Looks, and keeps what the next look need not read again."""

    def __init__(self, job: str, paths: SpoolPaths, cost: Cost, *, read_only: bool) -> None:
        """Nothing is read yet.

        Args:
            job: the spool's key.
            paths: its paths.
            cost: what the looks cost is added there.
            read_only: nothing may be written there, not even that somebody looks.
        """
        self._job = job
        self._paths = paths
        self._read_only = read_only
        self._titles = Titles(paths)
        self._reader = SnapshotReader(paths, may_write=not read_only, cost=cost)
        self._cost = cost
        self._stamps = Stamps()
        self._is_made = False
        self._touched_at_s = self._config_at_s = float("-inf")
        self._band = _band(Settings())

    def look(
        self, began_s: float, idle_since: Mapping[str, float], *, everything: bool, is_watched: bool
    ) -> tuple[Seen, Living]:
        """Look once.

        Args:
            began_s: monotonic, now.
            idle_since: of GPUs that stand still under a task since when, by the server's clock.
            everything: all directories are listed, whenever they were listed last.
            is_watched: somebody looks on: agents are to tell what their GPUs do as it changes.
        """
        made = self._check(began_s)
        if made and is_watched and not self._read_only and began_s - self._touched_at_s >= TOUCH_EVERY_S:
            touch_watched(self._paths)
            self._touched_at_s = began_s
        if began_s - self._config_at_s >= CONFIG_EVERY_S:
            self._config_at_s = began_s
            self._read_band(began_s)
        snapshot = self._reader.refresh(began_s, everything=everything)
        told = self._titles.of(snapshot)
        ended_s = time.monotonic()
        now_s = time.time() if snapshot.clock is None else snapshot.clock.now_s(ended_s)
        around = Around(self._job, self._paths.root, self._band, made, StorageView(seen_at_s=None), told)
        living = living_of(snapshot, around, attention_of(snapshot, idle_since, now_s))
        return Seen(snapshot, now_s, ended_s, ended_s - began_s), living

    def _check(self, now: float) -> bool:
        """Whether there is a queue; its PROTOCOL is read when it may be another one."""
        if self._stamps.is_due(self._paths.protocol, now, is_urgent=not self._is_made):
            self._cost.opens += 1
            self._is_made = _is_made(self._paths)
        return self._is_made

    def _read_band(self, now: float) -> None:
        """Where agents of this spool hold the utilisation, as far as its config.yaml says so."""
        if not self._stamps.is_due(self._paths.config, now):
            return
        self._cost.opens += 1
        try:
            config = read_config(self._paths.config, believed(Settings()), is_shared=False)
        except SettingsError:
            self._stamps.forget(self._paths.config)
            return
        low, high = (config.values.get(f"keepalive.gpu_util_{name}") for name in ("target", "high"))
        ours = _band(Settings())
        self._band = Band(low=_number(low, ours.low), high=_number(high, ours.high))


def _band(settings: Settings) -> Band:
    band = settings.keepalive.band
    return Band(low=band.low, high=band.high)


def _number(given: Given | None, otherwise: float) -> float:
    return float(given.value) if given is not None and isinstance(given.value, (int, float)) else otherwise


def _is_made(paths: SpoolPaths) -> bool:
    try:
        return is_made(paths)
    except SpoolError:
        return os.path.isdir(paths.root)
