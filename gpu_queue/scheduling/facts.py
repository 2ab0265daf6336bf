"""What a plan is made from: one node at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from gpu_queue.reasons import Reason
from gpu_queue.scheduling.admission import Card, Policy, Terms, Verdict, dedicated, shared
from gpu_queue.scheduling.gangs import Around
from gpu_queue.sharing import RetryConfig
from gpu_queue.states import GpuState
from gpu_queue.task import Waiting

Demand = tuple[int, "int | None", tuple[int, ...]]
"""What tasks have in common that wait for the same cards: how many, bytes of memory of each, which indices."""


class Phase(str, Enum):
    """What an agent is up to."""

    SERVING = "serving"
    PAUSED = "paused"  # takes nothing new
    DRAINING = "draining"  # takes nothing new, and exits when its tasks have ended
    LEAVING = "leaving"  # requeues what runs, and exits


@dataclass(frozen=True)
class Limits:
    """What the owner of the spool decides about what waits."""

    cpu_slots: int = 4
    """How many tasks of 0 GPUs run at once; 0: none can."""
    retry_delay_s: float = 30.0
    """Before the first retry; doubled for each later one."""
    retry_delay_max_s: float = 3600.0
    retry_config: RetryConfig | None = None
    """On a shared server: retries at once, with a rest after each few; None: the doubling delay above."""
    infeasible: str = "wait"
    """A task that this node can never run: ``wait`` (another node may) or ``fail``."""


@dataclass(frozen=True)
class Facts:
    """One node at one moment."""

    now: float
    """Monotonic seconds."""
    server_now: float
    """The storage server's clock, epoch seconds."""
    phase: Phase
    phase_reason: Reason | None = None
    """None while it serves."""
    gpus: Sequence[Card] = ()
    waiting: Sequence[Waiting] = ()
    """In the order in which they have their turn: run order; on a shared server that of ``order.in_turn``."""
    without_gpu: Sequence[int] | None = None
    """``plan.positions_without_gpu(waiting)``; None: nobody has asked yet."""
    cpu_tasks: int = 0
    """Tasks of 0 GPUs that run here or are on their way."""
    gpu_tasks: int = 0
    """Tasks with GPUs that run here or are on their way; on a shared server also those of his other agents."""
    lifetime_left_s: float | None = None
    waits_at_end: bool = True
    """At the end of its lifetime the agent waits for running tasks: one with another scheduler's limit may begin."""
    resting: Mapping[str, float] = field(default_factory=dict)
    """Tasks that this node could not start, by file name: not again before this monotonic moment."""
    claiming: frozenset[str] = frozenset()
    """Names in pending/ that this node is taking at this moment."""
    in_doubt: frozenset[str] = frozenset()
    """Those of them that it has not won, as far as it knows: another node may have them, or they still wait."""
    busy_queues: Mapping[str, str] = field(default_factory=dict)
    """Busy queues with the ids of the tasks that hold them; empty where nobody may go on now."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What those are called that others wait for, by id, where that is known and no id can carry it."""
    limits: Limits = Limits()
    turn: int = 0
    """The index of the card at which ``select: round_robin`` goes on (``selecting.turn_after``)."""
    serving_since: float = 0.0
    """Since when this agent takes tasks without a pause, in the server's time."""
    ready_since: Mapping[str, float] = field(default_factory=dict)
    """Since when tasks that waited for a queue or for others have only waited for GPUs or slots, in the server's
    time, by file name (``Plan.ready_since`` of the last plan)."""
    kept_since: Mapping[Demand, float] = field(default_factory=dict)
    """Since when others hold what such tasks need, without a break, in the server's time (``Plan.kept_since`` of the
    last plan)."""
    gangs: Around = field(default_factory=Around)
    """What is known of tasks over several nodes."""
    policy: Policy = dedicated
    """Who may get a GPU."""
    terms: Terms = field(default_factory=lambda: Terms(1 << 30))

    def judge(self, card: Card, memory_bytes: int | None = None) -> Verdict:
        """What a card is to a task that asks for so much of its memory."""
        return self.policy(card, memory_bytes, self.terms)

    @property
    def is_shared(self) -> bool:
        """Whether the node is shared with other people."""
        return self.policy is shared

    def states(self) -> dict[str, GpuState]:
        """What each card is to a task that asks for nothing in particular, by UUID."""
        return {card.uuid: self.judge(card).state for card in self.gpus}
