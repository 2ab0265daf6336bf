"""What the GPUs of this node are used for, written into the spool's history wherever it has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gpu_queue import __version__
from gpu_queue.agent import gauges
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.tries import Tries
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Storage
from gpu_queue.states import GpuState
from gpu_queue.units import format_utc


def began_facts(told_s: float | None) -> dict[str, Any]:
    """What the history has of an agent that begins: nobody knows what became of the GPUs since ``last_at``.

    Args:
        told_s: when the agent before it told of itself last, in epoch seconds; None: there was none, or nobody knows.
    """
    return {"version": __version__, **({} if told_s is None else {"last_at": format_utc(told_s)})}


class History:
    """Hands the changes to the storage thread, and samples the GPUs of running tries."""

    def __init__(
        self, spool: NodeSide, storage: Storage, tries: Tries, cards: Cards, say: Callable[[str], None]
    ) -> None:
        self._spool = spool
        self._tries = tries
        self._cards = cards
        self._changes: Errand[None] = Errand(storage, "event", say)
        self._uses = gauges.Uses()
        self._due = 0.0

    def advance(self, now: float, states: Callable[[], Mapping[str, GpuState]]) -> None:
        """Look, if that is due.

        Args:
            now: monotonic seconds.
            states: of the served GPUs, by UUID.
        """
        if now < self._due:
            return
        self._due = now + gauges.EVERY_S
        gpus = self._cards.everything
        self._tries.note_usage(gpus)
        tries = {uuid: one.name for one in self._tries.live.values() if one.holds_gpus for uuid in one.gpus}
        if self._changes.is_out():
            return  # the storage hangs; afterwards what has become of it all counts
        at = time.time()
        changes = [
            ("gpu", at, change.told()) for change in self._uses.changes(gpus, states(), self._cards.fillers, tries)
        ]
        if changes:
            self._changes.send(lambda: self._spool.events.add(None, *changes))

    def close(self) -> None:
        """The agent ends: from now on nobody tells what the GPUs are used for."""
        at = time.time()
        self._changes.send(lambda: self._spool.events.add(None, ("ended", at, {})), key=object())
