"""What is known of a run's task, as it was written down, and by whose clocks.  Pure.

``None``: nobody knows.  All of it may have been written by anybody; what cannot be true is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpu_queue.spool.records import GpuUsage, TryRecord
from gpu_queue.task import Claim, End, State, Submission, TryResult, Why
from gpu_queue.units import LONGEST_S, parse_size_bytes, parse_utc_s

_NEVER_BEGAN = ("not started", "refused")
_OUTCOMES = {
    Why.REQUEUE: "requeued",
    Why.STOPPED: "stopped",
    Why.TIMEOUT: "timeout",
    Why.FENCED: "fenced",
    Why.LOST: "lost",
    Why.NOSTART: "not started",
    Why.AGAIN: "again",
    Why.SAVED: "saved",
}


@dataclass(frozen=True)
class Written:
    """A moment that somebody wrote down, and when the storage was given it."""

    by: str
    """Whose clock it is: a machine."""
    at_s: float
    """By that clock, in epoch seconds."""
    stored_s: float
    """By the storage's."""


@dataclass(frozen=True)
class TryFacts:
    """One try of a task."""

    node: str = ""
    is_live: bool = False
    """It runs."""
    started_s: float | None = None
    """By its node's clock, in epoch seconds."""
    duration_s: float | None = None
    """None: it runs, or nobody saw it end."""
    is_final: bool = False
    """Its task was settled by it."""
    outcome: str = ""
    """Empty: nobody noted an end."""
    error_type: str = ""
    reason: str = ""
    """Why it went where it went, for people."""
    gpus: int | None = None
    """How many it had."""
    reserve_bytes: int | None = None
    """It had so much of the memory of each; None: whole cards."""
    usage: tuple[GpuUsage, ...] = ()
    clock: Written | None = None
    """What its record tells of its node's."""

    @property
    def has_begun(self) -> bool:
        """Whether its script ran, as far as is known."""
        return self.outcome not in _NEVER_BEGAN


@dataclass(frozen=True)
class RunFacts:
    """One task that a run was made of."""

    submission: Submission
    state: State
    submitted: Written | None = None
    tries: tuple[TryFacts, ...] = ()
    """Oldest first; also those that no node could start."""
    is_current: bool = True
    """False: the same run was queued again since."""

    @property
    def memory_asked_bytes(self) -> int | None:
        """Of each of its GPUs."""
        said = self.submission.needs.get("memory")
        try:
            return (parse_size_bytes(said) or None) if isinstance(said, str) else None
        except ValueError:
            return None


@dataclass(frozen=True)
class TryFile:
    """The record of a try, and when it was written last, by the storage's clock."""

    record: TryRecord
    stored_s: float | None


def tries_of(results: Iterable[TryResult], files: Iterable[TryFile], live: Claim | None) -> tuple[TryFacts, ...]:
    """The tries of a task, oldest first, by all that tells of them.

    Args:
        results: its index of tries.
        files: their records.
        live: the claim by which it runs now.
    """
    by_token: dict[str, tuple[TryResult | None, TryFile | None]] = {}
    if live is not None:
        by_token[live.token] = None, None
    by_token |= {one.record.claim.token: (None, one) for one in files}
    by_token |= {one.token: (one, by_token.get(one.token, (None, None))[1]) for one in results}
    order: list[tuple[tuple[int, str], TryFacts]] = []
    for token, (result, file) in by_token.items():
        is_live = live is not None and live.token == token
        facts = _facts(result, file, is_live=is_live)
        number = result.number if result else file.record.claim.number if file else live.number if live else 0
        began = file.record.started_at if file else ""
        order.append(((number, began), facts))
    return tuple(facts for _, facts in sorted(order, key=lambda one: one[0]))


def _facts(result: TryResult | None, file: TryFile | None, *, is_live: bool) -> TryFacts:
    outcome = _outcome(result)
    is_final, error_type, node = (result.final, result.error_type, result.node) if result else (False, "", "")
    if file is None:
        return TryFacts(node, is_live, is_final=is_final, outcome=outcome, error_type=error_type)
    record = file.record
    has_begun = bool(record.started_at)
    duration_s = record.duration_s
    return TryFacts(
        record.node or node,
        is_live and record.status is None,
        started_s=parse_utc_s(record.started_at),
        duration_s=duration_s if duration_s is not None and 0 <= duration_s <= LONGEST_S else None,
        is_final=is_final or (record.status is not None and record.to in (State.DONE.value, State.FAILED.value)),
        outcome=(record.outcome or outcome) if record.status is not None else outcome,
        error_type=record.error_type or error_type,
        reason=record.reason or record.problem,
        gpus=record.gpu_count if has_begun else None,
        reserve_bytes=record.reserve_bytes,
        usage=record.gpu_usage,
        clock=_clock(record, file.stored_s),
    )


def _outcome(result: TryResult | None) -> str:
    if result is None:
        return ""
    end: End = result.end
    if end.status == 0 and end.why not in (Why.NOSTART, Why.AGAIN, Why.SAVED) and not result.error_type:
        return "succeeded"
    return f"failed({end.status})" if end.why is None else _OUTCOMES[end.why]


def _clock(record: TryRecord, stored_s: float | None) -> Written | None:
    """The record of a try that has ended is written then; before that it is written anew at any time."""
    at_s = None if record.status is None else parse_utc_s(record.ended_at)
    if at_s is None or stored_s is None or record.settled_by or not record.node:
        return None
    return Written(record.node, at_s, stored_s)
