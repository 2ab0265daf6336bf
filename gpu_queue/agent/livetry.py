"""One try that an agent has in hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gpu_queue.execution import processes
from gpu_queue.execution.local import TryDirectory
from gpu_queue.execution.shims import Shim
from gpu_queue.node.transitions import Claimed
from gpu_queue.spool.paths import claim_name
from gpu_queue.task import Claim, End, Needs, Why


class Stage(Enum):
    """How far a try is."""

    CLAIMING = "starting"
    CLEARING = "clearing"
    RUNNING = "running"
    CLEANING = "ending"
    SETTLING = "settling"


@dataclass
class LiveTry:
    """One try that this agent has in hand."""

    claim: Claim
    claim_path: str
    directory: TryDirectory
    stage: Stage
    gpus: tuple[str, ...] = ()
    needs: Needs = field(default_factory=Needs)
    title: str = ""
    """The script's own name, for people."""
    started_at: float = 0.0
    """Monotonic seconds."""
    started_wall_s: float = 0.0
    pid: int | None = None
    """Of the shim, where it is our child."""
    shim: Shim | None = None
    """It waits to be told that the task is ours."""
    why: Why | None = None
    """Why it is being ended."""
    ending: processes.Ending | None = None
    end: End | None = None
    named_end: End | None = None
    refusal: str = ""
    record_at: float | None = None
    """When its record is to say that it runs; None: it does, or has no need to."""
    claimed: Claimed | None = None
    """What it is started from, while its GPUs are being cleared."""
    clearing_since: float = 0.0
    """Monotonic seconds."""
    settle_at: float = 0.0
    settle_is_out: bool = False
    missing_since: float | None = None
    judge_at: float | None = None
    """When it is decided whether a TERM that was not ours took the node back."""
    bare_since: float | None = None
    """Since when only its shim is left of it."""
    ended_processes: int = 0
    because: str = ""
    """How it came to be lost, for people."""
    is_inherited: bool = False
    """Nothing is known of it here but its claim: another node began it, or the local disk forgot it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For its record."""

    @property
    def name(self) -> str:
        """The claim's name."""
        return claim_name(self.claim)

    @property
    def holds_gpus(self) -> bool:
        """Whether its GPUs are not free."""
        return self.stage is not Stage.SETTLING
