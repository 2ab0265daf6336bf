"""When an allocation has its successor submitted, and when nobody submits any more.  Pure.

- A kept queue has N *slots*.  The right to submit generation g of slot k is a token, ``allocations/slot-<k>.<g>``,
  that is created exclusively and never given twice; each token is at most one submission.
- Create, list again, then act: whoever made a token lists all of them once more before it submits.  Of any that
  together would be too many, the one that was made last sees the others, and withdraws.
- An allocation *earns* its successor by serving for a while.  What dies at once has none, which ends every loop.
- Unknown is never "free": a job of which nobody knows whether it exists has its slot, and an answer of the scheduler
  that lacks our own job is none.
- Times are the storage server's, in epoch seconds: those that it gave the tokens, and its moment now.  Where that
  clock was set back, what is remembered of the future proves nothing, and is asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from gpu_queue.kept import Keep, Outcome, Slot, Token
from gpu_queue.reasons import Code, Reason
from gpu_queue.states import AllocationState

HOUR_S = 3600.0
LATE_S = 600.0
"""A submission may come so long after its token was written: its token counts for an hour and this."""
EXTRA_PER_HOUR = 2
"""Submissions of an hour beyond one for each slot, where no setting tells."""
LEAD_S = 600.0
"""So long before its end an allocation has a successor that cannot wait for that end by itself."""
ARRIVE_S = 60.0
"""A successor that finds no work for so long ends again."""
ELSEWHERE_S = 1800.0
"""And so long where tasks run on other nodes: what its predecessor gives back at its end, or a dead node holds until
the others have watched it, would have nobody else."""
UNSEEN_S = 300.0
"""A submission of which the scheduler has known nothing for so long is over, or never came to be."""
FRESH_S = 60.0
"""An answer that is older is no base for a submission."""
WATCH_EVERY_S = 600.0
"""So often the scheduler is asked about the other slots while something waits."""
LOOK_EVERY_S = 120.0
BACKOFF_S, BACKOFF_MAX_S = 60.0, 3600.0
FAILURES_MAX = 3
_PLATFORMS = ("CANCEL", "PREEMPT", "TIMEOUT", "DEADLINE", "NODE_FAIL", "STOP", "SUSPEND", "DELET", "EVICT")
"""What the platforms' own words hold where a job was ended, and did not fail."""


@dataclass(frozen=True)
class Job:
    """One job as its scheduler knows it."""

    id: str
    state: AllocationState
    raw: str = ""
    nonce: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or may: a word that we do not know is no end."""
        return self.state not in (AllocationState.ENDED, AllocationState.LOST)


@dataclass(frozen=True)
class Answer:
    """All jobs of the queue's name, as the scheduler knew them at a moment."""

    asked_s: float
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Limits:
    """What the owner of the spool decides."""

    per_hour: int = 0
    """Submissions of a queue; 0: two more than it has slots."""
    earned_after_s: float = 600.0


@dataclass(frozen=True)
class Memory:
    """What an agent remembers of the scheduler's answers."""

    answer: Answer | None = None
    """The last one that can be believed."""
    unseen_since: Mapping[str, float] = field(default_factory=dict)
    """Nonces of tokens that were in no answer since that moment."""
    failures: int = 0
    """Questions in a row that brought no answer."""
    failed_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Facts:
    """One agent at one moment."""

    now_s: float
    own: Slot
    own_ids: tuple[str, ...] = ()
    """Its job, as its way names it."""
    served_s: float = 0.0
    lifetime_s: float | None = None
    """None: without end."""
    left_s: float | None = None
    has_work: bool = False
    """Tasks run here, or wait and could run; the keep-alive's load is no work."""
    has_waiting: bool = False
    is_leaving: bool = False
    """It takes nothing new because somebody said so: no end of a lifetime."""
    keep: Keep | None = None
    tokens: tuple[Token, ...] = ()
    memory: Memory = Memory()
    limits: Limits = Limits()
    has_elsewhere: bool = False
    """Tasks run on other nodes, or did a moment ago."""


# -- decisions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rest:
    """Nothing is to be done before this moment, as things are."""

    until_s: float
    why: str = ""
    """For people."""


@dataclass(frozen=True)
class Ask:
    """Ask the scheduler for all jobs of the queue's name."""


@dataclass(frozen=True)
class Submit:
    """Make this token; and if that is confirmed, submit."""

    slot: Slot
    after: tuple[str, ...] = ()
    """Jobs that it may begin after."""


@dataclass(frozen=True)
class Pause:
    """Submissions fail again and again: a person should look."""

    reason: str


Decision = Rest | Ask | Submit | Pause


class Fate(Enum):
    """What has become of a token."""

    OPEN = "nobody knows: it counts as alive"
    ALIVE = "its job is queued, runs or ends"
    REFUSED = "nothing exists"
    OVER = "its job is over"
    FAILED = "its job is over, its agent never served, and it was not ended on purpose"


HOLDS = (Fate.OPEN, Fate.ALIVE)


# -- work ------------------------------------------------------------------------------------------------------------

_NEVER = frozenset(
    {Code.INFEASIBLE, Code.MEMORY, Code.PINNED, Code.OWNER, Code.NOT_A_FILE, Code.OURS, Code.SCRIPT, Code.PAUSED}
)


def could_run(why: Reason, longest_s: float) -> bool:
    """Whether a task that waits for this reason could run in an allocation like ours.

    Args:
        why: the reason.
        longest_s: what such an allocation has for a task at its beginning.
    """
    if why.code is Code.LIFETIME:
        return why.number("time_s") <= longest_s
    return why.code not in _NEVER and not (why.code is Code.AFTER and why.text("failed"))


def some_could_run(waiting: Iterable[tuple[Collection[str], Reason]], longest_s: float) -> bool:
    """Whether any of the tasks that wait could run, and waits for none that never will.

    Args:
        waiting: what each is called, by its file and by its id, and why it waits.
        longest_s: as in :func:`could_run`.
    """
    left, stuck = [], set[str]()
    for names, why in waiting:
        if could_run(why, longest_s):
            left.append((names, why))
        else:
            stuck.update(names)
    while True:
        still = [
            (names, why)
            for names, why in left
            if stuck.isdisjoint((*why.items("tasks"), why.text("first"), why.text("holder")))
        ]
        if len(still) == len(left):
            return bool(left)
        kept = {name for names, _ in still for name in names}
        stuck.update(name for names, _ in left for name in names if name not in kept)
        left = still


# -- the scheduler's answers ----------------------------------------------------------------------------------------


def observe(before: Memory, answer: Answer, facts: Facts) -> Memory:
    """What is known after an answer; one that lacks our own job, which runs, is none."""
    own = {one.nonce for one in facts.tokens if one.slot == facts.own and one.nonce}
    if not any(job.nonce in own or job.id in facts.own_ids for job in answer.jobs):
        return unanswered(before, answer.asked_s, "the scheduler's answer lacks the job that this agent runs in")
    seen = {job.nonce for job in answer.jobs} | {job.id for job in answer.jobs}
    missing = [one.nonce for one in facts.tokens if one.nonce and not seen & {one.nonce, *one.ids}]
    since = {nonce: min(before.unseen_since.get(nonce, answer.asked_s), answer.asked_s) for nonce in missing}
    return Memory(answer, since)


def unanswered(before: Memory, now_s: float, problem: str) -> Memory:
    """What is known after a question without an answer."""
    return replace(before, failures=before.failures + 1, failed_s=now_s, problem=problem)


def fate_of(token: Token, facts: Facts) -> Fate:
    """What has become of a token, as far as is known."""
    if token.slot == facts.own:
        return Fate.ALIVE
    if token.outcome is Outcome.REFUSED:
        return Fate.REFUSED
    answer = facts.memory.answer
    jobs = [] if answer is None else [one for one in answer.jobs if _is_of(one, token)]
    if any(one.is_alive for one in jobs):
        return Fate.OPEN if all(one.state is AllocationState.UNKNOWN for one in jobs if one.is_alive) else Fate.ALIVE
    if not jobs and not token.nonce:  # whoever made it died before it wrote: nothing was submitted
        return Fate.REFUSED if facts.now_s - token.written_s >= UNSEEN_S else Fate.OPEN
    if not jobs and not _is_forgotten(token, facts):
        return Fate.OPEN
    if token.began or any(word in one.raw.upper() for one in jobs for word in _PLATFORMS):
        return Fate.OVER
    return Fate.OVER if any(one.state is AllocationState.LOST for one in jobs) else Fate.FAILED


def _is_forgotten(token: Token, facts: Facts) -> bool:
    """Whether a job that the scheduler does not name has ended, or never came to be."""
    answer = facts.memory.answer
    if answer is None or answer.asked_s > facts.now_s:
        return False
    since = facts.memory.unseen_since.get(token.nonce, facts.now_s)
    if token.written_s <= facts.now_s:
        since = max(since, token.written_s)
    return answer.asked_s - since >= UNSEEN_S or any(
        # Its successor was submitted while it lived, or after its end; and has begun, and outlives it.
        one.began and one.slot.number == token.slot.number and one.slot.generation > token.slot.generation
        for one in facts.tokens
    )


def _is_of(job: Job, token: Token) -> bool:
    return job.nonce == token.nonce if job.nonce and token.nonce else job.id in token.ids


# -- the limits -----------------------------------------------------------------------------------------------------


def per_hour(keep: Keep, limits: Limits) -> int:
    """How many submissions an hour may see."""
    return limits.per_hour or keep.slots + EXTRA_PER_HOUR


def hour_allows_at(tokens: Iterable[Token], most: int, now_s: float) -> float:
    """When the hour has room for one more submission."""
    latest = sorted((one.written_s for one in tokens), reverse=True)[:most]
    return now_s if len(latest) < most else latest[-1] + HOUR_S + LATE_S


def backoff_ends_at(fates: Mapping[Token, Fate], now_s: float) -> float:
    """When the next may be tried after the last ones came to nothing: 1, 2, 4 … 60 minutes after the last."""
    count, last_s = 0, float("-inf")
    past = (one for one in fates if one.written_s <= now_s)
    for token in sorted(past, key=lambda one: one.written_s, reverse=True):
        is_bad = fates[token] in (Fate.REFUSED, Fate.FAILED) or (
            fates[token] is Fate.OPEN and token.outcome is not Outcome.SUBMITTED
        )
        if not is_bad:
            break
        count, last_s = count + 1, max(last_s, token.written_s)
    return last_s + min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** min(count - 1, 10)) if count else last_s


def failures_in_a_row(fates: Mapping[Token, Fate], keep: Keep) -> int:
    """How many of the last generations never served."""
    count = 0
    for token in sorted(fates, key=lambda one: one.written_s, reverse=True):
        if token.written_s < keep.since_s or token.began:
            break
        count += fates[token] is Fate.FAILED
    return count


def earned_after_s(facts: Facts) -> float:
    """How long an allocation serves before it has earned its successor."""
    half_s = float("inf") if facts.lifetime_s is None else facts.lifetime_s / 2
    return min(facts.limits.earned_after_s, half_s)


def lead_s(facts: Facts) -> float:
    """How long before the end a successor is submitted that would not wait for it."""
    return LEAD_S if facts.lifetime_s is None else min(LEAD_S, facts.lifetime_s / 4)


# -- the decision ---------------------------------------------------------------------------------------------------


def decide(facts: Facts) -> Decision:
    """What an agent does now for the allocations that come after its own, and when it looks again."""
    now_s, keep = facts.now_s, facts.keep
    if keep is None or facts.is_leaving or not facts.has_work:
        return Rest(now_s + LOOK_EVERY_S)
    wait_s = earned_after_s(facts) - facts.served_s
    if wait_s > 0:
        return Rest(now_s + wait_s)
    fates = {one: fate_of(one, facts) for one in facts.tokens}
    failed = failures_in_a_row(fates, keep)
    if failed >= FAILURES_MAX:
        return Pause(f"the last {failed} allocations ended before an agent served in them")
    wanted = _wanted(facts, keep, fates)
    if isinstance(wanted, Rest):
        return _ask(facts, WATCH_EVERY_S) or wanted  # a slot may have lost its allocation
    at_s = max(backoff_ends_at(fates, now_s), hour_allows_at(facts.tokens, per_hour(keep, facts.limits), now_s))
    if at_s > now_s:
        return Rest(at_s, "submissions came to nothing, or the hour has seen enough of them")
    return _ask(facts, FRESH_S) or wanted


def _ask(facts: Facts, fresh_s: float) -> Ask | Rest | None:
    """Whether an answer is needed first, or is to be waited for; None: there is one."""
    memory, now_s = facts.memory, facts.now_s
    if memory.failures:
        at_s = memory.failed_s + min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** min(memory.failures - 1, 10))
        return Rest(at_s, memory.problem) if memory.failed_s <= now_s < at_s else Ask()
    if memory.answer is None or not 0 <= now_s - memory.answer.asked_s <= fresh_s:
        return Ask()
    return None


def _wanted(facts: Facts, keep: Keep, fates: Mapping[Token, Fate]) -> Submit | Rest:
    """Which token would be made, if the limits and the scheduler allow it."""
    rest = Rest(facts.now_s + LOOK_EVERY_S)
    held = _held(facts, fates)
    newest = {facts.own.number: facts.own.generation}
    for token in fates:
        newest[token.slot.number] = max(newest.get(token.slot.number, 0), token.slot.generation)
    own = facts.own.number
    can_wait = keep.can_wait and bool(facts.own_ids)
    if own <= keep.slots and own not in held and facts.left_s is not None:
        wait_s = 0.0 if can_wait else facts.left_s - lead_s(facts)
        if wait_s > 0:
            rest = Rest(min(rest.until_s, facts.now_s + wait_s))
        elif _has_room(facts, keep, held, own):
            return Submit(Slot(own, newest[own] + 1), facts.own_ids if can_wait else ())
    if facts.has_waiting:
        for number in range(1, keep.slots + 1):
            if number != own and number not in held and _has_room(facts, keep, held | {own}, number):
                return Submit(Slot(number, newest.get(number, 0) + 1))
    return rest


def _held(facts: Facts, fates: Mapping[Token, Fate]) -> set[int]:
    """Slots with a job that lives or may live, beside our own."""
    return {one.slot.number for one, fate in fates.items() if fate in HOLDS and one.slot != facts.own}


def _has_room(facts: Facts, keep: Keep, held: set[int], number: int) -> bool:
    """Whether one more in a slot is no more than N: what waits for its predecessor's end has the place of that."""
    answer = facts.memory.answer
    strangers = 0
    for job in () if answer is None else answer.jobs:
        is_ours = job.id in facts.own_ids or any(_is_of(job, token) for token in facts.tokens)
        strangers += job.is_alive and not is_ours
    return len({facts.own.number, *held} - {number}) + strangers < keep.slots


def confirm(facts: Facts, made: Slot, nonce: str) -> str:
    """Whether what was made may be submitted, by a listing that was begun after it was made.

    Args:
        facts: with that listing.
        made: the token.
        nonce: what we have written into it.

    Returns:
        Why it must be withdrawn; empty: submit.
    """
    own = next((one for one in facts.tokens if one.slot == made), None)
    if facts.keep is None:
        return "the queue is kept no longer"
    if own is None or own.nonce != nonce:
        return f"slot-{made} is somebody else's"
    others = tuple(one for one in facts.tokens if one.slot != made)
    most = per_hour(facts.keep, facts.limits)
    if sum(one.written_s > facts.now_s - HOUR_S - LATE_S for one in facts.tokens) > most:
        return f"the hour has seen {most} submissions"
    if any(one.slot.number == made.number and one.slot.generation > made.generation for one in others):
        return f"slot {made.number} has a later generation"
    rest = replace(facts, tokens=others)
    held = _held(rest, {one: fate_of(one, rest) for one in others})
    if made.number in held:
        return f"slot {made.number} has an allocation already"
    if not _has_room(rest, facts.keep, held, made.number):
        return f"{facts.keep.slots} allocations are there already"
    return ""


def arrival(facts: Facts, *, is_kept: bool) -> str:
    """Why an agent ends that has just begun in an allocation which an agent had submitted; empty: it stays.

    Args:
        facts: of the first minutes; ``has_work``: at any time since it began.
        is_kept: ``keep`` or ``keep-paused`` was there at its first look.
    """
    own = next((one for one in facts.tokens if one.slot == facts.own), None)
    if own is None or not own.is_successor:
        return ""
    if not is_kept:
        return "unkept"
    patience_s = ELSEWHERE_S if facts.has_elsewhere else ARRIVE_S
    if facts.lifetime_s is not None and not facts.has_elsewhere:
        patience_s = min(patience_s, facts.lifetime_s / 4)
    return "" if facts.has_work or facts.served_s < patience_s else "workless"
