"""Logs that grow are handed to the server from time to time, so that another host's ``gpu_tail`` shows them."""

from __future__ import annotations

from collections.abc import Callable

from gpu_queue.agent.livetry import log_path
from gpu_queue.agent.tries import Tries
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Storage

PUSH_LOGS_EVERY_S = 3.0
"""On a network filesystem: so late, and the reader's own second, another host's gpu_tail shows what a task prints."""


class Pushing:
    """Hands the logs of running tries to the storage thread; on a local disk there is nothing to do."""

    def __init__(
        self, spool: NodeSide, storage: Storage, tries: Tries, now: float, say: Callable[[str], None]
    ) -> None:
        self._spool = spool
        self._tries = tries
        self._pushed_at = now - PUSH_LOGS_EVERY_S
        self._push: Errand[None] = Errand(storage, "logs", say)

    def due(self, now: float) -> float:  # noqa: ARG002
        """When the next push is."""
        return self._pushed_at + PUSH_LOGS_EVERY_S if self._running() else float("inf")

    def advance(self, now: float) -> None:
        """Push if it is due."""
        logs = self._running() if now - self._pushed_at >= PUSH_LOGS_EVERY_S else ()
        if logs and self._push.send(lambda: self._spool.logs.push(logs)):
            self._pushed_at = now

    def _running(self) -> tuple[str, ...]:
        if self._spool.mount.is_local or self._push.is_out():
            return ()
        return tuple(log_path(one, self._spool.paths) for one in self._tries.live.values() if one.is_running)
