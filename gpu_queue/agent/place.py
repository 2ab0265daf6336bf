"""An agent's place on its node: the lock, the leases and the directories of its tries, which somebody may remove."""

from __future__ import annotations

from collections.abc import Callable

from gpu_queue.agent.tries import Tries
from gpu_queue.errors import SpoolError
from gpu_queue.execution.local import AgentDirectory, NodeDirectory
from gpu_queue.gpus.leases import Leases

HOURLY_S = 3600.0


class Place:
    """One agent's (decision 0020)."""

    def __init__(
        self,
        node: NodeDirectory,
        home: AgentDirectory,
        leases: Leases,
        tries: Tries,
        restore: Callable[[], None],
        say: Callable[[str], None],
        now: float,
    ) -> None:
        self._node = node
        self._home = home
        self._leases = leases
        self._tries = tries
        self._restore = restore
        self._say = say
        self._fresh_at = now
        self.problem = ""
        """Why it cannot be taken again, for people: nothing may be started, for others may take the GPUs for free."""
        self.is_lost = False
        """Another agent has it, and with it the tries."""

    def is_whole(self) -> bool:
        """Whether nobody has removed what tells other agents of this one and of its tries."""
        is_there = self._home.is_sound() and self._leases.is_sound()
        return is_there and all(one.directory.has_lock() for one in self._tries.live.values() if one.is_running)

    def keep_fresh(self, now: float) -> None:
        """Once an hour, keep cleaners of old files from taking it away."""
        if now - self._fresh_at >= HOURLY_S:
            self._fresh_at = now
            self._node.refresh()

    def take(self) -> bool:
        """Make it again; else ``problem`` says why that cannot be done, or ``is_lost`` that another has it by now."""
        try:
            self._node.make()
            self._leases.make()
            if not self._home.is_sound() and not self._home.take_again():
                holder = self._home.holder()[0] or "unknown"
                self._say(
                    f"somebody has removed {self._home.path}, and another agent (process {holder}) has this one's "
                    "place since: what runs here is left to that one"
                )
                self.is_lost = True
                return False
            self._restore()
            self._tries.holdings.restore(self._tries.live.values())
        except (OSError, SpoolError) as error:
            problem = (
                f"somebody has removed {self._node.root}, and it cannot be made again: nothing is started ({error})"
            )
            if problem != self.problem:
                self._say(problem)
            self.problem = problem
            return False
        self._say(f"somebody has removed {self._node.root}, or a part of it: it is made again, with what runs here")
        self.problem = ""
        return True
