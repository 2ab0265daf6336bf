"""What a server that several people share is to its queue: the settings of ``mode: shared``, as nouns.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(str, Enum):
    """Whose a node's GPUs are."""

    DEDICATED = "dedicated"  # this user's alone: whole cards, kept busy while nothing waits
    SHARED = "shared"  # several people's: what is free at the moment, with room left to them, and no filler


class Select(str, Enum):
    """Which of several cards that fit a task gets."""

    MOST_FREE = "most_free"
    LEAST_UTIL = "least_util"
    ROUND_ROBIN = "round_robin"


@dataclass(frozen=True)
class GpuLeft:
    """How many cards are left to others."""

    cards: int = 0
    of_free: bool = False
    """Cards that are free at the moment, whichever they are; else the last ones of the list."""


@dataclass(frozen=True)
class RetryConfig:
    """How failures are tried again: at once, with a rest after each few."""

    max_retry_before_backoff: int = 3
    backoff_duration_s: float = 600.0
    max_retries: int | None = None
    """None: as often as it takes."""


@dataclass(frozen=True)
class Sharing:
    """What the owner of a queue on a shared server decides."""

    compete_gpus: tuple[str, ...] = ()
    """Indices and UUIDs of the cards that we may use, in this order; empty: all that are served."""
    use_all_gpus: bool = False
    """All that are served, whatever ``compete_gpus`` says."""
    gpu_left: GpuLeft = GpuLeft()
    min_memory_bytes: int = 0
    """Free memory that a card must have for a task that does not say how much it needs."""
    max_util_percent: int = 30
    """Of a card without tasks of ours, over a burst of readings."""
    maximize_resource_utilization: bool = False
    """Cards with other Python processes of this user count too, and tasks that name their memory share a card."""
    max_concurrent: int | None = None
    """Tasks of ours that run at once on this node; None: as many as fit."""
    max_wait_time_s: float | None = None
    """A task that waited longer for what others hold fails; None: it waits."""
    select: Select = Select.MOST_FREE
    check_time_s: float = 5.0
    """Between two looks at who uses what."""
    process_json: str = ""
    """Where ``uni_id.json`` is written beside the one in the spool."""
    retry_config: RetryConfig = RetryConfig()
