"""Keeping the history of the queues that a console shows: one reader a queue, one database each.

Where somebody looks on, what he is shown is taken; else the node files are read each half a minute.  The databases
lie on the console's own machine, whose disk may hang as well: they are read and written in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from gpu_queue.conf import home_of
from gpu_queue.console.history.ledgers import Ledgers
from gpu_queue.console.history.minutes import Minutes
from gpu_queue.console.history.owners import Owners
from gpu_queue.console.history.store import Store
from gpu_queue.console.keys import key_of
from gpu_queue.console.world.storage import Lane, StorageCrowded, StorageSilent
from gpu_queue.console.world.world import World
from gpu_queue.console.world.worlds import NoSuchSpool, Worlds
from gpu_queue.spool import files
from gpu_queue.spool.pages import NodePage, read_page
from gpu_queue.spool.paths import SpoolPaths, safe_name
from gpu_queue.spool.snapshot.view import Presence
from gpu_queue.spool.store import listing

TICK_S = 2.0
READ_EVERY_S = 30.0
WRITE_EVERY_S = 60.0
CALL_S = 20.0
LAST_S = 3.0
NODES_MAX = 256
WORLDS_MAX = 64
SETTLES_S = 45.0
"""A minute is written that long after it is over: node files come each half a minute."""


def directory_of(environment: Mapping[str, str]) -> str:
    """Where the databases lie."""
    state = environment.get("XDG_STATE_HOME", "")
    home = state if os.path.isabs(state) else f"{home_of(environment)}/.local/state"
    return f"{home}/gpu-queue/console"


def path_of(directory: str, paths: SpoolPaths) -> str:
    """Of a queue's database: named after it, and after where it lies, for another may be called the same."""
    root = os.path.realpath(paths.root)
    name = safe_name(os.fsencode(os.path.basename(root)))
    return f"{directory}/{name}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:8]}.sqlite"


@dataclass
class Kept:
    """One queue."""

    paths: SpoolPaths
    lane: Lane
    """Calls on shared storage."""
    disk: Lane
    """Calls on the database."""
    ledgers: Ledgers
    owners: Owners
    minutes: Minutes = field(default_factory=Minutes)
    marks: dict[str, float] = field(default_factory=dict)
    """When the page was written that was taken last, by node."""
    read_at_s: float = float("-inf")
    written_at_s: float = float("-inf")
    store: Store | None = None
    problem: str = ""
    """Why nothing is kept, or what became of the database that was there; empty: all is well."""

    def take(self, node: str, page: NodePage, written_s: float) -> None:
        """A page, unless it was taken before."""
        if self.marks.get(node, float("-inf")) >= written_s:
            return
        if len(self.marks) > 4 * NODES_MAX:
            self.marks.clear()
        self.marks[node] = written_s
        for gpu in page.gpus:
            self.minutes.add(f"{key_of(node)}/{gpu.uuid}", written_s, gpu)


class Histories:
    """All of them.  For the event loop."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, is_kept: bool = True) -> None:
        """Nothing is opened yet.

        Args:
            environment: tells where the databases lie; None: the process's.
            is_kept: False: nothing is sampled, and none is opened.
        """
        self.directory = directory_of(os.environ if environment is None else environment)
        self.is_kept = is_kept
        self._kept: dict[str, Kept] = {}
        self._is_ending = False
        self._running: asyncio.Task[None] | None = None

    def begin(self, worlds: Worlds) -> None:
        """Sample from now on (:meth:`run`)."""
        self._running = asyncio.get_running_loop().create_task(self.run(worlds))

    async def end(self) -> None:
        """Write what was not written yet, and let others write."""
        self._is_ending = True  # before Python 3.12 wait_for may swallow that it was cancelled
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def of(self, paths: SpoolPaths) -> Kept:
        """One queue's."""
        kept = self._kept.get(paths.root)
        if kept is None:
            if len(self._kept) >= WORLDS_MAX:
                self._forget(next(iter(self._kept)))
            name = os.path.basename(paths.root)
            kept = Kept(paths, Lane(f"{name} node files"), Lane(f"{name} history"), Ledgers(paths), Owners(paths))
            self._kept[paths.root] = kept
        return kept

    def _forget(self, root: str) -> None:
        kept = self._kept.pop(root)
        if kept.store is not None:
            kept.store.close()

    async def run(self, worlds: Worlds, clock: Callable[[], float] = time.time) -> None:
        """Sample until it is told to end; then what was not written yet is.

        Args:
            worlds: the queues: the one that is meant where none is named, and those that were looked at.
            clock: epoch seconds.
        """
        if not self.is_kept:
            return
        try:
            while not self._is_ending:
                for world in await self._wanted(worlds):
                    await self.step(world, clock())
                await asyncio.sleep(0 if self._is_ending else TICK_S)
        finally:
            for kept in list(self._kept.values()):
                last = partial(self._write, kept, clock(), float("inf"))
                try:
                    await kept.disk.within(LAST_S, last, "the history")
                except (StorageSilent, StorageCrowded):
                    continue
            self.close()

    async def _wanted(self, worlds: Worlds) -> list[World]:
        try:
            default = worlds.default_job
            if default is None and not worlds.open():
                default = (await worlds.listed()).default
            if default is not None:
                await worlds.world(key_of(default))
        except (NoSuchSpool, StorageSilent, StorageCrowded, OSError):
            pass  # there is none, or it cannot be told now
        return worlds.open()

    async def step(self, world: World, now_s: float) -> None:
        """Take what there is of one queue, and write what is whole.  Storage that fails is asked again later."""
        kept = self.of(world.paths)
        seen = world.seen
        try:
            if world.is_watched and seen is not None:
                for view in seen.snapshot.nodes:
                    if view.page is not None and view.written_s is not None and view.presence is Presence.ALIVE:
                        kept.take(view.node, view.page, view.written_s)
            elif time.monotonic() - kept.read_at_s >= READ_EVERY_S:
                kept.read_at_s = time.monotonic()
                pages = await kept.lane.within(CALL_S, lambda: read_pages(world.paths, kept.marks), "the node files")
                for node, page, written_s in pages:
                    if abs(now_s - written_s) < 10 * READ_EVERY_S or node in kept.marks:
                        kept.take(node, page, written_s)
                    kept.marks.setdefault(node, written_s)
            if time.monotonic() - kept.written_at_s >= WRITE_EVERY_S:
                kept.written_at_s = time.monotonic()
                await kept.disk.within(CALL_S, lambda: self._write(kept, now_s, now_s - SETTLES_S), "the history")
        except (StorageSilent, StorageCrowded, OSError):
            return  # it is asked again

    def _write(self, kept: Kept, now_s: float, until_s: float) -> None:
        try:
            store = self.store_of(kept, now_s)
            minutes = kept.minutes.take(until_s)
            if store.is_writer and minutes:
                store.write(minutes, now_s)
        except (sqlite3.Error, OSError) as error:
            kept.problem = f"{path_of(self.directory, kept.paths)}: {error}"

    def store_of(self, kept: Kept, now_s: float) -> Store:
        """The database of a queue; for the thread that asks it.

        Raises:
            OSError: it cannot be opened.
            sqlite3.Error: the same.
        """
        if kept.store is None:
            opened = Store.open(path_of(self.directory, kept.paths), now_s)
            kept.store, kept.problem = opened.store, opened.words
        return kept.store

    def close(self) -> None:
        """Let others write."""
        for root in list(self._kept):
            self._forget(root)


def read_pages(paths: SpoolPaths, marks: Mapping[str, float]) -> list[tuple[str, NodePage, float]]:
    """The node files that have changed, with the moments at which they were written by the storage's clock.

    Args:
        paths: of the queue.
        marks: when each was written that was read before.

    Raises:
        OSError: the storage failed.
    """
    try:
        names = sorted(one for one in listing(paths.nodes) if one.endswith(".json") and not one.startswith("."))
    except FileNotFoundError:
        return []
    found = []
    for name in names[:NODES_MAX]:
        node = name.removesuffix(".json")
        mark = files.mark_of(f"{paths.nodes}/{name}")
        if mark is None or mark[1] / 1e9 <= marks.get(node, float("-inf")):
            continue
        try:
            found.append((node, read_page(f"{paths.nodes}/{name}", node), mark[1] / 1e9))
        except files.FileProblem:
            continue
    return found
