"""Logs that grow are handed to the server from time to time, so that another host's ``gpu_tail`` shows them."""

from __future__ import annotations

from gpu_queue.agent.livetry import Stage
from gpu_queue.agent.tries import Tries
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Failed, Storage

PUSH_LOGS_EVERY_S = 3.0
"""On a network filesystem: so late, and the reader's own second, another host's gpu_tail shows what a task prints."""


class Logs:
    """Hands the logs of running tries to the storage thread; on a local disk there is nothing to do."""

    def __init__(self, spool: NodeSide, storage: Storage, tries: Tries, now: float) -> None:
        self._spool = spool
        self._storage = storage
        self._tries = tries
        self._due = now
        self._is_out = False

    def _running(self) -> tuple[str, ...]:
        if self._spool.mount.is_local or self._is_out:
            return ()
        tries = self._tries.live.values()
        return tuple(self._spool.paths.log(one.claim) for one in tries if one.stage is Stage.RUNNING)

    def next_at(self) -> float:
        """When the next push is due."""
        return self._due if self._running() else float("inf")

    def advance(self, now: float) -> None:
        """Push if it is due."""
        logs = self._running() if now >= self._due else ()
        if not logs:
            return
        self._due, self._is_out = now + PUSH_LOGS_EVERY_S, True

        def done(_: Failed | None) -> None:
            self._is_out = False

        self._storage.submit("logs", lambda: self._spool.logs.push(logs), done)
