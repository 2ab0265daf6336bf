"""A spool, as those need it who make and run plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from gpu_queue.console.models.living import StreamNote
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.view import Snapshot

T = TypeVar("T")


class Sight(Protocol):
    """A spool, as plans need it."""

    @property
    def job(self) -> str:
        """Its name."""

    @property
    def paths(self) -> SpoolPaths:
        """Its paths."""

    async def fresh(self, *, everything: bool = False) -> Snapshot:
        """The spool as it is now; with ``everything`` whatever was looked at lately."""

    async def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Call something that reads the storage, in a thread; raises where the storage does not answer."""

    def say(self, note: StreamNote) -> None:
        """Tell those who look on; from any thread."""
