"""The nouns of plans: which tasks and nodes one is about, and what is known where it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpu_queue.console.jobfiles.loading import Order
from gpu_queue.console.models.plans import ActionName, Plan, PlanRequest
from gpu_queue.console.plans.rewriting import Rewriting
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.snapshot.view import Snapshot
from gpu_queue.task import State

TARGET_BYTES = 500
"""What a task weighs in a plan that is kept."""
FLAGS: Mapping[ActionName, tuple[str, ...]] = {
    "pause": ("paused",),
    "drain": ("draining",),
    "resume": ("paused", "draining"),
    "keepalive_on": ("keepalive-off",),
    "keepalive_off": ("keepalive-off",),
}
"""The flags that an action makes or takes away."""
ON_NODES = ("shutdown", "forget")


@dataclass(frozen=True, slots=True)
class Target:
    """A task that a plan touches, as it was seen."""

    key: str
    """As requests name it: its id, or of a hand drop its name in pending/ (``keys``)."""
    state: State
    name: str
    """In its directory."""
    node: str = ""
    has_id: bool = True

    @property
    def task(self) -> Task:
        """The same for the desk."""
        return Task(self.state, self.name, self.node)


@dataclass(frozen=True)
class Facts:
    """What is known where a plan is made."""

    job: str
    seen: Snapshot
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What waiting tasks come after, by their ids, as far as their records were read."""
    unread: int = 0
    """Waiting tasks whose records were not read: nobody knows what they come after."""
    grace_s: float | None = None
    """Between TERM and KILL."""
    is_kept: bool = False
    """Allocations that end are followed by others (``submit.sh --keep``)."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Names of tasks that their ids cannot carry, by id, as far as they are known."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Whose tasks are, by id, as far as that is known."""


@dataclass(frozen=True)
class Made:
    """A plan, and what it touches."""

    plan: Plan
    request: PlanRequest
    targets: tuple[Target, ...] = ()
    """That something is done to, in the order in which it is done."""
    dependents: tuple[Target, ...] = ()
    """That wait for those, and fail with them."""
    lost: frozenset[str] = frozenset()
    """Keys of what comes after tasks that are stopped: what was stopped stays stopped, and these would fail again."""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """That are shut down or forgotten, with the incarnations of their agents, as far as these are known."""
    policy: Rewriting | None = None
    """A config.yaml that is saved."""

    order: Order | None = None
    """Of a load: what is to be loaded."""
    ends_agent: bool = False
    """The agent that a console has started is ended after it, where nothing else is left for it."""

    def restorable(self, moved: Iterable[tuple[Task, str]]) -> list[str]:
        """Names in failed/ of what can wait again: it was cancelled, and comes after nothing that was stopped.

        Args:
            moved: tasks as they were before, and their names now.
        """
        return [name for task, name in moved if task.state is State.PENDING and task.id not in self.lost]

    @property
    def weight_bytes(self) -> int:
        """What it weighs while it is kept."""
        texts = sum(4 * len(one.text) for one in self.request.scripts)
        texts += 0 if self.policy is None else self.policy.weight_bytes
        return 2000 + TARGET_BYTES * (len(self.targets) + len(self.dependents)) + texts
