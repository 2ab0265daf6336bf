"""Ends that nobody ordered: how long to leave a process alone after each, and when it is given up.  Pure."""

from __future__ import annotations

FALLS_MAX = 5
"""So many in a row, without a good spell between, and it is given up."""
GOOD_SPELL_S = 600.0


class Falls:
    """The falls in a row of one process after the other.

    Args:
        first_rest_s: before it is started again after the first; twice as long after each further one.
    """

    def __init__(self, first_rest_s: float) -> None:
        self._first_rest_s = first_rest_s
        self.count = 0
        """How many there were in a row."""

    @property
    def are_too_many(self) -> bool:
        """Whether it is to be given up."""
        return self.count >= FALLS_MAX

    def add(self, lived_s: float) -> float:
        """One more; how long to rest after it, in seconds: no longer than after the one with which it is given up.

        Args:
            lived_s: how long it did what it is there for; after a good spell they are counted anew.
        """
        if lived_s >= GOOD_SPELL_S:
            self.count = 0
        self.count += 1
        return self._first_rest_s * 2.0 ** (min(self.count, FALLS_MAX) - 1)

    def forget(self) -> None:
        """Count anew."""
        self.count = 0
