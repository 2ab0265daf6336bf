"""The spools below a queue root, each looked at while somebody looks."""

from __future__ import annotations

import os

from gpu_queue.console.keys import key_of, name_of
from gpu_queue.console.models.living import Counts
from gpu_queue.console.models.spools import SpoolEntry, SpoolList
from gpu_queue.console.phrasebook import REFUSALS
from gpu_queue.console.world.storage import Lane, StorageCrowded
from gpu_queue.console.world.world import World
from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk.entrance import named
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SPOOLS_MAX = 1000
WORLDS_MAX = 64
"""Spools that are kept in memory; those that nobody looks at are let go."""


class NoSuchSpool(Exception):
    """There is no queue of that name: a code of ``phrasebook.REFUSALS``."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(REFUSALS[code].filled(params)[0])
        self.code = code
        self.params = params


class Worlds:
    """All spools of a console.  For the event loop."""

    def __init__(self, queue_root: str, *, default_job: str | None = None, read_only: bool = False) -> None:
        """Nothing is read yet.

        Args:
            queue_root: the directory of all queues.
            default_job: the one that is meant where none is named; it need not exist.
            read_only: nothing may be written in any of them.
        """
        self.queue_root = queue_root
        self.default_job = default_job
        self.lane = Lane("queue root")
        self._read_only = read_only
        self._worlds: dict[str, World] = {}

    def open(self) -> list[World]:
        """Those in memory."""
        return list(self._worlds.values())

    async def world(self, job: str) -> World:
        """A spool by the key of its name; one that is not made yet only where it is the default one.

        Raises:
            NoSuchSpool: there is none.
            StorageSilent: the storage does not tell.
            StorageCrowded: too many are looked at.
        """
        known = self._worlds.get(job)
        if known is not None:
            return known
        try:
            name = name_of(job)
            paths = named(name, self.queue_root)
        except (SpoolError, ValueError) as error:
            raise NoSuchSpool("no_such_spool.name", problem=str(error)) from None
        if name != self.default_job and not await self.lane.within(10.0, lambda: _is_spool(paths), "a queue"):
            raise NoSuchSpool("no_such_spool", queue=key_of(name), root=printable(self.queue_root))
        if len(self._worlds) >= WORLDS_MAX:
            for other, world in list(self._worlds.items()):
                if not world.is_watched and not world.streams:
                    world.close()
                    del self._worlds[other]
            if len(self._worlds) >= WORLDS_MAX:
                raise StorageCrowded(f"{WORLDS_MAX} queues are looked at already; try again later")
        return self._worlds.setdefault(job, World(job, paths, read_only=self._read_only))

    async def listed(self) -> SpoolList:
        """All of them.

        Raises:
            StorageSilent: the storage does not tell.
            OSError: the queue root cannot be listed.
        """
        names = await self.lane.within(10.0, self._names, "the queue root")
        default = self.default_job
        if default is None and len(names) == 1:
            default = names[0]
        if self.default_job is not None and self.default_job not in names:
            names = sorted((*names, self.default_job))
        return SpoolList(
            queue_root=key_of(self.queue_root),
            default=None if default is None else key_of(default),
            spools=[self._entry(key_of(name)) for name in names],
        )

    async def answers(self, timeout_s: float) -> None:
        """Whether the directory of all queues answers, if only by an error.

        Raises:
            StorageSilent: it does not.
        """

        def look() -> None:
            try:
                with os.scandir(self.queue_root) as found:
                    next(found, None)
            except OSError:
                pass

        await self.lane.within(timeout_s, look, "the queue root")

    def _entry(self, job: str) -> SpoolEntry:
        world = self._worlds.get(job)
        seen = None if world is None else world.seen
        if seen is None:
            return SpoolEntry(job=job)
        counts = seen.snapshot.counts
        alive = sum(one.presence.value == "alive" for one in seen.snapshot.nodes)
        return SpoolEntry(
            job=job,
            counts=Counts(waiting=counts.waiting, running=counts.running, done=counts.done, failed=counts.failed),
            agents=alive,
        )

    def _names(self) -> list[str]:
        try:
            names = sorted(os.listdir(self.queue_root))
        except FileNotFoundError:
            return []
        return [
            one
            for one in names[: 10 * SPOOLS_MAX]
            if not one.startswith((".", "-")) and _is_spool(SpoolPaths(f"{self.queue_root}/{one}"))
        ][:SPOOLS_MAX]

    def close(self) -> None:
        """End all streams and threads."""
        for one in self._worlds.values():
            one.close()


def _is_spool(paths: SpoolPaths) -> bool:
    return os.path.lexists(paths.protocol)
