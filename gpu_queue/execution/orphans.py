"""Takes the exits of what has lost its parent, where that is the agent's duty: it is process 1 of a container.

- The kernel gives process 1 the children of whoever dies.  Nobody else takes their exits, and each one keeps its pid
  until then: after some ten thousand no process can be started.
- Children of our own are waited for by who started them, within a step.  So only what was found dead twice is taken.
"""

from __future__ import annotations

import os

from gpu_queue.execution.processes import pids, read_process

LOOK_EVERY_S = 2.0


class Orphans:
    """Takes the exits of orphans, for a process that inherits them."""

    def __init__(self) -> None:
        self._found: set[tuple[int, int]] = set()
        self._looked_at = float("-inf")

    def step(self, now: float) -> None:
        """Look, where it is time to.

        Args:
            now: monotonic seconds.
        """
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        dead = {
            (row.pid, row.start_ticks)
            for row in map(read_process, pids())
            if row is not None and row.parent == os.getpid() and row.state == "Z"
        }
        for pid, _ in dead & self._found:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass  # its parent has taken it just now
        self._found = dead
