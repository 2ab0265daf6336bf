"""What all requests of a console share."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpu_queue.console.batches.books import BatchBooks
from gpu_queue.console.history.keeper import Histories
from gpu_queue.console.plans.service import Plans
from gpu_queue.console.settings import ConsoleSettings
from gpu_queue.console.timeline.books import Books
from gpu_queue.console.world.worlds import Worlds


@dataclass(frozen=True)
class ConsoleState:
    """One console; it stands in ``app.state.console``."""

    worlds: Worlds
    plans: Plans = field(default_factory=Plans)
    books: Books = field(default_factory=Books)
    batches: BatchBooks = field(default_factory=BatchBooks)
    histories: Histories = field(default_factory=Histories)
    """Kept from its ``begin`` on."""
    settings: ConsoleSettings = field(default_factory=lambda: ConsoleSettings(""))
    """What it was told: whether it only reads, where logs may lie, its base path."""
