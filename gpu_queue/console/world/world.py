"""One spool that somebody looks at: a thread that refreshes its snapshot, and a stream for all who look."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from gpu_queue.console.lists.pages import TaskLists
from gpu_queue.console.logs.counting import Indices
from gpu_queue.console.logs.follow import Followers
from gpu_queue.console.logs.sources import Places
from gpu_queue.console.models.living import Living, StreamNote
from gpu_queue.console.models.living import Snapshot as SnapshotReply
from gpu_queue.console.models.living import Storage as StorageView
from gpu_queue.console.world.deltas import Ring, encode, parse_id, without_nulls
from gpu_queue.console.world.gauges import Gauges
from gpu_queue.console.world.looking import Looker, Seen
from gpu_queue.console.world.rate import Rate
from gpu_queue.console.world.storage import Lane, StorageSilent
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.looks import Cost
from gpu_queue.spool.snapshot.taskfiles import TaskFiles
from gpu_queue.spool.snapshot.view import Snapshot
from gpu_queue.texts import printable

T = TypeVar("T")

_log = logging.getLogger("gpu_queue.console")

EVERY_S = 2.0
LINGERS_S = 30.0
"""So long a spool is looked at after the last one who looked has left."""
KEPT_S = 300.0
"""So long what was read is kept for the next glance, without a look."""
SILENT_S = 5.0
"""A look that takes longer is told of."""
STREAMS_MAX = 64
COMMENT_S = 15.0


class TooManyStreams(Exception):
    """As many streams are open as may be."""


class Unseen(RuntimeError):
    """Something in a spool that nobody thought of kept it from being looked at; the log tells what."""


class World:
    """One spool.  All methods but those of the thread belong to the event loop."""

    def __init__(self, job: str, paths: SpoolPaths, *, read_only: bool = False, every_s: float = EVERY_S) -> None:
        """Nothing is read yet.

        Args:
            job: the spool's name.
            paths: its paths.
            read_only: nothing may be written there, not even that somebody looks.
            every_s: between two looks.
        """
        self.job = job
        self.paths = paths
        self.files = TaskFiles(paths)
        """For calls in the lane ``tasks`` only; and so are:"""
        self.lists = TaskLists(paths)
        self.tasks = Lane(f"{job} tasks")
        self.logs = Lane(f"{job} logs", width=2)
        self.jobfiles = Lane(f"{job} job files", width=2)
        self.followers = Followers(self.logs)
        self.indices = Indices(self.logs)
        self.places = Places()
        self.ring = Ring()
        self.refreshes = 0
        self.cost = Cost()
        self.rate = Rate()
        self.rate.note(time.monotonic(), 0, 0)
        self._read_only = read_only
        self._every_s = every_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._wanted: list[tuple[asyncio.Future[Seen], bool]] = []
        self._looking_since_s: float | None = None
        self._last_wanted_s = self._last_glance_s = float("-inf")
        self._is_resting = False
        self._streams = 0
        self._news = asyncio.Event()
        self._closed = False
        self._seen: Seen | None = None
        self._complete_at_s: float | None = None
        self._gauges = Gauges()
        self._living: Living | None = None
        self._overseer: asyncio.Task[None] | None = None

    # -- who looks ---------------------------------------------------------------------------------------------------

    @property
    def seen(self) -> Seen | None:
        """What was seen last; None: nothing yet."""
        return self._seen

    @property
    def streams(self) -> int:
        """How many look on."""
        return self._streams

    @property
    def is_watched(self) -> bool:
        """Whether it is looked at."""
        return self._thread is not None and not self._is_resting

    async def fresh(self, *, everything: bool = False, timeout_s: float = 15.0) -> Snapshot:
        """The spool as it is now.

        Args:
            everything: all directories are listed, whenever they were listed last.
            timeout_s: the storage may take so long.

        Raises:
            StorageSilent: it has not answered.
        """
        return (await self._look(everything, timeout_s)).snapshot

    async def latest(self, timeout_s: float = 15.0) -> Seen:
        """What was seen last, where that is young; else what there is to see now.

        Raises:
            StorageSilent: nothing was seen yet, and the storage does not answer.
        """
        self.attend()
        seen = self._seen
        if seen is not None and (time.monotonic() - seen.at_s < 2 * self._every_s or self._silent() is not None):
            return seen
        return await self._look(False, timeout_s)

    async def complete(self, max_age_s: float = 5.0) -> Snapshot:
        """The spool after all its directories were listed, at most so long ago: for what is found nowhere.

        Raises:
            StorageSilent: it has not answered.
        """
        at_s = self._complete_at_s
        is_young = at_s is not None and time.monotonic() - at_s < max_age_s
        return await self.fresh(everything=not is_young)

    async def glance(self, timeout_s: float) -> None:
        """Look once, where what was seen last is not young: for monitoring.  No agent is told that somebody looks.

        Raises:
            StorageSilent: the storage does not answer.
        """
        seen = self._seen
        if seen is None or time.monotonic() - seen.at_s >= 2 * self._every_s:
            await self._look(False, timeout_s, is_glance=True)

    async def _look(self, everything: bool, timeout_s: float, *, is_glance: bool = False) -> Seen:
        silent = self._silent()
        if silent is not None:
            raise silent
        future: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._wanted.append((future, everything))
        self.attend(is_glance=is_glance)
        self._wake.set()
        try:
            return await asyncio.wait_for(future, timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise self._silent() or StorageSilent(timeout_s, "the spool's directories") from None

    async def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Call something that reads the storage, in the thread for tasks.

        Raises:
            StorageSilent: it has not come back.
        """
        return await self.tasks.within(timeout_s, function, getattr(function, "__name__", "a call"))

    def say(self, note: StreamNote) -> None:
        """Tell those who look on; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._say, note)

    def _say(self, note: StreamNote) -> None:
        self.ring.say("note", note.model_dump())
        self._tell()

    def close(self) -> None:
        """End all streams and the thread."""
        self._closed = True
        self._tell()
        self._wake.set()
        if self._overseer is not None:
            self._overseer.cancel()

    # -- the document ------------------------------------------------------------------------------------------------

    async def snapshot(self) -> tuple[str, bytes]:
        """The document as it is, with its id.

        Raises:
            StorageSilent: nothing was seen yet, and the storage does not answer.
        """
        await self.latest()
        return self.ring.id, self._snapshot()

    def _snapshot(self) -> bytes:
        assert self._living is not None
        now_s = self._now_s()
        recent = {key: [one.model_dump() for one in samples] for key, samples in self._gauges.recent(now_s).items()}
        return encode({"id": self.ring.id, "now_s": now_s, "living": self.ring.document, "recent": recent})

    def reply(self) -> SnapshotReply:
        """The document, typed: for tests, and for readers inside the console."""
        assert self._living is not None
        now_s = self._now_s()
        return SnapshotReply(id=self.ring.id, now_s=now_s, living=self._living, recent=self._gauges.recent(now_s))

    def _now_s(self) -> float:
        seen = self._seen
        return time.time() if seen is None else round(seen.now_s + time.monotonic() - seen.at_s, 3)

    async def stream(self, after: str = "") -> AsyncIterator[bytes]:
        """Events for one who looks on: a snapshot, or what came after the one that he has; then what changes.

        Raises:
            TooManyStreams: others have to leave first.
            StorageSilent: nothing was seen yet, and the storage does not answer.
        """
        if self._streams >= STREAMS_MAX:
            raise TooManyStreams(f"{STREAMS_MAX} streams are open; ask for the snapshot now and then")
        await self.latest()
        return self._events(parse_id(after, self.ring.epoch))

    async def _events(self, number: int | None) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            yield b"retry: 2000\n\n"
            while not self._closed:
                self.attend()
                messages = None if number is None else self.ring.since(number)
                if messages is None:
                    number = self.ring.number
                    data = self._snapshot()
                    yield b"event: snapshot\nid: %s\ndata: %s\n\n" % (self.ring.id.encode(), data)
                    continue
                for one in messages:
                    number = one.number
                    yield one.encoded(self.ring.epoch)
                if messages:
                    continue  # what came while a slow reader read
                try:
                    await asyncio.wait_for(self._news.wait(), COMMENT_S)
                except (TimeoutError, asyncio.TimeoutError):
                    yield b": %.3f\n\n" % self._now_s()
        finally:
            self._streams -= 1

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    # -- in the event loop -------------------------------------------------------------------------------------------

    def attend(self, *, is_glance: bool = False) -> None:
        """Somebody looks."""
        now = self._last_glance_s = time.monotonic()
        if not is_glance:
            if now - self._last_wanted_s > LINGERS_S / 2:
                self._wake.set()  # it rests, or is about to
            self._last_wanted_s = now
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=f"{self.job} reader", daemon=True)
                self._thread.start()
        if self._overseer is None or self._overseer.done():
            self._overseer = self._loop.create_task(self._oversee())

    def _silent(self) -> StorageSilent | None:
        since_s = self._looking_since_s
        if since_s is None or time.monotonic() - since_s < SILENT_S:
            return None
        return StorageSilent(time.monotonic() - since_s, "the spool's directories")

    async def _oversee(self) -> None:
        """Tell those who look on that the storage does not answer: the thread that waits for it cannot."""
        while self._thread is not None and not self._closed:
            await asyncio.sleep(1.0)
            if self._streams:
                self._last_wanted_s = time.monotonic()
            silent = self._silent()
            if silent is not None and self._living is not None:
                since_s = round(time.time() - silent.silent_s)
                before = self._living.storage
                if before.silent_since_s is None:
                    view = StorageView(
                        silent_since_s=since_s,
                        waits_for=silent.waits_for,
                        seen_at_s=None if self._seen is None else self._seen.now_s,
                    )
                    self._publish(self._living.model_copy(update={"storage": view}))

    def _arrived(self, seen: Seen, living: Living, waiting: list[asyncio.Future[Seen]], is_complete: bool) -> None:
        self._seen = seen
        if is_complete or self._complete_at_s is None:
            self._complete_at_s = seen.at_s
        self.rate.note(seen.at_s, self.cost.listings.total(), self.cost.opens)
        self._gauges.add(seen.snapshot, seen.now_s)
        self._publish(living)
        for one in waiting:
            if not one.done():
                one.set_result(seen)

    def _failed(self, error: Exception, waiting: list[asyncio.Future[Seen]]) -> None:
        for one in waiting:
            if not one.done():
                one.set_exception(Unseen(f"{type(error).__name__}: {error}"))

    def _publish(self, living: Living) -> None:
        self._living = living
        if self.ring.put(without_nulls(living.model_dump()), self._now_s()):
            self._tell()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        looker = Looker(self.job, self.paths, self.cost, read_only=self._read_only)
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, []
            began_s = time.monotonic()
            is_watched = bool(self._streams) or began_s - self._last_wanted_s <= LINGERS_S
            if self._closed or not (is_watched or wanted):
                with self._lock:
                    is_over = began_s - self._last_glance_s > KEPT_S
                    if self._closed or (is_over and not self._wanted):
                        self._thread = None
                        return
                self._is_resting = True
                self._wake.wait(KEPT_S)
                self._wake.clear()
                self._is_resting = False
                continue
            self._looking_since_s = began_s
            everything, waiting = any(one for _, one in wanted), [one for one, _ in wanted]
            try:
                seen, living = looker.look(
                    began_s, self._gauges.idle_since, everything=everything, is_watched=is_watched
                )
                tell = partial(self._arrived, seen, living, waiting, everything)
            except Exception as error:  # whatever somebody put there: others look on, and the next look may do
                _log.exception("the queue %s could not be looked at", printable(self.job))
                tell = partial(self._failed, error, waiting)
            self._looking_since_s = None
            self.refreshes += 1
            if self._loop is not None:
                try:
                    self._loop.call_soon_threadsafe(tell)
                except RuntimeError:
                    return  # the loop has ended
            self._wake.wait(max(0.05, self._every_s))  # the storage rests, however long the look took
            self._wake.clear()
