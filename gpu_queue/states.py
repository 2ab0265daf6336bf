"""Words for what GPUs, agents and batch jobs are up to; what a reader does not know is *unknown*: never free."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

EXIT_REFUSED = 1
"""The exit status of an agent that cannot begin: a setting, the spool or a device is not as it must be."""
EXIT_SERVED = 75
"""The exit status of an agent that finds another one serving its spool on its node."""


class GpuState(str, Enum):
    """Five words for a GPU; only an idle one may be granted, and *unknown* counts as busy."""

    IDLE = "idle"
    BUSY = "busy"  # leased to a task of ours
    FOREIGN = "foreign"  # used by somebody else
    LOST = "lost"  # the driver does not reach it
    UNKNOWN = "unknown"  # its memory could not be read


class AgentState(str, Enum):
    """What an agent says of itself in its node file."""

    SERVING = "serving"
    PAUSED = "paused"  # takes nothing new
    DRAINING = "draining"  # takes nothing new, and exits when its tasks have ended
    LEAVING = "leaving"  # requeues what runs, and exits
    STOPPED = "stopped"  # has ended: no answer will come
    UNKNOWN = "unknown"


class AllocationState(str, Enum):
    """What a cluster's scheduler says of a batch job, in the words of all ways; *unknown* is never an end."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    LOST = "lost"  # its node is: the scheduler has given it up, and something of it may live
    UNKNOWN = "unknown"


class GangStage(str, Enum):
    """How far the nodes of a task over several of them are: the name of one file (docs/spool.md)."""

    CALL = "call"  # it is being put together: nothing of it runs
    GO = "go"  # it runs, as a whole
    OFF = "off"  # it ends, or never came about
    UNKNOWN = ""  # a listing that was made during a rename, or a directory that is gone


WordT = TypeVar("WordT", GpuState, AgentState, AllocationState)


def read_word(kind: type[WordT], text: object) -> WordT:
    """The state that a word means; one that this version does not know reads as *unknown*."""
    try:
        return kind(text)
    except ValueError:
        return kind("unknown")
