"""One try that an agent has in hand: what is known of it, where it is in its life, and what is held for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_queue.again import RUN_AGAIN
from gpu_queue.agent import stages
from gpu_queue.agent.allotted import Allocation
from gpu_queue.agent.ganged import Ganged
from gpu_queue.agent.gauges import Usage
from gpu_queue.errors import BadValue
from gpu_queue.execution import leftword, processes
from gpu_queue.execution.local import TryDirectory, reserve_of
from gpu_queue.execution.shims import Shim
from gpu_queue.node.transitions import Recalled
from gpu_queue.scheduling.recovery import NOBODY_KNOWS
from gpu_queue.signals import Signal, parse_signal
from gpu_queue.spool.paths import SpoolPaths, claim_name
from gpu_queue.task import Claim, End, Needs, Why
from gpu_queue.texts import printable
from gpu_queue.units import format_utc

NAMES_TOLD = 8
"""So many kinds of processes that outlived their script are told by name."""
WAIT_FOR_IT = "a script that starts something with & waits for it by a last line: wait"
WAIT_ONCE_MORE = "a trap that runs breaks wait off: wait once more"


@dataclass
class LiveTry:
    """One try that this agent has in hand."""

    claim: Claim
    claim_path: str
    directory: TryDirectory
    stage: stages.Stage
    gpus: tuple[str, ...] = ()
    reserve_bytes: int | None = None
    """Of the memory of each; None: the whole card."""
    needs: Needs = field(default_factory=Needs)
    title: str = ""
    """The script's own name, for people."""
    waited_as: str = ""
    """The name that it had in pending/."""
    refusal: str = ""
    """The task can never run, and why."""
    is_warned: bool = False
    """It was sent the signal of its ``--signal``, as far as this agent knows."""
    started_at: float = 0.0
    """When it was claimed, and then when it began, in monotonic seconds."""
    started_wall_s: float = 0.0
    """0: it has not begun."""
    named_end: End | None = None
    """What its name in running/ says of its end."""
    because: str = ""
    """How it came to be lost, for people."""
    is_inherited: bool = False
    """Not all is known of it here: another node began it, or the local disk forgot it."""
    began_in: str | None = None
    """The batch job in which it began, empty where that was none; None: in that of this agent."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For its record."""
    is_recorded: bool = False
    """Its record says that it runs."""
    pid: int | None = None
    """Of the shim, where it is our child."""
    shim_pid: int = 0
    """The same when it has gone."""
    port: int = 0
    """That its script was told to listen to; 0: none."""
    log: int = -1
    """The descriptor of its log, for a shim that has it not yet; negative: none.  The storage thread closes it."""
    has_last_line: bool = False
    """The last line of its log was handed in."""
    ended_at: float | None = None
    """When its shim had gone, in monotonic seconds, where that was seen."""
    shim: Shim | None = None
    """It waits to be told that the task is ours."""
    ending: processes.Ending | None = None
    """Its processes are being ended, or were."""
    ended_before: int = 0
    """Processes that an earlier ``ending`` told to end."""
    usage: Usage = field(default_factory=Usage)
    """What was seen of its GPUs."""
    gang: Ganged | None = None
    """Its part in a task over several nodes; None: it is all of its task, as far as is known."""

    @property
    def name(self) -> str:
        """The claim's name."""
        return claim_name(self.claim)

    @property
    def end(self) -> End | None:
        """How it has ended, as far as that is known."""
        return stages.end_of(self.stage)

    @property
    def why(self) -> Why | None:
        """Why it is being ended, or was."""
        return stages.why_of(self.stage)

    @property
    def holds_gpus(self) -> bool:
        """Whether its GPUs are not free."""
        return stages.holds_gpus(self.stage)

    @property
    def is_assembling(self) -> bool:
        """Whether it only holds its GPUs ready for a task over several nodes."""
        return self.gang is not None and isinstance(self.stage, stages.Claiming)

    @property
    def is_other_rank(self) -> bool:
        """Whether it is a rank of a task that another node has."""
        return self.gang is not None and self.gang.name != self.name

    @property
    def is_running(self) -> bool:
        """Whether its shim lives, as far as we know."""
        return isinstance(self.stage, stages.Running)

    @property
    def ended_processes(self) -> int:
        """How many of its processes were told to end."""
        return self.ended_before + (self.ending.ended if self.ending is not None else 0)

    def begin_ending(self, ending: processes.Ending) -> processes.Ending:
        """Have its processes ended from now on by this, which is returned."""
        self.ended_before, self.ending = self.ended_processes, ending
        return ending


def log_path(one: LiveTry, paths: SpoolPaths) -> str:
    """Where the output of a try goes."""
    return paths.log(one.claim) if one.gang is None else paths.rank_log(one.gang.claim, one.gang.rank or 0)


def are_within(allocation: Allocation, tries: Iterable[LiveTry]) -> bool:
    """Whether all that runs here began in this allocation, so that nothing of it outlives that."""
    running = (one for one in tries if one.named_end is None)
    return (
        bool(allocation.name)
        and not allocation.is_elsewhere
        and all(one.began_in in (None, allocation.name) for one in running)
    )


def ended_facts(one: LiveTry, end: End, now: float) -> dict[str, Any]:
    """What the record of a try that has ended says beside its end.

    Args:
        one: the try.
        end: how it ended.
        now: monotonic seconds.
    """
    facts = dict(one.facts)
    if one.started_wall_s:
        facts["ended_at"] = format_utc(time.time())
        facts["duration_s"] = round(duration_s(one, now), 3)
        if usage := one.usage.told():
            facts["gpu_usage"] = usage
    if at := leftword.warned_at(one.directory):
        facts["warned_at"] = at
    if end.why is Why.AGAIN and (because := leftword.asked_because(one.directory)):
        facts["reason"] = "; ".join(filter(None, (facts.get("reason"), f"it asks: {printable(because)}")))
    return facts


def left_over(one: LiveTry, end: End, facts: dict[str, Any]) -> str:
    """What still ran when a script had ended by itself, for people, noted in facts too; empty where nothing did."""
    by_itself = end.why is None or (end.why is Why.SAVED and end.status != 0)
    names = one.ending.names if one.ending is not None and by_itself else []
    if not names:
        return ""
    kinds = {name: names.count(name) for name in sorted(names)}
    told = [f"{count} x {printable(name)}" if count > 1 else printable(name) for name, count in kinds.items()]
    some = ", ".join(told[:NAMES_TOLD]) + (" …" if len(told) > NAMES_TOLD else "")
    what = "a process" if len(names) == 1 else f"{len(names)} processes"
    was = "was" if len(names) == 1 else "were"
    told_of = (
        f"{what} of it still ran when the script ended, and {was} ended with it: {some} "
        f"({WAIT_ONCE_MORE if one.is_warned else WAIT_FOR_IT})"
    )
    facts["reason"] = "; ".join(filter(None, (facts.get("reason"), told_of)))
    return told_of


def _ran_s(one: LiveTry) -> float | None:
    """How long its script ran, as its shim tells; None: it does not."""
    if one.ended_at is not None:
        return one.ended_at - one.started_at
    ended_s = one.directory.ended_s() if one.started_wall_s else None
    return None if ended_s is None else ended_s - one.started_wall_s


def duration_s(one: LiveTry, now: float) -> float:
    """How long a try took, that ended while nobody looked until it ended; else until now."""
    ran_s = _ran_s(one)
    return max(0.0, now - one.started_at if ran_s is None else ran_s)


def last_line(one: LiveTry, end: End, note: str = "", left: str = "") -> str:
    """What the log of a try ends with; empty where its script has not begun, or nobody knows how it ended.

    Args:
        one: the try.
        end: how it ended.
        note: what is known beside its why.
        left: what still ran when it had ended, which gets a line of its own.
    """
    if end.why is Why.NOSTART:
        reason = one.facts.get("problem") or one.directory.reason()
        return f"==== not started: {reason}\n" if reason else ""
    is_known = one.directory.has_begun() or (one.named_end is not None and one.started_wall_s == 0)
    if not is_known or (end.status == NOBODY_KNOWS and end.why is not None):
        return ""
    ran_s = _ran_s(one)
    after = "" if ran_s is None else f" after {max(0.0, ran_s):.1f} s"
    words = "" if end.status == 0 and end.why not in RUN_AGAIN else note or (end.why.value if end.why else "")
    before = f"==== {left}\n" if left else ""
    return before + f"==== exit {end.status}{after}" + (f" ({words})" if words else "") + "\n"


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_NOTED: Mapping[str, Callable[[object], bool]] = {
    "gpus": lambda value: isinstance(value, list),
    "started_at": lambda value: isinstance(value, str),
    "started_monotonic": _number,
    "started_wall_s": _number,
    "time_s": lambda value: value is None or _number(value),
    "retries": lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool)),
    "queue": lambda value: value is None or isinstance(value, str),
    "notify": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}
"""What an agent notes of a try for its successor, and how to tell that it is whole."""


_IN_RECORD = ("gpus", "gpu_indices", "reserve_bytes", "name", "cwd", "started_at")
"""Those of them that its record says as well."""


def remember(one: LiveTry, facts: Mapping[str, Any], now: float) -> None:
    """What our predecessor wrote about this try when it started it.

    A crash or a full disk may have left an object of it that does not say everything.
    """
    one.is_inherited = not all(key in facts and is_so(facts[key]) for key, is_so in _NOTED.items())
    allocation = facts.get("allocation")
    one.began_in = allocation if isinstance(allocation, str) else ""
    gpus = facts.get("gpus")
    one.gpus = tuple(uuid for uuid in gpus if isinstance(uuid, str)) if isinstance(gpus, list) else ()
    one.reserve_bytes = reserve_of(facts)
    name = facts.get("name")
    one.title = name if isinstance(name, str) else one.claim.task_id.split("-", 2)[2]
    started = facts.get("started_monotonic")
    # The monotonic clock counts from boot, and this directory does not outlive one.
    one.started_at = float(started) if isinstance(started, (int, float)) and 0 <= started <= now else now
    wall = facts.get("started_wall_s")
    one.started_wall_s = float(wall) if isinstance(wall, (int, float)) else 0.0
    time_s, retries, queue = facts.get("time_s"), facts.get("retries"), facts.get("queue")
    memory_bytes, signal, nodes = facts.get("memory_bytes"), facts.get("signal"), facts.get("nodes")
    one.needs = Needs(
        gpus_min=len(one.gpus),
        gpus_max=len(one.gpus),
        time_s=float(time_s) if isinstance(time_s, (int, float)) else None,
        retries=retries if isinstance(retries, int) else None,
        queue=queue if isinstance(queue, str) else None,
        memory_bytes=memory_bytes if isinstance(memory_bytes, int) else None,
        signal=_signal_of(signal) if isinstance(signal, str) else None,
        nodes=nodes if isinstance(nodes, int) else 1,
        notify=() if one.is_inherited else tuple(facts["notify"]),
    )
    noted = {} if one.is_inherited else facts
    one.facts = {key: noted[key] for key in _IN_RECORD if key in noted}


def _signal_of(noted: str) -> Signal | None:
    try:
        return parse_signal(noted)
    except BadValue:
        return None


def recalled(one: LiveTry, what: Recalled, now: float) -> float:
    """What the spool tells of this try, where this node has forgotten it; returns when it began."""
    one.needs, one.facts = what.needs, dict(what.facts)
    one.gpus = one.gpus or tuple(what.facts.get("gpus", ()))
    one.reserve_bytes = reserve_of(what.facts)
    one.title = what.facts.get("name", one.title)
    one.started_at, one.started_wall_s = now - what.ran_s, time.time() - what.ran_s
    return one.started_at
