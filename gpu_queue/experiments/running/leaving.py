"""Taking an agent down: what runs goes back to the queue, where it waits for the next time."""

from __future__ import annotations

import time

from gpu_queue.experiments.running.interrupts import Interrupts
from gpu_queue.experiments.running.session import Session
from gpu_queue.spool.commands import Command
from gpu_queue.spool.desk import stopping
from gpu_queue.spool.paths import SpoolPaths

LEAVES_S = 60.0
"""What runs has some seconds to save what it has."""
TICK_S = 0.1


def take_down(paths: SpoolPaths, session: Session, interrupts: Interrupts) -> bool:
    """End the agent on this machine, and wait until it has gone, or a signal comes.

    Returns:
        Whether it has gone.

    Raises:
        SpoolError: it cannot be told.
    """
    own = session.own
    if own is None:
        page = session.here.page if session.here is not None else None
        if page is None:
            return True
        answers = stopping.ask(paths, Command("", "", "shutdown"), [page])
        return bool(answers)
    own.tell_to_leave()
    deadline = time.monotonic() + LEAVES_S
    while own.status() is None:
        if interrupts.wait(TICK_S) is not None or time.monotonic() > deadline:
            return False
    return True
