"""Tasks that take more of a GPU's memory than they asked for: told once, for others count on what they left.

On a shared server alone; nobody is ended for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpu_queue.agent.cards import Cards
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.notes import Notes
from gpu_queue.agent.tries import Tries
from gpu_queue.units import format_size

EVERY_S = 1.0


class Outgrown:
    """Compares what tries have taken with what they asked for."""

    def __init__(self, tries: Tries, cards: Cards, notes: Notes) -> None:
        """Compare nothing yet.

        Args:
            tries: what runs here.
            cards: what each of them has taken.
            notes: where it is told.
        """
        self._tries = tries
        self._cards = cards
        self._notes = notes
        self._looked_at = float("-inf")
        self._told: set[str] = set()

    def advance(self, now: float) -> None:
        """Look, if it is due, and tell what is new."""
        if now - self._looked_at < EVERY_S:
            return
        self._looked_at = now
        running = [one for one in self._tries.live.values() if one.is_running and one.needs.memory_bytes]
        self._told &= {one.name for one in running}
        for one in running:
            if one.name not in self._told and (more := self._more(one)):
                self._told.add(one.name)
                self._notes.tell(one, more)

    def _more(self, one: LiveTry) -> str:
        asked = one.needs.memory_bytes or 0
        taken = {uuid: self._cards.taken(uuid).get(one.name, 0) for uuid in one.gpus}
        larger = {uuid: size for uuid, size in taken.items() if size > asked}
        if not larger:
            return ""
        most, where = format_size(max(larger.values())), self._indices(larger)
        return (
            f"it has taken {most} of the memory of GPU {where}, and asked for {format_size(asked)}: another task "
            "there may find too little. Let it ask for as much as it takes (--memory)"
        )

    def _indices(self, uuids: Iterable[str]) -> str:
        wanted = set(uuids)
        return ", ".join(str(gpu.index) for gpu in self._cards.everything if gpu.uuid in wanted)
