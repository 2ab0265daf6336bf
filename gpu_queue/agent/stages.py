"""A try's life as data: its stages, what is seen of it, and what is to be done.

- ``Claiming``: the storage thread renames the task into our directory.
- ``Clearing``: it is ours, and the keep-alive leaves its GPUs; it is started when they are empty.
- ``Running``: its shim lives, our child or adopted from our predecessor.
- ``Cleaning``: its shim has gone; what is left of its processes is ended, and only then are its GPUs free.
- ``Settling``: the storage thread moves it on; asked again until it is done.
- ``Over``: it is in nobody's hand here.

Each stage says when it is to be looked at again although nothing has happened (``due``, monotonic seconds).  What
gives way to what is decided by :func:`gpu_queue.agent.life.advance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpu_queue.agent.agenda import NEVER
from gpu_queue.node.storage import Failed
from gpu_queue.node.transitions import Claimed, NotClaimed, Recalled, Settled
from gpu_queue.task import End, Settlement, Why

REST_S = 60.0
"""A task that could not be started here rests so long on this node, doubled each time."""
REST_MAX_S = 3600.0


# -- stages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claiming:
    """The storage thread is asked for it."""

    word: ClassVar[str] = "starting"
    due: ClassVar[float] = NEVER
    to_run: bool = True
    """False where it is only taken to be refused."""
    why: Why | None = None
    """Somebody wants its end, before it has begun."""


@dataclass(frozen=True)
class Clearing:
    """It is ours, and waits for its GPUs to be empty."""

    word: ClassVar[str] = "clearing"
    claimed: Claimed
    since: float
    due: float
    why: Why | None = None


@dataclass(frozen=True)
class Running:
    """Its shim lives."""

    word: ClassVar[str] = "running"
    is_adopted: bool = False
    """Its shim is not our child, so nobody tells us of its end."""
    time_s: float | None = None
    """Its ``--time``; None: it has none, or nobody knows it yet."""
    limit_at: float = NEVER
    """When that is over."""
    recall_at: float = NEVER
    """When the spool is to be asked what this node has forgotten of it."""
    record_at: float = NEVER
    """When its record is to say that it runs; never: it does."""
    why: Why | None = None
    """Why it is being ended."""
    is_ending: bool = False
    missing_since: float | None = None
    """Since when listings lack its claim."""
    bare_since: float | None = None
    """Since when only its shim is left of it."""
    stops: int = 0
    """How often its shim was found stopped (SIGSTOP) of late."""
    stopped_at: float = -NEVER
    """When it was last."""
    look_at: float = NEVER
    begins_by: float = NEVER
    """Its script is to have begun by then; never: it has, or nobody asks."""

    @property
    def due(self) -> float:
        """When it is to be looked at again."""
        ends_at = NEVER if self.why is not None else min(self.limit_at, self.begins_by)
        return min(self.record_at, self.recall_at, self.look_at, ends_at)


@dataclass(frozen=True)
class Cleaning:
    """Its shim has gone; what else is left of it is being ended."""

    word: ClassVar[str] = "ending"
    end: End | None
    """None: its shim may have renamed the claim as its last act; the next listing tells."""
    reason: str = ""
    """Why its shim could not start it, for people."""
    is_ending: bool = False
    judge_at: float | None = None
    """When it is decided whether a signal that was not ours was the script's own doing."""
    due: float = NEVER


@dataclass(frozen=True)
class Settling:
    """The storage thread moves it on."""

    word: ClassVar[str] = "settling"
    end: End
    due: float = NEVER
    """When it is asked again; never: it is being asked."""
    told: str = ""
    """Why it could not be moved on, as people were told."""


@dataclass(frozen=True)
class Over:
    """It is gone from here."""

    word: ClassVar[str] = "over"
    due: ClassVar[float] = NEVER
    end: End | None = None
    is_renamed: bool = False
    """Its shim has renamed the claim: the next listing takes it up again, with its end."""


Stage = Claiming | Clearing | Running | Cleaning | Settling | Over


def end_of(stage: Stage) -> End | None:
    """How a try has ended, as far as that is known."""
    return stage.end if isinstance(stage, (Cleaning, Settling, Over)) else None


def why_of(stage: Stage) -> Why | None:
    """Why a try is being ended, or was."""
    if isinstance(stage, (Claiming, Clearing, Running)):
        return stage.why
    end = end_of(stage)
    return end.why if end is not None else None


def holds_gpus(stage: Stage) -> bool:
    """Whether its GPUs are not free."""
    return not isinstance(stage, (Settling, Over))


# -- what is seen ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """Somebody wants its end."""

    why: Why
    grace_s: float | None = None
    """Between TERM and KILL; None: as the settings say."""


@dataclass(frozen=True)
class ShimGone:
    """A shim that has ended, and what it left word of."""

    status: int | None = None
    """None: it died without a word."""
    why: Why | None = None
    reason: str = ""
    """Why it could not start its script."""
    may_have_left: bool = True
    """Processes of its try may live on."""
    asks: bool = False
    """Its script has asked to be run again."""
    signal: int = 0
    """The number of the signal by which it wants to be told to leave; 0: it has named none."""
    is_warned: bool = False
    """It was sent that."""


@dataclass(frozen=True)
class Launched:
    """A shim was told to begin, or could not be."""

    time_s: float | None = None
    """Its ``--time``."""
    begins_within_s: float = NEVER
    """Its script is to begin within so long."""
    problem: str = ""
    """Why no program can be started with what the task says."""
    trouble: OSError | None = None
    """What this node lacks."""


Answer = Claimed | NotClaimed | Recalled | Settled | Failed


@dataclass(frozen=True)
class Facts:
    """What was seen of a try since it was looked at last."""

    answer: Answer | None = None
    """What came of its errand to the storage."""
    wish: Wish | None = None
    began_at: float | None = None
    """When it began, in monotonic seconds, as the spool tells it."""
    is_clear: bool = False
    """Its GPUs are empty."""
    launched: Launched | None = None
    shim: ShimGone | None = None
    is_stopped: bool = False
    """Its shim was stopped by a signal: it neither beats nor sees that its script ends."""
    is_bare: bool = False
    """Nothing is left of its processes but its shim, if that lives."""
    has_begun: bool = True
    """Its script has, where that is asked."""
    is_listed: bool | None = None
    """Whether a good listing has its claim; None: there was none."""
    is_leaving: bool = False
    """The agent gives its node back."""
    is_signalled: bool = False
    """The agent was sent the signal that the script died of, at about the same time."""


NOTHING = Facts()


# -- what is to be done ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    """Tell people, under the try's name."""

    text: str


@dataclass(frozen=True)
class Launch:
    """Tell its shim to begin."""

    claimed: Claimed


@dataclass(frozen=True)
class Record:
    """Write down that it runs."""


@dataclass(frozen=True)
class Recall:
    """Have the storage thread read what this node has forgotten of it."""


@dataclass(frozen=True)
class WriteWhy:
    """Make the reason of its end durable, before the first signal."""

    why: Why


@dataclass(frozen=True)
class EndProcesses:
    """Begin to end its processes."""

    grace_s: float | None
    """Between TERM and KILL; None: as the settings say."""


@dataclass(frozen=True)
class EndLeftovers:
    """Begin to end what its shim left behind."""


@dataclass(frozen=True)
class ContinueShim:
    """It was stopped."""


@dataclass(frozen=True)
class KillShim:
    """It is of no more use."""


@dataclass(frozen=True)
class Dismiss:
    """Let its shim go, which was told nothing."""

    to_spares: bool = False
    """It may wait for another try."""


@dataclass(frozen=True)
class Rest:
    """Do not try this task again at once."""

    first_s: float = REST_S
    max_s: float = REST_MAX_S
    as_it_was: bool = False
    """It is still in pending/ under the name that it had; else it goes back under its full name."""


@dataclass(frozen=True)
class RestNode:
    """Start nothing for a while: this node lacks something."""

    trouble: OSError


@dataclass(frozen=True)
class Began:
    """It runs: its task rests no more, and this node can start tasks."""


@dataclass(frozen=True)
class Settle:
    """Have the storage thread move it on."""

    end: End
    problem: str = ""
    """Why it could not be started, for its record."""
    note: str = ""
    """What the last line of its log says beside that."""


@dataclass(frozen=True)
class Tell:
    """Something has changed that people look for."""


@dataclass(frozen=True)
class Free:
    """Its GPUs are free, or it may be tried elsewhere: plan again."""


@dataclass(frozen=True)
class Look:
    """Something is to be seen in the spool."""


@dataclass(frozen=True)
class Forget:
    """Remove what this node wrote down of it."""


@dataclass(frozen=True)
class Tally:
    """It was moved on by us."""

    settlement: Settlement
    error_type: str = ""


Effect = (
    Say
    | Launch
    | Record
    | Recall
    | WriteWhy
    | EndProcesses
    | EndLeftovers
    | ContinueShim
    | KillShim
    | Dismiss
    | Rest
    | RestNode
    | Began
    | Settle
    | Tell
    | Free
    | Look
    | Forget
    | Tally
)
