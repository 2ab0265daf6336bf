"""Who may get a GPU.  Pure.

A policy judges one card for one task, by what was read of it and by who holds it.  ``dedicated`` is the policy of
nodes whose GPUs are this user's alone: a task gets whole cards, and none on which somebody else holds memory.
``shared`` is that of servers with several people on them: it takes what nobody uses at the moment, and leaves room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpu_queue.reasons import Bar
from gpu_queue.sharing import Sharing
from gpu_queue.states import GpuState

WHOLE: int | None = None
"""A task that reserves all of a card."""


@dataclass(frozen=True)
class Reserved:
    """What somebody holds of a card."""

    reserve_bytes: int | None = WHOLE
    """Of its memory; None: the whole card."""
    is_ours: bool = True
    """A task of this agent; else one of another agent of this node."""
    shown_bytes: int | None = None
    """What its processes have taken of the memory already, at most what it reserves; None: nobody can tell."""


@dataclass(frozen=True)
class Card:
    """One GPU at one moment.  A value that could not be read is None, and never "free"."""

    uuid: str
    index: int
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    """As the driver tells it: less than what is not used where it keeps some for itself."""
    others_bytes: int | None = None
    """What of the used memory is not the keep-alive's."""
    utilization_percent: tuple[int, ...] = ()
    """The last readings, oldest first."""
    tells_utilization: bool = True
    """It has one that says something of others: a MIG device has none, and that of a card with a filler is ours."""
    reserved: tuple[Reserved, ...] = ()
    """What tasks hold of it, of this agent and of others of this user."""
    has_user_python: bool | None = None
    """A Python process of this user that belongs to no task uses it; None: nobody can tell."""
    has_stranger: bool = False
    """A process of somebody else was seen on it within the last samples."""
    is_competed: bool = True
    """It is one of those that tasks may have at all (``compete_gpus``, without the last ``gpu_left``)."""
    is_lost: bool = False
    """The driver does not reach it."""
    is_known: bool = True
    """It could be asked."""


@dataclass(frozen=True)
class Terms:
    """What the owner of a node decides about its cards."""

    foreign_memory_bytes: int
    """A card without a task of ours of which others use more is somebody else's."""
    sharing: Sharing = field(default_factory=Sharing)
    """On a shared server."""


@dataclass(frozen=True)
class Verdict:
    """What a card is to a task."""

    state: GpuState
    """Only an idle one may be given."""
    reserve_bytes: int | None = WHOLE
    """What a task that gets it reserves of its memory; None: the whole card."""
    bar: Bar | None = None
    """Why a foreign card of a shared server is not given; None: it is used by somebody else."""


Policy = Callable[[Card, "int | None", Terms], Verdict]
"""A card, the bytes of its memory that the task asks for (None: it did not say), and the terms."""


def dedicated(card: Card, memory_bytes: int | None, terms: Terms) -> Verdict:  # noqa: ARG001
    """A task gets whole cards, whatever it asks for, and none that anybody else uses.

    Args:
        card: the card.
        memory_bytes: what the task asks for; whether the card is large enough is the plan's business.
        terms: of this node.
    """
    if card.is_lost:
        return Verdict(GpuState.LOST)
    if card.reserved:
        return Verdict(GpuState.BUSY)
    if not card.is_known or card.memory_used_bytes is None:
        return Verdict(GpuState.UNKNOWN)
    others_bytes = card.memory_used_bytes if card.others_bytes is None else card.others_bytes
    return Verdict(GpuState.FOREIGN if others_bytes > terms.foreign_memory_bytes else GpuState.IDLE)


def unpromised_bytes(card: Card) -> int | None:
    """What of a card's memory is free and promised to nobody; None: nobody can tell.

    What was promised to a task and is not shown yet is not free: the task may take it at any moment.
    """
    if card.memory_free_bytes is None:
        return None
    promised_bytes = 0
    for one in card.reserved:
        if one.reserve_bytes is None:
            return 0
        promised_bytes += max(0, one.reserve_bytes - (one.shown_bytes or 0))
    return card.memory_free_bytes - promised_bytes


def shared(card: Card, memory_bytes: int | None, terms: Terms) -> Verdict:
    """A task gets a card that nobody uses at the moment, and a part of one only beside tasks that told their parts.

    Args:
        card: the card.
        memory_bytes: of its memory that the task says it needs; None or 0: it does not say, gets a whole card, and
            needs ``min_memory`` of it to be free.
        terms: of this node.
    """
    sharing = terms.sharing
    if card.is_lost:
        return Verdict(GpuState.LOST)
    is_part = sharing.maximize_resource_utilization and bool(memory_bytes)
    if card.reserved and not (is_part and all(one.reserve_bytes is not WHOLE for one in card.reserved)):
        return Verdict(GpuState.BUSY)
    if not card.is_competed:
        return Verdict(GpuState.FOREIGN, bar=Bar.LEFT)
    free_bytes = unpromised_bytes(card)
    # What our own tasks there do with the card says nothing about others.
    is_asked = card.tells_utilization and not card.reserved
    readings = card.utilization_percent if is_asked else ()
    if not card.is_known or free_bytes is None or (is_asked and not readings):
        return Verdict(GpuState.UNKNOWN)
    if card.has_stranger:
        return Verdict(GpuState.FOREIGN, bar=Bar.STRANGER)
    if card.has_user_python and not sharing.maximize_resource_utilization:
        return Verdict(GpuState.FOREIGN, bar=Bar.PYTHON)
    if any(percent > sharing.max_util_percent for percent in readings):
        return Verdict(GpuState.FOREIGN, bar=Bar.USED)
    if free_bytes < (memory_bytes or sharing.min_memory_bytes):
        return Verdict(GpuState.BUSY) if card.reserved else Verdict(GpuState.FOREIGN, bar=Bar.LITTLE)
    return Verdict(GpuState.IDLE, memory_bytes if is_part else WHOLE)
