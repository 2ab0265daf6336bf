"""What a node tells of itself, its GPUs, its tries and what waits.

Facts and no layout: whoever shows them lays them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from gpu_queue import PROTOCOL
from gpu_queue.reasons import Reason
from gpu_queue.states import AgentState, GpuState

ToldT = TypeVar("ToldT")
QUEUES_PUBLISHED = 1000


@dataclass(frozen=True)
class KeepPage:
    """What the keep-alive does with one GPU."""

    state: str
    """``off``, ``starting``, ``holding``, ``yielding``, ``backing off``, ``failed``."""
    reason: str = ""
    """For people."""
    duty: float | None = None
    """The share of the time in which it is to work, 0 to 1; None: it does not."""
    held_bytes: int = 0
    is_open_loop: bool = False
    """No reading of the utilisation tells how far it is reached."""
    today_j: float | None = None
    """What it spent today; None: the device does not tell."""
    off_by: str = ""
    """Who switched it off: ``people`` (the spool's ``keepalive-off``) or ``settings``; empty: nobody."""


@dataclass(frozen=True)
class SharedPage:
    """What else there is to say of a GPU on a server that several people share; what cannot be told is None."""

    free_bytes: int | None = None
    """Of its memory, as the driver tells it."""
    user_pythons: int | None = None
    """Python processes of the agent's user on it, those of tasks among them."""
    kept_by: str = ""
    """What keeps it from tasks: a word of ``reasons.Bar``; empty: nothing does, or its state says all.  Other words
    may come."""


@dataclass(frozen=True)
class GpuPage:
    """One GPU that is served; what cannot be read is None."""

    uuid: str
    index: int
    name: str
    state: GpuState
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_percent: int | None = None
    power_w: float | None = None
    problem: str = ""
    keepalive: KeepPage | None = None
    shared: SharedPage | None = None
    """None: it is this user's alone."""
    temperature_c: int | None = None
    power_limit_w: float | None = None
    """What it may draw at most."""


@dataclass(frozen=True)
class TryPage:
    """One try that the agent has in hand."""

    claim: str
    name: str
    stage: str
    """``starting``, ``clearing``, ``running``, ``warned``, ``ending``, ``settling``."""
    gpus: tuple[int, ...]
    """Indices."""
    seconds: float
    """Since it was started, when the page was written."""
    limit_s: float | None = None
    """Its ``--time``."""
    ending: str = ""
    """Why it is being ended: the word in its claim's name."""
    queue: str = ""
    """That it is in; empty: in none."""
    rank: int = 0
    """Of a task over several nodes: which part of it runs here."""
    nodes: int = 1
    """Over so many nodes the task runs."""
    of: str = ""
    """The claim of rank 0, where this is another rank; empty: it is ``claim``."""


@dataclass(frozen=True)
class QueuePage:
    """One serial queue, as this node sees it."""

    queue: str
    is_busy: bool
    """A task of it runs, or has run and is not settled: it rests before it is tried again, say."""
    holder: str = ""
    """The id of that task; empty: not known."""
    pending: int = 0
    """Tasks of it that wait; those that no agent has read yet are not among them."""
    running: int = 0
    """Tasks of it that run on this node."""
    done: int = 0
    failed: int = 0
    """Settled by agents: done since there is this queue, and in failed/ now."""
    failures: int = 0
    """How often the holder has failed."""
    rests_s: float | None = None
    """For so long the holder rests after that, when the page was written; None: it does not."""


@dataclass(frozen=True)
class SilentPage:
    """Another node that this one watches."""

    node: str
    tries: int
    """Tries that are taken over if it stays silent."""
    beating: int
    """Tries that give signs of life themselves: their shims live, and nobody takes them."""
    silent_s: float
    left_s: float
    """Until the first of them is taken over."""
    ended: str = ""
    """The batch job whose end makes that so early; empty: none."""


@dataclass(frozen=True)
class WaitPage:
    """Why one task waits, as this node sees it."""

    name: str
    """In pending/."""
    reason: Reason
    gpus: str = ""
    """How many it asks for: ``2``, ``2-4``; empty: not known yet."""
    tries: int = 0
    """That were made before."""
    title: str = ""
    """As its submitter called it; empty: see ``name``."""


@dataclass(frozen=True)
class NodePage:
    """All that a node tells.  Moments are in epoch seconds by the node's own clock."""

    node: str
    incarnation: str = ""
    """Twelve hex digits, new for each agent."""
    state: AgentState = AgentState.UNKNOWN
    reason: Reason | None = None
    """Why it is not serving."""
    version: str = ""
    host: str = ""
    pid: int = 0
    started_s: float | None = None
    ends_s: float | None = None
    """None: its lifetime never ends."""
    at_end: str = ""
    """What becomes of running tasks then: ``wait`` or ``stop``; empty: not told."""
    allocation: str = ""
    """The job of a cluster in which the agent runs, ``<way>:<id>``; empty: none."""
    beat_s: float | None = None
    """When the page was written."""
    default_gpus: int = 1
    """Of a task that says nothing."""
    devices: str = ""
    """The device layer, for people."""
    gpus: tuple[GpuPage, ...] = ()
    running: tuple[TryPage, ...] = ()
    waiting_count: int = 0
    waiting: tuple[WaitPage, ...] = ()
    """The first hundred, in run order."""
    skipped: int = 0
    """Files in pending/ that are never run."""
    done: int = 0
    failed: int = 0
    """Tasks that this agent settled."""
    watching: tuple[SilentPage, ...] = ()
    problems: tuple[str, ...] = ()
    """What its owner should know, for people."""
    cluster: str = ""
    """Of which that is, where its id alone does not say so."""
    is_within_allocation: bool = False
    """Every try that the agent has in hand began in ``allocation``: with that they end."""
    seen: tuple[str, ...] = ()
    """Nonces of commands that were obeyed."""
    mode: str = "dedicated"
    """Whose its GPUs are: this user's alone, or ``shared``."""
    queues: tuple[QueuePage, ...] = ()
    """Serial queues that people have named: busy ones first, at most ``QUEUES_PUBLISHED``."""
    more_queues: int = 0
    """How many more there are."""
    is_watched: bool | None = None
    """Somebody looks, so that it is written when readings of its GPUs change; None: its agent knows of no such."""
    protocol: int = PROTOCOL


def with_each(waiting: Iterable[WaitPage], tell: Callable[[Reason], ToldT]) -> Iterator[tuple[WaitPage, ToldT]]:
    """Each with what is made of its reason; most wait for the same, and a page is written often."""
    told: dict[tuple[object, ...], ToldT] = {}
    for one in waiting:
        key = (one.reason.code, *one.reason.params.items())
        if key not in told:
            told[key] = tell(one.reason)
        yield one, told[key]
