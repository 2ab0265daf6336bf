"""File events as hints: they make the agent look sooner, and never decide anything.

- On network filesystems other hosts' writes raise none, so the agent polls as well.
- ``watchdog`` reads the events in threads of its own.  They touch no storage: they leave here what they have heard,
  and wake the main loop.  Adding a directory does touch its storage, and is done by the storage thread.
- Each directory has a watch of its own that asks for three events, and at the top of the spool for files that are
  removed: whoever resumes a paused spool removes one.  By itself the library also asks for files that leave, and
  holds all events back for half a second after each, in case the other half of a rename follows: a claim is such a
  leaving.  Over a whole spool it would see both halves, but walk first through all that was ever settled (decision
  0010).
- Where tasks end by the hundred only moves are asked for, and only what somebody waits for wakes the main loop.
- Nothing is stopped at the end: the threads are daemons, and to stop them may wait for hung storage.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
)
from watchdog.observers.api import EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_c import InotifyConstants

_MASK = (
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE_SELF  # it ends the watch and its thread
    | InotifyConstants.IN_ONLYDIR
)
_WHOLE = {EVENT_TYPE_CREATED: False, EVENT_TYPE_CLOSED: True, EVENT_TYPE_MOVED: True, EVENT_TYPE_DELETED: False}

_MOVES = InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_ONLYDIR

Hint = tuple[str, str, bool]
"""Directory, name, and whether the writer has finished with the file."""


class Hints:
    """Watches a few directories."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Nothing is watched yet.

        Args:
            wake: called by other threads when there is something to read.
        """
        self._wake = wake
        self._heard: deque[Hint] = deque()
        logging.getLogger("watchdog").addHandler(logging.NullHandler())  # events lost in a flood are no news

    def add(self, directories: list[str], *, removals: bool = False) -> str:
        """Watch directories; returns why that is not possible, or an empty text.

        Args:
            directories: which.
            removals: also tell of files that are removed there.
        """
        return self._add(directories, _MASK | InotifyConstants.IN_DELETE if removals else _MASK, self._hear)

    def add_moves(self, directories: list[str], is_awaited: Callable[[str, str], bool]) -> str:
        """Watch directories for what is moved there, of which only some is news.

        Args:
            directories: where.
            is_awaited: is asked, by other threads, for directory and name; what is not awaited wakes nobody.

        Returns:
            Why that is not possible, or an empty text.
        """

        def tell(hint: Hint) -> None:
            if is_awaited(hint[0], hint[1]):
                self._hear(hint)

        return self._add(directories, _MOVES, tell)

    def _add(self, directories: list[str], mask: int, tell: Callable[[Hint], None]) -> str:
        for directory in directories:
            try:
                _Emitter(directory, mask, tell).start()
            except OSError as error:
                # inotify's limits (ENOSPC, EMFILE) are the usual cause: polling does the work then.
                return f"file events are off for {directory}: {error.strerror}"
            finally:
                _keep_to_ourselves()
        return ""

    def read(self) -> list[Hint]:
        """What happened since the last call; never waits."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def _hear(self, hint: Hint) -> None:
        self._heard.append(hint)
        self._wake()


class _Emitter(InotifyFullEmitter):
    """One directory's events, told as hints instead of queued.  A "full" one tells a move from a creation."""

    def __init__(self, directory: str, mask: int, tell: Callable[[Hint], None]) -> None:
        super().__init__(EventQueue(), ObservedWatch(directory, recursive=False))
        self._directory = directory
        self._mask = mask
        self._tell = tell

    def get_event_mask_from_filter(self) -> int:  # type: ignore[override]  # one release has a type of its own for it
        return self._mask

    def queue_event(self, event: FileSystemEvent) -> None:
        is_whole = _WHOLE.get(event.event_type)
        name = os.path.basename(os.fsdecode(event.dest_path or event.src_path))
        if event.event_type == EVENT_TYPE_DELETED and os.fsdecode(event.src_path) == self._directory:
            return  # it was watched itself
        if is_whole is not None and not name.startswith(".") and not name.endswith(".ack"):
            self._tell((self._directory, name, is_whole))


def _keep_to_ourselves() -> None:
    """No task inherits a descriptor of inotify: ``watchdog`` opens them without close-on-exec."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return  # no descriptor is left to list them with
    for number in numbers:
        try:
            if os.readlink(f"/proc/self/fd/{number}") == "anon_inode:inotify":
                os.set_inheritable(number, False)
        except OSError:
            continue  # it has been closed meanwhile: that of this listing, or another thread's
