"""When the node files are written: at the beat, and soon after what people look for has changed."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Failed, Storage
from gpu_queue.spool.pages import NodePage

AT_MOST_EVERY_S = 1.0
AT_MOST_EVERY_LOCAL_S = 0.2
TOUCH_EVERY_S = 60.0
"""Directories that are polled are touched so often: on NFSv3 a listing can get stuck."""
TIDY_EVERY_S = 3600.0
"""What was put away long ago is looked for so often."""


class Beat:
    """Hands the node files to the storage thread."""

    def __init__(
        self, spool: NodeSide, storage: Storage, agenda: Agenda, now: float, say: Callable[[str], None]
    ) -> None:
        self._spool = spool
        self._agenda = agenda
        self._writes: Errand[float] = Errand(storage, "beat", say, trouble="the node file could not be written")
        self._pause_s = AT_MOST_EVERY_LOCAL_S if spool.mount.is_local else AT_MOST_EVERY_S
        self._due = now
        self._written_at = now
        self._touched_at = now
        self._tidied_at = now
        self.ahead_s = 0.0
        """How far the server's clock is ahead of ours."""
        self.when_written: Callable[[], None] | None = None
        """Called once, when the first page can be read."""

    def due(self, now: float) -> float:
        """When the files should be written next."""
        if self._writes.is_out():
            return NEVER
        is_old = self._agenda.at(Duty.TELL) <= now
        return max(min(self._due, now), self._written_at + self._pause_s) if is_old else self._due

    def hurry(self) -> None:
        """Write at the next step: somebody waits for a sign of life."""
        self._agenda.want(Duty.TELL)
        self._written_at = float("-inf")

    def write(self, now: float, page: NodePage, beat_s: float) -> None:
        """Write both files, and from time to time touch and tidy what is polled."""
        touch = now - self._touched_at >= TOUCH_EVERY_S
        if touch:
            self._touched_at = now
        tidy = now - self._tidied_at >= TIDY_EVERY_S
        if tidy:
            self._tidied_at = now
        self._agenda.put_off(Duty.TELL, NEVER)
        self._written_at, self._due = now, now + beat_s

        def done(result: float | Failed) -> None:
            if not isinstance(result, Failed):
                self.ahead_s = result
                if self.when_written is not None:
                    self.when_written()
                    self.when_written = None

        def call() -> float:
            ahead_s = self._spool.beat(page, touch=touch)
            if touch:
                self._spool.mailbox.sweep(time.time() + ahead_s)
                self._spool.reader.sweep(time.time() + ahead_s)
            if tidy:
                self._spool.peers.sweep(time.time() + ahead_s)
            return ahead_s

        self._writes.send(call, done, key=object())  # whoever writes may not wait for the one before
