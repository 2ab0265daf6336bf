"""What all requests of a console share."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpu_queue.console.plans.service import Plans
from gpu_queue.console.timeline.books import Books
from gpu_queue.console.world.worlds import Worlds


@dataclass(frozen=True)
class ConsoleState:
    """One console; it stands in ``app.state.console``."""

    worlds: Worlds
    plans: Plans = field(default_factory=Plans)
    books: Books = field(default_factory=Books)
    is_read_only: bool = False
    log_roots: tuple[str, ...] = ()
    base_path: str = ""
    keeps_history: bool = True
