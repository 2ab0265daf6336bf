"""What the runs of an experiment took: figures of each run and of all together.  Pure.

- ``None``: not known.  A sum of which a part is not known says so (``unknown_tries``), and is the least that it was.
- Moments of several machines are compared by :mod:`gpu_queue.experiments.reporting.clocks`; how long a try took, its
  node has measured.
- Memory is what a task itself took where its node could tell, else what was used of its cards, if it had whole ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from gpu_queue.experiments.progress.nouns import Phase
from gpu_queue.experiments.reporting.clocks import Clocks
from gpu_queue.experiments.reporting.facts import RunFacts, TryFacts
from gpu_queue.task import State
from gpu_queue.units import LARGEST_BYTES

FAR_LESS = 0.5
"""Of the memory asked for: whoever uses less could have asked for half."""
SLACK_S = 10.0
"""Clocks that are said to agree do so to some seconds: what comes a little before what it follows came at once."""


ENDED = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


class Memory(str, Enum):
    """What a run took of what it asked for, where that is worth a word."""

    FAR_LESS = "far less"
    MORE = "more"


@dataclass(frozen=True)
class RunFigures:
    """One run."""

    facts: RunFacts
    phase: Phase
    outcome: str = ""
    """Of the last try that has ended; empty: none has."""
    error_type: str = ""
    """Of the last try that failed or was lost, where the run is not done; empty: none did."""
    reason: str = ""
    """Why its last try went where it went, for people."""
    tries: int = 0
    """That began."""
    submitted_s: float | None = None
    """Epoch seconds by the common clock, as all moments here."""
    started_s: float | None = None
    """Of its first try."""
    ended_s: float | None = None
    """Of its last try; None as well where it has not ended."""
    waited_s: float | None = None
    """Before its first try; of one that has none until now."""
    between_s: float | None = None
    """Between its tries, in sum; None also where there was one at most."""
    ran_s: float | None = None
    """All tries, as far as known."""
    last_ran_s: float | None = None
    gpus: int | None = None
    """Of its last try."""
    gpu_s: float | None = None
    """Seconds times GPUs, of all tries, as far as known."""
    unknown_tries: int = 0
    """Of which nobody can tell how long they took, or on how many GPUs."""
    memory_peak_bytes: int | None = None
    """The most that it took of a GPU."""
    utilization_percent: float | None = None
    """In the mean over all readings of its GPUs."""
    memory: Memory | None = None
    node: str = ""
    """Where its last try ran."""
    failures: tuple[str, ...] = ()
    """Of each try that failed by itself, or was lost: its error type."""

    @property
    def name(self) -> str:
        """The run's."""
        part = self.facts.submission.experiment
        return part.name if part is not None else ""

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """Values of its matrix, as its file writes them."""
        part = self.facts.submission.experiment
        return part.params if part is not None else ()


def figures(facts: RunFacts, clocks: Clocks, now_s: float) -> RunFigures:
    """The figures of one run.

    Args:
        facts: all that is known of its task.
        clocks: of those who wrote it down.
        now_s: epoch seconds by the common clock.
    """
    tries = [one for one in facts.tries if one.has_begun]
    first, last = (tries[0], tries[-1]) if tries else (None, None)
    submitted_s = clocks.submitted_s(facts.submitted)
    started_s = None if first is None else clocks.common_s(first.node, first.started_s)
    waits_until_s = now_s if first is None and facts.state is State.PENDING else started_s
    phase, outcome = _phase(facts)
    took = [_took_s(one, clocks, now_s) for one in tries]
    gpu_s = [_product(one.gpus, took_s) for one, took_s in zip(tries, took, strict=True)]
    failures = tuple(one.error_type for one in facts.tries if one.error_type)
    peak_bytes = _peak_bytes(tries)
    return RunFigures(
        facts,
        phase,
        outcome,
        error_type=failures[-1] if failures and phase is not Phase.DONE else "",
        reason=facts.tries[-1].reason if facts.tries else "",
        tries=len(tries),
        submitted_s=submitted_s,
        started_s=started_s,
        ended_s=_end_s(last, clocks) if last and phase in ENDED else None,
        waited_s=_span_s(submitted_s, waits_until_s),
        between_s=_between_s(tries, clocks),
        ran_s=_known_sum(took),
        last_ran_s=took[-1] if took else None,
        gpus=last.gpus if last else None,
        gpu_s=_known_sum(gpu_s),
        unknown_tries=sum(one is None for one in gpu_s),
        memory_peak_bytes=peak_bytes,
        utilization_percent=_utilization_percent(tries),
        memory=_judged(peak_bytes, facts.memory_asked_bytes, phase),
        node=last.node if last else "",
        failures=failures,
    )


def _phase(facts: RunFacts) -> tuple[Phase, str]:
    last = facts.tries[-1] if facts.tries else None
    ended = [one.outcome for one in facts.tries if one.outcome]
    outcome = ended[-1] if ended else ""
    if facts.state is State.DONE:
        return Phase.DONE, outcome
    if facts.state is State.RUNNING:
        return Phase.RUNNING, outcome
    if facts.state is State.PENDING:
        return Phase.WAITING, outcome
    if last is None or not last.is_final or last.outcome == "stopped":
        # No try settled it there: a person did.
        return Phase.CANCELLED, outcome
    return Phase.FAILED, outcome


def _took_s(one: TryFacts, clocks: Clocks, now_s: float) -> float | None:
    if not one.is_live:
        return one.duration_s
    return _span_s(clocks.common_s(one.node, one.started_s), now_s)


def _end_s(one: TryFacts, clocks: Clocks) -> float | None:
    started_s = clocks.common_s(one.node, one.started_s)
    if started_s is None or one.duration_s is None:
        return None  # when its end was noted says little: a lost try's is noted by whoever finds it
    return started_s + one.duration_s


def _between_s(tries: Sequence[TryFacts], clocks: Clocks) -> float | None:
    gaps = [
        _span_s(_end_s(one, clocks), clocks.common_s(later.node, later.started_s)) for one, later in pairwise(tries)
    ]
    known = [gap for gap in gaps if gap is not None]
    return sum(known) if gaps and len(known) == len(gaps) else None


def _span_s(begin_s: float | None, end_s: float | None) -> float | None:
    if begin_s is None or end_s is None or end_s < begin_s - SLACK_S:
        return None
    return max(0.0, end_s - begin_s)


def _product(count: int | None, each: float | None) -> float | None:
    return None if count is None or each is None else count * each


def _known_sum(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) if known else None


# -- what its GPUs told ---------------------------------------------------------------------------------------------


def _peak_bytes(tries: Iterable[TryFacts]) -> int | None:
    peaks = [
        usage.memory_peak_bytes
        for one in tries
        if one.reserve_bytes is None  # else others of ours were on its cards as well
        for usage in one.usage
        if usage.memory_peak_bytes is not None and 0 <= usage.memory_peak_bytes <= LARGEST_BYTES
    ]
    return max(peaks, default=None)


def _utilization_percent(tries: Iterable[TryFacts]) -> float | None:
    readings = [
        (usage.samples, usage.utilization_mean_percent)
        for one in tries
        for usage in one.usage
        if usage.utilization_mean_percent is not None and 0 <= usage.utilization_mean_percent <= 100
    ]
    samples = sum(count for count, _ in readings)
    return sum(count * percent for count, percent in readings) / samples if samples else None


def _judged(peak_bytes: int | None, asked_bytes: int | None, phase: Phase) -> Memory | None:
    if peak_bytes is None or asked_bytes is None:
        return None
    if peak_bytes > asked_bytes:
        return Memory.MORE
    # One that failed, or runs, may not have come to where it needs most.
    is_little = phase is Phase.DONE and peak_bytes < FAR_LESS * asked_bytes
    return Memory.FAR_LESS if is_little else None


# -- all together ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sum:
    """What several runs took together."""

    counts: Mapping[Phase, int]
    """Of each phase, also where there is none."""
    tries: int
    gpu_s: float | None
    """As far as known."""
    unknown_tries: int
    """Of which nobody can tell how long they took, or on how many GPUs."""
    first_started_s: float | None
    last_ended_s: float | None
    """None also where not all have ended."""
    wall_s: float | None
    """From the first start to the last end, or until now."""
    waited_s: float | None
    """Before the first try, in the mean over the runs that have one."""
    utilization_percent: float | None
    """In the mean over all readings."""
    failed_tries: Mapping[str, int]
    """That failed or were lost, by their error types, the most frequent first."""
    failed_runs: Mapping[str, int]
    """Runs that have failed by the error type of their last try, the most frequent first; empty: it had none."""
    far_less: tuple[RunFigures, ...]
    """Done, and took far less memory than they had asked for; the least of it first."""
    more: tuple[RunFigures, ...]
    """Took more; the most first."""

    @property
    def runs(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


def summed(runs: Sequence[RunFigures], now_s: float) -> Sum:
    """The figures of several runs together.

    Args:
        runs: of which.
        now_s: epoch seconds by the common clock.
    """
    counts = Counter(one.phase for one in runs)
    started = [one.started_s for one in runs if one.started_s is not None]
    ended = [one.ended_s for one in runs if one.ended_s is not None]
    is_over = all(one.phase in ENDED for one in runs)
    first_s, last_s = min(started, default=None), max(ended, default=None) if is_over else None
    waits = [one.waited_s for one in runs if one.waited_s is not None and one.tries]
    failed = [one.error_type for one in runs if one.phase is Phase.FAILED]
    return Sum(
        {phase: counts[phase] for phase in Phase},
        sum(one.tries for one in runs),
        _known_sum(one.gpu_s for one in runs),
        sum(one.unknown_tries for one in runs),
        first_s,
        last_s,
        _span_s(first_s, last_s if is_over else now_s),
        sum(waits) / len(waits) if waits else None,
        _utilization_percent([one for run in runs for one in run.facts.tries if one.has_begun]),
        dict(Counter(one for run in runs for one in run.failures).most_common()),
        dict(Counter(failed).most_common()),
        tuple(sorted((one for one in runs if one.memory is Memory.FAR_LESS), key=_share)),
        tuple(sorted((one for one in runs if one.memory is Memory.MORE), key=_share, reverse=True)),
    )


def _share(one: RunFigures) -> float:
    return (one.memory_peak_bytes or 0) / (one.facts.memory_asked_bytes or 1)
