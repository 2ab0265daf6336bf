"""File events as hints: they make the agent look sooner, and never decide anything.

- On network filesystems other hosts' writes raise none, so the agent polls as well.
- Starting to watch touches shared storage, so it is done by the storage thread; a filesystem that cannot be watched
  costs time, never correctness.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer


class _Handler(FileSystemEventHandler):
    def __init__(self, hint: Callable[[str, str, bool], None]) -> None:
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileClosedEvent):
            self._tell(event.src_path, whole=True)
        elif isinstance(event, FileMovedEvent):
            self._tell(event.dest_path, whole=True)
        elif isinstance(event, FileCreatedEvent):
            self._tell(event.src_path, whole=False)

    def _tell(self, path: str | bytes, *, whole: bool) -> None:
        directory, name = os.path.split(os.fsdecode(path))
        if name and not name.startswith(".") and not name.endswith(".ack"):
            self._hint(directory, name, whole)


EVENTS: list[type[FileSystemEvent]] = [FileClosedEvent, FileMovedEvent, FileCreatedEvent]


class Watch:
    """Watches a few directories."""

    def __init__(self, hint: Callable[[str, str, bool], None]) -> None:
        """Make a watch.

        Args:
            hint: gets the directory, the name, and whether its writer has finished; called in a thread of its own.
        """
        self._handler = _Handler(hint)
        self._observer = Observer()
        self._observer.daemon = True

    def start(self, directories: list[str]) -> str:
        """Begin; returns why it could not, or an empty text."""
        try:
            for directory in directories:
                self._observer.schedule(self._handler, directory, event_filter=EVENTS)
            self._observer.start()
        except OSError as error:
            # inotify's limits (ENOSPC, EMFILE) are the usual cause: polling does the work then.
            return f"file events are off: {error.strerror}"
        return ""

    def stop(self) -> None:
        """End it."""
        if self._observer.is_alive():
            self._observer.stop()
