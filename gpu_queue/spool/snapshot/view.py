"""What a person may see of a spool: an immutable, bounded, comparable view.  Pure.

A ``Snapshot`` is made by ``reader.SnapshotReader``.  Parts that did not change are the very objects of the
snapshot before, and ``versions`` counts the changes of each, so that comparing is cheap.

>>> from gpu_queue.spool.paths import SpoolPaths
>>> reader = SnapshotReader(SpoolPaths("/home/a/gpu_queue/exp"))    # doctest: +SKIP
>>> seen = reader.refresh(time.monotonic())                         # doctest: +SKIP
>>> seen.counts.waiting, [task.title for task in seen.waiting[:3]]  # doctest: +SKIP
(14, ['big_moe_8x.sh', 'eval.sh', 'sweep.sh'])

Names come as they are in the directory (``os.fsencode`` gives their bytes); a ``title`` may be shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from gpu_queue.reasons import Code, Reason, reason, telling
from gpu_queue.spool.events import Event
from gpu_queue.spool.pages import GpuPage, NodePage, TryPage
from gpu_queue.spool.paths import title_of
from gpu_queue.spool.snapshot.settled import SettledTask, SettledTasks
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask, WaitingTasks
from gpu_queue.states import AgentState
from gpu_queue.task import Claim, End, State
from gpu_queue.texts import printable

SILENT_AFTER_S = 90.0
"""A node file that is older: the agent is probably gone (docs/spool.md, "The node file")."""
RUNNING_MAX = 10_000
GPUS_MAX = 1024
PROBLEMS_MAX = 100
REASONS_MAX = 1000
"""Of one node; it publishes a hundred."""


class Presence(str, Enum):
    """Whether a node's agent is alive, as far as its file tells."""

    ALIVE = "alive"
    SILENT = "silent"  # no sign of life for SILENT_AFTER_S; or claims without any node file
    STOPPED = "stopped"  # it said that it ends
    GONE = "gone"  # dead, and put away by a peer or a person
    UNKNOWN = "unknown"  # the server's clock is not known yet, and nothing was seen to change


@dataclass(frozen=True)
class ServerClock:
    """The file server's clock, by ours: mtimes are compared with it, never with the clock of a machine."""

    server_s: float
    at_s: float
    """Our monotonic moment at which it showed that."""
    is_exact: bool
    """False: nothing can be written there, and it is at least so late: the newest mtime that was seen."""

    def now_s(self, now: float) -> float:
        """What it shows at a monotonic moment."""
        return self.server_s + now - self.at_s


@dataclass(frozen=True)
class Problem:
    """A file that could not be read, or something that is not known because of that."""

    file: str
    """Below the spool's directory; its control characters are gone."""
    problem: str


@dataclass(frozen=True)
class Flag:
    """A state as a file: ``paused``, ``draining``, ``keepalive-off``."""

    name: str
    by: str
    """Who and why, in their own words; empty where nothing can be read."""


@dataclass(frozen=True)
class QueueView:
    """A serial queue."""

    queue: str
    is_busy: bool
    holders: tuple[str, ...] = ()
    """Ids of the tasks that its tokens name; more than one while a token is taken or broken."""
    pending: int | None = None
    """Tasks of it that wait, as nodes tell; None, here and below: none tells of this queue."""
    running: int | None = None
    done: int | None = None
    """Tasks of it that are, since there is this queue."""
    failed: int | None = None
    """Tasks of it that agents gave up, and that lie in failed/."""
    failures: int = 0
    """How often the task that holds it has failed."""
    rests_until_s: float | None = None
    """Until when that task rests before it is tried again, by the server's clock; None: it does not."""


@dataclass(frozen=True)
class NodeView:
    """A node, by its file."""

    node: str
    presence: Presence
    page: NodePage | None
    """None: there is none that can be read."""
    written_s: float | None = None
    """When its file was written, by the server's clock; ``Snapshot.age_s`` tells how long ago that is."""
    silent_s: float = 0.0
    """Of a silent one: for how long, in whole minutes or hours, so that it is not news each second."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return printable(self.node)

    @property
    def mode(self) -> str:
        """Whose its GPUs are: ``dedicated`` or ``shared``; empty: nobody knows."""
        return "" if self.page is None else self.page.mode


@dataclass(frozen=True)
class GpuView:
    """A GPU, and what runs on it as its node tells."""

    node: str
    page: GpuPage
    claims: tuple[str, ...] = ()
    """Names of claims in running/: several may share it.  Each node of a task over several has that of rank 0."""


@dataclass(frozen=True)
class RunningTask:
    """A claim in running/<node>/."""

    node: str
    name: str
    claim: Claim
    end: End | None
    """Its try has ended so, and an agent moves it on; None: it runs, or is about to."""
    page: TryPage | None = None
    """What its node tells of it: GPUs, stage, seconds; None: nothing."""
    told_s: float | None = None
    """When the node told that, by the server's clock; ``Snapshot.age_s`` tells how long ago that is."""
    parts: tuple[tuple[str, TryPage], ...] = ()
    """What other nodes tell of their parts of it, in the order of ranks."""

    @property
    def task_id(self) -> str:
        """Which task it is a try of."""
        return self.claim.task_id

    @property
    def title(self) -> str:
        """The script's name, as its node tells it; else as the id carries it."""
        return printable(self.page.name) if self.page is not None and self.page.name else title_of(self.claim.task_id)


@dataclass(frozen=True)
class Counts:
    """How many tasks are in each state; None: that directory could never be listed."""

    waiting: int | None = None
    running: int | None = None
    done: int | None = None
    failed: int | None = None


@dataclass(frozen=True)
class Versions:
    """How often each part has changed, for readers that fetch a part when it is another one."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    nodes: int = 0
    flags: int = 0
    queues: int = 0
    events: int = 0
    problems: int = 0


@dataclass(frozen=True)
class Snapshot:
    """A spool at one moment, each task in one place.  Equal snapshots show the same."""

    waiting: WaitingTasks
    running: tuple[RunningTask, ...]
    """By node and name; at most ``RUNNING_MAX``."""
    done: SettledTasks
    failed: SettledTasks
    nodes: tuple[NodeView, ...]
    """By name."""
    gpus: tuple[GpuView, ...]
    """Of the nodes that are alive or silent; at most ``GPUS_MAX``."""
    flags: tuple[Flag, ...]
    queues: tuple[QueueView, ...]
    events: tuple[Event, ...]
    """The newest of all nodes' histories, oldest first."""
    problems: tuple[Problem, ...]
    """What is not known, or old; at most ``PROBLEMS_MAX``."""
    counts: Counts
    cut: frozenset[str] = frozenset()
    """Parts that hold less than there is: ``waiting``, ``running``, ``done``, ``failed``, ``nodes``, ``gpus``,
    ``queues``, ``problems``."""
    clock: ServerClock | None = field(default=None, compare=False)
    """None: nothing was seen yet."""
    versions: Versions = field(default=Versions(), compare=False)

    def age_s(self, written_s: float | None, now: float) -> float | None:
        """How old something is that the server dated so, at our monotonic ``now``; None: nobody knows."""
        if written_s is None or self.clock is None:
            return None
        return max(0.0, self.clock.now_s(now) - written_s)

    def node(self, name: str) -> NodeView | None:
        """A node by its name."""
        return next((one for one in self.nodes if one.node == name), None)

    def flag(self, name: str) -> Flag | None:
        """A flag that is set: ``paused``, ``draining``, ``keepalive-off``."""
        return next((one for one in self.flags if one.name == name), None)

    def find(self, task_id: str) -> WaitingTask | RunningTask | SettledTask | None:
        """Where a task is, by its id; None: nowhere."""
        place = self.waiting.place(task_id)
        if place is not None:
            return self.waiting[place]
        for one in self.running:
            if one.claim.task_id == task_id:
                return one
        return self.failed.find(task_id) or self.done.find(task_id)

    def state_of(self, task_id: str) -> State | None:
        """The state of a task; None: it is nowhere."""
        found = self.find(task_id)
        if isinstance(found, SettledTask):
            return found.state
        if found is None:
            return None
        return State.PENDING if isinstance(found, WaitingTask) else State.RUNNING


# -- assembly -------------------------------------------------------------------------------------------------------


def presence_of(page: NodePage | None, age_s: float | None, *, is_sure: bool) -> Presence:
    """Whether a node's agent is alive.

    Args:
        page: what its file holds, if that can be read.
        age_s: how old that file is at least, by the server's clock; None: there is none.
        is_sure: the age is exact, or the file was seen to change while we looked.
    """
    if page is not None and page.state is AgentState.STOPPED:
        return Presence.STOPPED
    if age_s is None or age_s > SILENT_AFTER_S:
        return Presence.SILENT
    return Presence.ALIVE if is_sure else Presence.UNKNOWN


def coarse_s(age_s: float) -> float:
    """An age that changes once a minute, and once an hour where it is more than an hour."""
    step_s = 60.0 if age_s < 3600 else 3600.0
    return age_s // step_s * step_s


def gpus_of(nodes: Sequence[NodeView]) -> tuple[GpuView, ...]:
    """The GPUs of all nodes that may live."""
    found = []
    for node in nodes:
        if node.page is None or node.presence in (Presence.GONE, Presence.STOPPED):
            continue
        used: dict[int, list[str]] = {}
        for one in node.page.running:
            for index in one.gpus:
                used.setdefault(index, []).append(one.of or one.claim)
        found += [GpuView(node.node, gpu, tuple(used.get(gpu.index, ()))) for gpu in node.page.gpus]
    return tuple(found)


def queues_of(tokens: Sequence[QueueView], nodes: Sequence[NodeView]) -> tuple[QueueView, ...]:
    """The serial queues that have a token, or of which nodes tell, by name.

    What all nodes see the newest page tells; what runs, each tells of itself.

    Args:
        tokens: those that have one.
        nodes: all, with their pages.
    """
    views = {one.queue: one for one in tokens}
    told = [one for one in nodes if one.page is not None and one.presence not in (Presence.GONE, Presence.STOPPED)]
    for node in sorted(told, key=lambda one: one.written_s or 0.0):
        for page in node.page.queues if node.page is not None else ():
            view = views.get(page.queue, QueueView(page.queue, page.is_busy))
            runs = 0 if node.presence is Presence.SILENT else page.running
            rests = None if page.rests_s is None or node.written_s is None else node.written_s + page.rests_s
            views[page.queue] = replace(
                view,
                pending=page.pending,
                running=(view.running or 0) + runs,
                done=max(view.done or 0, page.done),
                failed=page.failed,
                failures=page.failures,
                rests_until_s=rests,
            )
    return tuple(views[queue] for queue in sorted(views))


def reasons_of(nodes: Sequence[NodeView]) -> tuple[dict[str, tuple[NodeReason, ...]], tuple[NodeReason, ...]]:
    """Why tasks wait: by name in pending/ what nodes tell, and what holds for a task that none of them names.

    Of several nodes the one whose reason tells most comes first.
    """
    living = [one for one in nodes if one.presence in (Presence.ALIVE, Presence.UNKNOWN)]
    silent = [
        NodeReason(one.node, reason(Code.SILENT, node=one.title, silent_s=one.silent_s))
        for one in nodes
        if one.presence is Presence.SILENT
    ]
    nobody = [] if living else [NodeReason("", Reason(Code.NO_AGENT))]
    of_nodes = {
        one.node: NodeReason(one.node, one.page.reason)
        for one in living
        if one.page is not None and one.page.reason is not None
    }
    told: dict[str, dict[str, NodeReason]] = {}
    for one in living:
        for waits in one.page.waiting[:REASONS_MAX] if one.page is not None else ():
            told.setdefault(waits.name, dict(of_nodes))[one.node] = NodeReason(one.node, waits.reason)
    shared = (*nobody, *silent)
    return (
        {name: _most_telling_first((*by_node.values(), *shared)) for name, by_node in told.items()},
        _most_telling_first((*of_nodes.values(), *shared)),
    )


def _most_telling_first(reasons: Iterable[NodeReason]) -> tuple[NodeReason, ...]:
    return tuple(sorted(reasons, key=lambda one: telling(one.reason)))
