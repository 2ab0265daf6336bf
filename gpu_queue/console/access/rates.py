"""How often somebody may be wrong.  Pure: the moment is an argument.

Who is right is never kept out: else any user of the machine could keep the owner out by being wrong for him.
"""

from __future__ import annotations

from collections import OrderedDict, deque

WRONG_MAX = 5
WINDOW_S = 60.0
PEERS_MAX = 1024


class WrongTokens:
    """Counts wrong tokens of each peer."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, peer: str, now: float) -> float:
        """A wrong one came: how long its peer has to wait; 0: it was not too many yet.

        Args:
            peer: its address.
            now: seconds of a clock that never goes back.
        """
        times = self._at.setdefault(peer, deque(maxlen=WRONG_MAX))
        self._at.move_to_end(peer)
        while len(self._at) > PEERS_MAX:
            self._at.popitem(last=False)
        while times and now - times[0] >= WINDOW_S:
            times.popleft()
        if len(times) == WRONG_MAX:
            return WINDOW_S - (now - times[0])
        times.append(now)
        return 0.0
