"""How often an agent looks at what.  Pure.

File events make it look sooner; this is for filesystems that raise none, and the numbers keep an idle agent below
two listings a second on shared storage (``tests/faults/test_listings.py`` counts them).  They are in units of
``poll``, the time between two looks at pending/.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BUSY = {"own": 2.0, "commands": 2.0, "root": 5.0, "peers": 10.0}
IDLE = {"own": 5.0, "commands": 3.0, "root": 5.0, "peers": 10.0}
"""Own claims, control/, the top of the spool, the other nodes."""


@dataclass
class Cadence:
    """Says at each look at pending/ what else is due."""

    poll_s: float
    _looked_at: dict[str, float] = field(default_factory=dict)

    def due(self, now: float, *, is_busy: bool, everything: bool = False) -> frozenset[str]:
        """What is to be looked at now.

        Args:
            now: monotonic seconds.
            is_busy: something runs here, or did a moment ago.
            everything: a file event came from elsewhere than pending/, or somebody wants to know.
        """
        # A look is rarely made to the very millisecond: half a poll early is on time.
        every = BUSY if is_busy else IDLE
        late = {
            what
            for what in every
            if now - self._looked_at.get(what, float("-inf")) >= (every[what] - 0.5) * self.poll_s
        }
        found = late | {"own", "commands", "root"} if everything else late
        for what in found:
            self._looked_at[what] = now
        return frozenset(found)
