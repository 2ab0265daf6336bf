"""What the tries of this agent hold of the node's GPUs, and how other agents are told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gpu_queue.agent.livetry import LiveTry
from gpu_queue.gpus.leases import Lease, Leases


class Holdings:
    """One agent's."""

    def __init__(self, leases: Leases, live: Mapping[str, LiveTry], say: Callable[[str], None]) -> None:
        """Begin with what is in hand.

        Args:
            leases: those of this node.
            live: the tries in hand.
            say: tells people.
        """
        self._leases = leases
        self._live = live
        self._say = say

    def gpus(self, *, settling_too: bool = False) -> dict[str, list[Lease]]:
        """What our tries hold, by UUID of the GPU."""
        held: dict[str, list[Lease]] = {}
        for one in self._live.values():
            if one.gpus and (one.holds_gpus or settling_too):
                lease = Lease(one.directory.path, one.reserve_bytes)
                for uuid in one.gpus:
                    held.setdefault(uuid, []).append(lease)
        return held

    def restore(self, tries: Iterable[LiveTry]) -> None:
        """Write down again what these tries have, if they live.

        Raises:
            OSError: the local disk takes it not.
        """
        for one in tries:
            if one.gpus and one.holds_gpus:
                try:
                    self._leases.restore(one.gpus, one.directory.path, one.reserve_bytes)
                except ValueError:
                    continue  # it has ended

    def try_to_restore(self, one: LiveTry) -> None:
        """The same of one of which was written that it has whole cards, for nobody knew how much of them."""
        try:
            if one.reserve_bytes is not None:
                self.restore([one])
        except OSError as error:  # then it has more than it needs
            self._say(f"{one.name}: the node's own directory: {error}")

    def leave(self, one: LiveTry) -> None:
        """Have agents of earlier versions see who else is on the cards that a try has left."""
        try:
            if one.reserve_bytes is not None:
                self._leases.tidy(one.gpus)
        except OSError as error:
            self._say(f"{one.name}: the node's own directory: {error}")
