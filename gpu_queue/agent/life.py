"""What a stage of a try's life gives way to, and what is to be done for it.  Pure: nothing is done here."""

from __future__ import annotations

import signal
from dataclasses import replace

from gpu_queue.again import as_asked
from gpu_queue.agent.agenda import NEVER
from gpu_queue.agent.stages import (
    Began,
    Claiming,
    Cleaning,
    Clearing,
    ContinueShim,
    Dismiss,
    Effect,
    EndLeftovers,
    EndProcesses,
    Facts,
    Forget,
    Free,
    KillShim,
    Launch,
    Launched,
    Look,
    Over,
    Recall,
    Record,
    Rest,
    RestNode,
    Running,
    Say,
    Settle,
    Settling,
    ShimGone,
    Stage,
    Tally,
    Tell,
    Wish,
    WriteWhy,
)
from gpu_queue.node.storage import Failed
from gpu_queue.node.transitions import Claimed, NotClaimed, Recalled, Settled
from gpu_queue.scheduling.recovery import NOBODY_KNOWS
from gpu_queue.spool.store import Moved
from gpu_queue.task import End, Why
from gpu_queue.units import format_duration

CLEARING_TICK_S = 0.02
ENDING_TICK_S = 0.1
ADOPTED_TICK_S = 0.5
JUDGE_AFTER_S = 2.0
"""So long a scheduler may take between signalling a task's processes and signalling the agent."""
DIED_OF_SIGNAL = (128 + signal.SIGTERM, 128 + signal.SIGUSR1, 128 + signal.SIGUSR2)
"""What ``scancel`` leaves of a script whose shim it reaches too late, and a site's ``--signal=USR1@60``."""
STUCK_AFTER_S = 10.0
"""A shim that is still there so long after nothing else of its try is left does not end by itself."""
STOPS_MAX = 5
STOPS_WITHIN_S = 60.0
"""A shim that is stopped more often, each time so soon after the last, is not left to whoever does that."""
LEFTOVER_GRACE_S = 5.0
SETTLE_AGAIN_S = 1.0
RECALL_AGAIN_S = 5.0
LOST_AFTER_S = 2.0
"""Two good listings so far apart that lack a claim say that it is lost; one listing may be behind."""
RECORD_AFTER_S = 0.3
"""A try that ended within so long has one record, that of its end, which tells all that the first would have told."""
NOT_BEGUN = "its script did not begin"
CLAIM_AGAIN_S = 2.0
CLAIM_AGAIN_MAX_S = 60.0
"""A task that the storage refused rests so long (a full disk, a moment's trouble): when that is over nobody waits."""

Next = tuple[Stage, tuple[Effect, ...]]


# -- the step -------------------------------------------------------------------------------------------------------


def advance(stage: Stage, facts: Facts, now: float) -> Next:
    """What a stage gives way to, and what is to be done for it.

    Args:
        stage: where the try is.
        facts: what was seen since this was asked last.
        now: monotonic seconds.
    """
    if facts.wish is not None:
        return _wished(stage, facts.wish, now)
    if isinstance(stage, Running):
        return _running(stage, facts, now)
    if isinstance(stage, Cleaning):
        return _cleaning(stage, facts, now)
    if isinstance(stage, Clearing):
        return _clearing(stage, facts, now)
    if isinstance(stage, Claiming):
        return _claiming(stage, facts, now)
    if isinstance(stage, Settling):
        return _settling(stage, facts, now)
    return stage, ()


def settle(end: End, problem: str = "", note: str = "") -> Next:
    """It is at its end, and moved on."""
    return Settling(end), (Free(), Settle(end, problem, note))


def clean(end: End | None, now: float, reason: str = "", *, judge_at: float | None = None) -> Next:
    """Its shim has gone, and what else it may have left is ended."""
    return Cleaning(end, reason, is_ending=True, judge_at=judge_at, due=now + ENDING_TICK_S), (EndLeftovers(),)


def adopt(
    why: Why | None, began_at: float | None, time_s: float | None, now: float, begins_within_s: float = NEVER
) -> Next:
    """Its shim lives, and its agent died.

    Args:
        why: its end was wanted already.
        began_at: when it began; None: this node has forgotten what it knew of it.
        time_s: its ``--time``.
        now: monotonic seconds.
        begins_within_s: its script is to begin so soon after ``began_at``.
    """
    stage = Running(is_adopted=True, look_at=now + ADOPTED_TICK_S)
    known: tuple[Effect, ...] = (Record(),)
    if began_at is None:
        known = (Recall(),)  # and no record, which would be written over one that tells more
    else:
        stage = replace(_limited(stage, began_at, time_s), begins_by=began_at + begins_within_s)
    if why is None:
        return stage, (*known, Tell())
    ending, effects = _wished(stage, Wish(why), now)
    return ending, (*known, *effects)


def _limited(stage: Running, began_at: float, time_s: float | None) -> Running:
    return replace(stage, time_s=time_s, limit_at=NEVER if time_s is None else began_at + time_s)


def _wished(stage: Stage, wish: Wish, now: float) -> Next:
    """The first reason counts, but that a task should go on elsewhere yields to any other."""
    if not isinstance(stage, (Claiming, Clearing, Running)) or stage.why not in (None, Why.REQUEUE):
        return stage, ()
    if not isinstance(stage, Running):
        return replace(stage, why=wish.why), (Tell(),)
    ending = replace(stage, why=wish.why, is_ending=True, look_at=now + ENDING_TICK_S)
    return ending, (Tell(), WriteWhy(wish.why), EndProcesses(wish.grace_s))


def _claiming(stage: Claiming, facts: Facts, now: float) -> Next:
    answer = facts.answer
    if isinstance(answer, NotClaimed):
        effects: tuple[Effect, ...] = (Dismiss(to_spares=True), Look(), Free())
        if answer.moved is Moved.UNKNOWN:
            # It may still be done by the server later: it then shows up in our directory and is recovered.
            text = f"it could not be claimed, or nobody knows ({answer.reason})"
            effects += (Say(text), Rest(CLAIM_AGAIN_S, CLAIM_AGAIN_MAX_S, as_it_was=True))
        return Over(), effects
    if isinstance(answer, Failed):
        settling, effects = settle(End(NOBODY_KNOWS, Why.REQUEUE))
        text = f"its files could not be read or made ({answer}); it goes back"
        return settling, (Say(text), Rest(CLAIM_AGAIN_S, CLAIM_AGAIN_MAX_S), Dismiss(), *effects)
    if not isinstance(answer, Claimed):
        return stage, ()
    if not stage.to_run:
        return settle(End(NOBODY_KNOWS))
    return Clearing(answer, since=now, due=now, why=stage.why), ()


def _clearing(stage: Clearing, facts: Facts, now: float) -> Next:
    if facts.launched is not None:
        return _launched(facts.launched, now)
    if stage.why is not None:
        settling, effects = settle(End(NOBODY_KNOWS, stage.why))
        return settling, (Dismiss(), *effects)
    if facts.is_clear:
        return stage, (Launch(stage.claimed),)
    return replace(stage, due=now + CLEARING_TICK_S), ()


def _launched(launched: Launched, now: float) -> Next:
    if launched.problem:
        return _not_started(launched.problem)
    if launched.trouble is not None:
        settling, effects = settle(End(NOBODY_KNOWS, Why.REQUEUE))
        return settling, (RestNode(launched.trouble), Dismiss(), *effects)
    stage = Running(record_at=now + RECORD_AFTER_S, begins_by=now + launched.begins_within_s)
    return _limited(stage, now, launched.time_s), (Began(), Tell())


def _not_started(reason: str) -> Next:
    settling, effects = settle(End(NOBODY_KNOWS, Why.NOSTART), reason)
    return settling, (Say(f"could not be started here: {reason}"), Rest(), Dismiss(), *effects)


def _running(stage: Running, facts: Facts, now: float) -> Next:
    if facts.shim is not None:
        return _shim_gone(stage, facts.shim, now)
    if facts.is_stopped:
        return _shim_stopped(stage, now)
    if facts.is_listed is not None:
        return _listed(stage, now, is_listed=facts.is_listed)
    effects: tuple[Effect, ...] = ()
    if isinstance(facts.answer, Recalled) and facts.began_at is not None:
        stage, effects = _limited(stage, facts.began_at, facts.answer.needs.time_s), (Tell(),)
    elif isinstance(facts.answer, Failed):
        stage = replace(stage, recall_at=now + RECALL_AGAIN_S)
    if now >= stage.record_at:
        stage, effects = replace(stage, record_at=NEVER), (*effects, Record())
    if now >= stage.recall_at:
        stage, effects = replace(stage, recall_at=NEVER), (*effects, Recall())
    if now >= stage.limit_at and stage.why is None:
        ending, more = _wished(stage, Wish(Why.TIMEOUT), now)
        return ending, (*effects, Say(f"its --time of {format_duration(stage.time_s or 0.0)} is over"), *more)
    if now >= stage.begins_by and stage.why is None:
        stage = replace(stage, begins_by=NEVER)
        if not facts.has_begun:
            ending, more = _wished(stage, Wish(Why.NOSTART), now)
            return ending, (*effects, Say(f"{NOT_BEGUN}; it is ended, and goes back"), *more)
    if facts.is_bare and stage.bare_since is None:
        stage = replace(stage, bare_since=now)
    elif facts.is_bare and stage.bare_since is not None and now - stage.bare_since >= STUCK_AFTER_S:
        stage, effects = (
            replace(stage, bare_since=now),
            (*effects, Say("its shim does not end; it is killed"), KillShim()),
        )
    if stage.look_at <= now:
        tick_s = ENDING_TICK_S if stage.is_ending else ADOPTED_TICK_S
        stage = replace(stage, look_at=now + tick_s)
    return stage, effects


def _listed(stage: Running, now: float, *, is_listed: bool) -> Next:
    if is_listed:
        return (stage if stage.missing_since is None else replace(stage, missing_since=None)), ()
    if stage.missing_since is None:
        return replace(stage, missing_since=now), ()
    if now - stage.missing_since < LOST_AFTER_S:
        return stage, ()
    ending, effects = _wished(stage, Wish(Why.LOST), now)
    return ending, (Say("its claim was removed; it is ended"), *effects)


def _shim_stopped(stage: Running, now: float) -> Next:
    """Whoever stopped it (its own script may), it holds GPUs until it goes on: it alone sees that its script ends."""
    stops = stage.stops + 1 if now - stage.stopped_at < STOPS_WITHIN_S else 1
    tick_s = ENDING_TICK_S if stage.is_ending else ADOPTED_TICK_S
    look_at = now + tick_s if stage.look_at <= now else stage.look_at
    stage = replace(stage, stops=stops, stopped_at=now, look_at=look_at)
    if stops <= STOPS_MAX:
        return stage, (Say("its shim was stopped; it is continued"), ContinueShim())
    return stage, (Say(f"its shim was stopped {stops} times in a row; it is killed"), KillShim())


def _shim_gone(stage: Running, shim: ShimGone, now: float) -> Next:
    if stage.is_adopted:
        return clean(None, now)
    why = shim.why or stage.why
    # A shim that died without a word took its script with it, or leaves it to be found by its marker.
    end = End(NOBODY_KNOWS, why or Why.LOST) if shim.status is None else End(shim.status, why)
    # A signal ended it, and not ours: see _judged.
    is_told_term = why is Why.REQUEUE and stage.why is None and shim.status != 0
    if is_told_term and shim.asks:
        end = End(end.status)  # whoever told its shim TERM: it goes back
    end = as_asked(end, asks=shim.asks, signal=shim.signal, is_warned=shim.is_warned)
    is_told_term &= end.why is Why.REQUEUE
    is_script_told = end.why is None and shim.status in DIED_OF_SIGNAL
    judge_at = now + JUDGE_AFTER_S if is_told_term or is_script_told else None
    reason = shim.reason or (NOT_BEGUN if stage.why is Why.NOSTART else "")
    if shim.may_have_left:
        return clean(end, now, reason, judge_at=judge_at)
    return _cleaned(Cleaning(end, reason, judge_at=judge_at), now, Facts())


def _cleaning(stage: Cleaning, facts: Facts, now: float) -> Next:
    if stage.is_ending:
        if not facts.is_bare:
            return (replace(stage, due=now + ENDING_TICK_S) if stage.due <= now else stage), ()
        stage = replace(stage, is_ending=False)
    return _cleaned(stage, now, facts)


def _cleaned(stage: Cleaning, now: float, facts: Facts) -> Next:
    end = stage.end
    if end is None:
        return Over(is_renamed=True), (Look(), Free())
    if stage.judge_at is not None and not (end.why is Why.REQUEUE and facts.is_leaving):
        return _judged(stage, end, stage.judge_at, now, facts)
    if end.why is Why.NOSTART:
        return _not_started(stage.reason or "its shim could not start it")
    return settle(end)


def _judged(stage: Cleaning, end: End, judge_at: float, now: float, facts: Facts) -> Next:
    """A scheduler that signals a task's processes signals us as well, within moments.

    If it does not, the script did it itself (``kill $PPID``, ``kill -USR1 0``), and has ended by its own status.
    """
    if end.why is None and facts.is_signalled:
        name = signal.Signals(end.status - 128).name.removeprefix("SIG")
        settling, effects = settle(End(end.status, Why.REQUEUE), note=f"told {name}, as its agent was")
        # The job goes on for a while after such a warning.
        return settling, (Say(f"died of {name}, which the agent was sent as well; it goes back"), Rest(), *effects)
    if now < judge_at:
        return replace(stage, due=judge_at), ()
    return settle(End(end.status), note="told TERM" if end.why is Why.REQUEUE else "")


def _settling(stage: Settling, facts: Facts, now: float) -> Next:
    answer = facts.answer
    if isinstance(answer, Settled) and answer.moved is not Moved.UNKNOWN:
        told = (
            Say("its claim was taken away")
            if answer.moved is Moved.LOST
            else Tally(answer.settlement, answer.error_type)
        )
        return Over(stage.end), (Tell(), Forget(), told)
    if isinstance(answer, (Settled, Failed)):
        text = f"could not be moved on yet ({answer.error if isinstance(answer, Settled) else answer})"
        return replace(stage, due=now + SETTLE_AGAIN_S, told=text), () if text == stage.told else (Say(text),)
    if now >= stage.due:
        return replace(stage, due=NEVER), (Settle(stage.end),)
    return stage, ()
