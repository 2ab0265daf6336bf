"""Why a task waits, as data: a code and its parameters.

The planner, the readers of ``pending/`` and the clients' door speak in these; ``words`` turns them into sentences, so
that nobody takes a sentence apart.  Codes and parameters are part of the protocol (docs/spool.md, "Reasons").  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

REASONS_PUBLISHED = 100
"""So many tasks at the head of what waits have their reasons on a node's page."""
AFTER_TOLD = 10
"""So many of the tasks that one waits for are told by name: a hundred reasons have to fit on a page."""

Param = str | int | float | tuple[str, ...] | tuple[int, ...]


class Code(str, Enum):
    """What kind of thing a task waits for."""

    # For what others hold
    GPUS = "gpus"  # needed, devices, idle, busy, foreign, lost, unknown; of a shared server those of Bar
    # (beside the id of a task: its title, where the id cannot carry it)
    BEHIND = "behind"  # first: the idle GPUs are kept for that one
    RESERVE = "reserve"  # needed, idle, left: so many of the idle ones stay free for others
    CONCURRENT = "concurrent"  # most: so many tasks with GPUs run here
    CPU_SLOTS = "cpu_slots"  # slots
    QUEUE = "queue"  # queue; holder: the task that has it, or first: the one that comes first
    AFTER = "after"  # tasks that are not done yet, and how many more; or failed: the one that never will be
    # For a moment to come
    BACKOFF = (
        "backoff"  # failures, left_s, until_s (epoch, the server's), error_type; rests: on a shared server; again
    )
    NOT_STARTED = "not_started"  # left_s: this node could not start it, and tries again
    LIFETIME = "lifetime"  # time_s, left_s
    # Over several nodes
    GANG = "gang"  # nodes; have: how many offer their GPUs, who: their names
    ASSEMBLING = "assembling"  # first: another one assembles, and this one comes after it
    NODES_INFEASIBLE = "nodes_infeasible"  # needed; served: agents that are alive and serve GPUs enough
    ENDING = "ending"  # its last try is still ending on this node
    NEXT = "next"  # it starts at the next step
    # Never, on this node
    INFEASIBLE = "infeasible"  # needed, served; left: of these to others
    MEMORY = "memory"  # needed, memory_bytes, have
    PINNED = "pinned"  # devices, served
    WAITED = "waited"  # waited_s, most_s: longer than its owner wants
    # Because of its file
    SETTLING = "settling"  # copy: true for a copy of a task that has ended
    UNREAD = "unread"
    OWNER = "owner"  # uid
    NOT_A_FILE = "not_a_file"  # kind
    OURS = "ours"  # written by an agent or a client, and renamed
    SCRIPT = "script"  # problem: it can never run as it was written
    STORAGE = "storage"  # problem
    # Because of the agents
    PAUSED = "paused"  # by: who and why
    DRAINING = "draining"  # cause: spool, lifetime, shutdown, empty, unkept, workless; by
    LEAVING = "leaving"  # cause: signal, shutdown, lifetime
    NO_AGENT = "no_agent"
    SILENT = "silent"  # node, silent_s
    OTHER = "other"  # one that this version does not know; text


class Bar(str, Enum):
    """Why a GPU of a shared server that no task of ours has is not given."""

    LEFT = "left"  # it is left to others, whoever uses it
    STRANGER = "stranger"  # somebody else uses it, or did a moment ago
    PYTHON = "python"  # this user does, beside the tasks
    USED = "used"  # its utilisation is too high
    LITTLE = "little"  # too little of its memory is free


@dataclass(frozen=True)
class Reason:
    """Why a task waits."""

    code: Code
    params: Mapping[str, Param] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A parameter that is a number; 0 where it is none."""
        value = self.params.get(name, 0)
        return value if isinstance(value, (int, float)) else 0

    def text(self, name: str) -> str:
        """A parameter that is a text; empty where it is none."""
        value = self.params.get(name, "")
        return value if isinstance(value, str) else ""

    def items(self, name: str) -> tuple[str, ...]:
        """A parameter that is a list, as texts; empty where it is none."""
        value = self.params.get(name, ())
        return tuple(map(str, value)) if isinstance(value, tuple) else ()


def reason(code: Code, **params: Param) -> Reason:
    """A reason with its parameters, written shortly; of those that are empty nothing is said."""
    return Reason(code, {name: value for name, value in params.items() if value not in ("", ())})


_TELLING: tuple[Code, ...] = (
    # its file is so, on every node
    *(Code.NOT_A_FILE, Code.OURS, Code.OWNER, Code.SCRIPT, Code.STORAGE, Code.UNREAD, Code.SETTLING),
    # it is about to start there
    *(Code.NEXT, Code.GANG, Code.ENDING),
    # of the task itself
    *(Code.AFTER, Code.BACKOFF, Code.QUEUE, Code.NOT_STARTED, Code.ASSEMBLING),
    # the node has what it needs, and others hold it
    *(Code.GPUS, Code.BEHIND, Code.RESERVE, Code.CONCURRENT, Code.CPU_SLOTS),
    *(Code.LIFETIME, Code.WAITED),
    # never there
    *(Code.NODES_INFEASIBLE, Code.INFEASIBLE, Code.MEMORY, Code.PINNED),
    # nothing new starts there
    *(Code.PAUSED, Code.DRAINING, Code.LEAVING, Code.NO_AGENT, Code.SILENT, Code.OTHER),
)
_RANKS = {code: rank for rank, code in enumerate(_TELLING)}


def is_of_node(why: Reason) -> bool:
    """Whether it holds for all tasks on that node, whatever they need: it takes nothing new, or is not there."""
    return _RANKS[why.code] >= _RANKS[Code.PAUSED]


def telling(why: Reason) -> int:
    """How much a node's reason tells of when a task will start, the most first: one of several nodes is shown.

    A node that could run it tells more than one that never can, and that one more than one that takes nothing.
    """
    return _RANKS[why.code]
