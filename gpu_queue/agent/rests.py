"""What this node leaves alone for a while: tasks that could not be started here, and itself when something lacks."""

from __future__ import annotations

from collections.abc import Callable

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.config import Settings
from gpu_queue.scheduling.facts import Limits
from gpu_queue.sharing import Mode
from gpu_queue.task import RetryLimits
from gpu_queue.units import format_exact_duration

NODE_REST_S = 60.0
"""A node that could not start a task for its own reasons (a full local disk) starts none for so long."""


def limits(settings: Settings) -> Limits:
    """What the owner decides about what waits."""
    config = settings.sharing.retry_config if settings.mode is Mode.SHARED else None
    return Limits(settings.cpu_slots, settings.retry_delay_s, retry_config=config, infeasible=settings.infeasible)


def retry_limits(settings: Settings) -> RetryLimits:
    """How often what is tried again; on a shared server a task's own ``--retries`` can only make that less."""
    if settings.mode is not Mode.SHARED:
        return RetryLimits(settings.retries, settings.max_lost, max_again=settings.max_again)
    config = settings.sharing.retry_config
    return RetryLimits(
        config.max_retries,
        settings.max_lost,
        max_again=settings.max_again,
        is_most=True,
        rest_every=config.max_retry_before_backoff if config.backoff_duration_s > 0 else 0,
        rest=format_exact_duration(config.backoff_duration_s),
    )


class Rests:
    """Which tasks rest on this node, and whether the node does.  All times are monotonic seconds."""

    def __init__(self, agenda: Agenda, say: Callable[[str], None]):
        """Nothing rests.

        Args:
            agenda: where it is put that the node's page has something to tell.
            say: tells people what this node lacks.
        """
        self._agenda = agenda
        self._say = say
        self._times: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._node_until = float("-inf")
        self._said = ""
        self.problem = ""
        """Why this node starts nothing at present, for people."""

    @property
    def until(self) -> dict[str, float]:
        """When each task that rests may be tried here again, by its name in pending/."""
        return self._until

    def due(self, now: float) -> float:
        """When one of them has rested."""
        return min((at for at in self._until.values() if at > now), default=NEVER)

    def rest(self, name: str, now: float, first_s: float, max_s: float) -> None:
        """Do not try a task again at once; twice as long each time."""
        self._times[name] = self._times.get(name, 0) + 1
        self._until[name] = now + min(first_s * 2.0 ** min(self._times[name] - 1, 20), max_s)

    def began(self, name: str) -> None:
        """It was started: neither it nor the node needs a rest."""
        self._times.pop(name, None)
        self._until.pop(name, None)
        self.problem = self._said = ""

    def rest_node(self, error: OSError, now: float) -> None:
        """A full local disk, or no room for a process: this node's trouble, and no try of the task's."""
        self._node_until = now + NODE_REST_S
        self.problem = f"this node cannot start tasks ({error}); it tries again every {NODE_REST_S:.0f} s"
        if self.problem != self._said:
            self._say(self.problem)
        self._said = self.problem
        self._agenda.want(Duty.TELL)

    def node_rests(self, now: float) -> bool:
        """Whether this node starts nothing at present."""
        return now < self._node_until

    def node_is_well(self) -> None:
        """It can prepare what a start takes; whether that is all, the next start tells."""
        self.problem = ""
