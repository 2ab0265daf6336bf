"""A try's life: a row for each thing that may be seen in each stage, with the stage that follows and what is done."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.agent import life
from gpu_queue.agent.agenda import NEVER
from gpu_queue.agent.life import advance
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
    end_of,
    holds_gpus,
    why_of,
)
from gpu_queue.node.storage import Failed
from gpu_queue.node.transitions import Claimed, NotClaimed, Recalled, Settled
from gpu_queue.spool.store import Moved
from gpu_queue.task import Claim, End, Needs, Settlement, State, Submission, Why

NOW = 100.0
CLAIM = Claim(500, "20260101T000000000-abcdef-train.sh", 1, "012345")
CLAIMED = Claimed(CLAIM, "/spool/running/n1/x", -1, "", b"true\n", Submission(CLAIM.task_id))
BROKEN = Failed(OSError(errno.EIO, "broken"))
FULL = OSError(errno.ENOSPC, "full")
WENT_ON = Settlement(State.DONE, "succeeded")
UNKNOWN = 255

CLEARING = Clearing(CLAIMED, since=99.0, due=NOW)
RUNNING = Running(record_at=NEVER)
ADOPTED = Running(is_adopted=True, look_at=NOW)
ENDING = Running(why=Why.STOPPED, is_ending=True, look_at=NOW)
LEAVING = Running(why=Why.REQUEUE, is_ending=True, look_at=NOW)


def settles(status: int, why: Why | None = None) -> tuple[Free, Settle]:
    return Free(), Settle(End(status, why))


ROWS: dict[str, tuple[Stage, Facts, Stage, tuple[Effect, ...]]] = {
    # -- being claimed
    "nothing is heard of its claim": (Claiming(), Facts(), Claiming(), ()),
    "it is ours": (Claiming(), Facts(answer=CLAIMED), replace(CLEARING, since=NOW), ()),
    "it is ours, and somebody wants its end": (
        Claiming(why=Why.STOPPED),
        Facts(answer=CLAIMED),
        replace(CLEARING, since=NOW, why=Why.STOPPED),
        (),
    ),
    "it is ours, only to be refused": (
        Claiming(to_run=False),
        Facts(answer=CLAIMED),
        Settling(End(UNKNOWN)),
        settles(UNKNOWN),
    ),
    "another was quicker": (
        Claiming(),
        Facts(answer=NotClaimed(Moved.LOST, "gone")),
        Over(),
        (Dismiss(to_spares=True), Look(), Free()),
    ),
    "nobody knows whether it is ours": (
        Claiming(),
        Facts(answer=NotClaimed(Moved.UNKNOWN, "EIO")),
        Over(),
        (
            Dismiss(to_spares=True),
            Look(),
            Free(),
            Say("it could not be claimed, or nobody knows (EIO)"),
            Rest(2.0, 60.0, as_it_was=True),
        ),
    ),
    "it is ours, and its files cannot be read": (
        Claiming(),
        Facts(answer=BROKEN),
        Settling(End(UNKNOWN, Why.REQUEUE)),
        (
            Say("its files could not be read or made ([Errno 5] broken); it goes back"),
            Rest(2.0, 60.0),
            Dismiss(),
            *settles(UNKNOWN, Why.REQUEUE),
        ),
    ),
    "somebody wants its end while it is claimed": (
        Claiming(),
        Facts(wish=Wish(Why.STOPPED)),
        Claiming(why=Why.STOPPED),
        (Tell(),),
    ),
    # -- waiting for its GPUs
    "its GPUs are not empty": (CLEARING, Facts(), replace(CLEARING, due=NOW + 0.02), ()),
    "its GPUs are empty": (CLEARING, Facts(is_clear=True), CLEARING, (Launch(CLAIMED),)),
    "somebody wants its end before it begins": (
        CLEARING,
        Facts(wish=Wish(Why.STOPPED)),
        replace(CLEARING, why=Why.STOPPED),
        (Tell(),),
    ),
    "it ends before it began": (
        replace(CLEARING, why=Why.STOPPED),
        Facts(is_clear=True),
        Settling(End(UNKNOWN, Why.STOPPED)),
        (Dismiss(), *settles(UNKNOWN, Why.STOPPED)),
    ),
    "its shim begins": (CLEARING, Facts(launched=Launched()), Running(record_at=NOW + 0.3), (Began(), Tell())),
    "its shim begins, with a time limit": (
        CLEARING,
        Facts(launched=Launched(time_s=60.0)),
        Running(time_s=60.0, limit_at=NOW + 60, record_at=NOW + 0.3),
        (Began(), Tell()),
    ),
    "no program can be started so": (
        CLEARING,
        Facts(launched=Launched(problem="embedded null byte")),
        Settling(End(UNKNOWN, Why.NOSTART)),
        (
            Say("could not be started here: embedded null byte"),
            Rest(60.0, 3600.0),
            Dismiss(),
            Free(),
            Settle(End(UNKNOWN, Why.NOSTART), "embedded null byte"),
        ),
    ),
    "this node cannot start anything": (
        CLEARING,
        Facts(launched=Launched(trouble=FULL)),
        Settling(End(UNKNOWN, Why.REQUEUE)),
        (RestNode(FULL), Dismiss(), *settles(UNKNOWN, Why.REQUEUE)),
    ),
    # -- running
    "it runs on": (RUNNING, Facts(), RUNNING, ()),
    "it has run long enough to be told of": (Running(record_at=NOW), Facts(), RUNNING, (Record(),)),
    "it is too soon to tell of it": (
        Running(record_at=NOW + 0.1),
        Facts(),
        Running(record_at=NOW + 0.1),
        (),
    ),
    "an adopted shim is looked at again": (ADOPTED, Facts(), replace(ADOPTED, look_at=NOW + 0.5), ()),
    "the spool tells what was forgotten of it": (
        ADOPTED,
        Facts(answer=Recalled(Needs(time_s=100.0), {}, 30.0), began_at=NOW - 30),
        replace(ADOPTED, time_s=100.0, limit_at=NOW + 70, look_at=NOW + 0.5),
        (Tell(),),
    ),
    "the spool tells that its time was over long ago": (
        ADOPTED,
        Facts(answer=Recalled(Needs(time_s=10.0), {}, 30.0), began_at=NOW - 30),
        replace(ADOPTED, time_s=10.0, limit_at=NOW - 20, look_at=NOW + 0.1, why=Why.TIMEOUT, is_ending=True),
        (Tell(), Say("its --time of 10s is over"), Tell(), WriteWhy(Why.TIMEOUT), EndProcesses(None)),
    ),
    "the spool could not be asked what was forgotten": (
        ADOPTED,
        Facts(answer=BROKEN),
        replace(ADOPTED, recall_at=NOW + 5, look_at=NOW + 0.5),
        (),
    ),
    "it is asked again": (
        replace(ADOPTED, recall_at=NOW),
        Facts(),
        replace(ADOPTED, look_at=NOW + 0.5),
        (Recall(),),
    ),
    "its time is over": (
        Running(time_s=90.0, limit_at=NOW),
        Facts(),
        Running(time_s=90.0, limit_at=NOW, why=Why.TIMEOUT, is_ending=True, look_at=NOW + 0.1),
        (Say("its --time of 1m30s is over"), Tell(), WriteWhy(Why.TIMEOUT), EndProcesses(None)),
    ),
    "its time is over while it is being ended": (
        replace(ENDING, limit_at=NOW),
        Facts(),
        replace(ENDING, limit_at=NOW, look_at=NOW + 0.1),
        (),
    ),
    "somebody wants its end": (
        RUNNING,
        Facts(wish=Wish(Why.STOPPED, 3.0)),
        replace(ENDING, look_at=NOW + 0.1),
        (Tell(), WriteWhy(Why.STOPPED), EndProcesses(3.0)),
    ),
    "it is leaving, and somebody wants its end for good": (
        LEAVING,
        Facts(wish=Wish(Why.STOPPED, 3.0)),
        replace(ENDING, look_at=NOW + 0.1),
        (Tell(), WriteWhy(Why.STOPPED), EndProcesses(3.0)),
    ),
    "it is stopped, and the agent leaves": (ENDING, Facts(wish=Wish(Why.REQUEUE)), ENDING, ()),
    "only its shim is left": (
        ENDING,
        Facts(is_bare=True),
        replace(ENDING, bare_since=NOW, look_at=NOW + 0.1),
        (),
    ),
    "only its shim is left for too long": (
        replace(ENDING, bare_since=NOW - 10),
        Facts(is_bare=True),
        replace(ENDING, bare_since=NOW, look_at=NOW + 0.1),
        (Say("its shim does not end; it is killed"), KillShim()),
    ),
    "its shim was stopped": (
        RUNNING,
        Facts(is_stopped=True),
        replace(RUNNING, stops=1, stopped_at=NOW),
        (Say("its shim was stopped; it is continued"), ContinueShim()),
    ),
    "an adopted shim is found stopped": (
        ADOPTED,
        Facts(is_stopped=True),
        replace(ADOPTED, stops=1, stopped_at=NOW, look_at=NOW + 0.5),
        (Say("its shim was stopped; it is continued"), ContinueShim()),
    ),
    "its shim was stopped while it is being ended": (
        ENDING,
        Facts(is_stopped=True),
        replace(ENDING, stops=1, stopped_at=NOW, look_at=NOW + 0.1),
        (Say("its shim was stopped; it is continued"), ContinueShim()),
    ),
    "its shim is stopped again, long after": (
        replace(RUNNING, stops=5, stopped_at=NOW - 60),
        Facts(is_stopped=True),
        replace(RUNNING, stops=1, stopped_at=NOW),
        (Say("its shim was stopped; it is continued"), ContinueShim()),
    ),
    "its shim is stopped again and again": (
        replace(RUNNING, stops=5, stopped_at=NOW - 1),
        Facts(is_stopped=True),
        replace(RUNNING, stops=6, stopped_at=NOW),
        (Say("its shim was stopped 6 times in a row; it is killed"), KillShim()),
    ),
    "a listing has its claim": (replace(RUNNING, missing_since=90.0), Facts(is_listed=True), RUNNING, ()),
    "a listing lacks its claim": (RUNNING, Facts(is_listed=False), replace(RUNNING, missing_since=NOW), ()),
    "two listings close together lack its claim": (
        replace(RUNNING, missing_since=NOW - 1),
        Facts(is_listed=False),
        replace(RUNNING, missing_since=NOW - 1),
        (),
    ),
    "its claim was taken away": (
        replace(RUNNING, missing_since=NOW - 2),
        Facts(is_listed=False),
        replace(RUNNING, missing_since=NOW - 2, why=Why.LOST, is_ending=True, look_at=NOW + 0.1),
        (Say("its claim was removed; it is ended"), Tell(), WriteWhy(Why.LOST), EndProcesses(None)),
    ),
    # -- its shim has gone
    "it ended, and left nothing": (
        RUNNING,
        Facts(shim=ShimGone(0, may_have_left=False)),
        Settling(End(0)),
        settles(0),
    ),
    "it ended, and may have left something": (
        RUNNING,
        Facts(shim=ShimGone(3)),
        Cleaning(End(3), is_ending=True, due=NOW + 0.1),
        (EndLeftovers(),),
    ),
    "it was stopped": (
        ENDING,
        Facts(shim=ShimGone(143, Why.STOPPED, may_have_left=False)),
        Settling(End(143, Why.STOPPED)),
        settles(143, Why.STOPPED),
    ),
    "it was stopped, and the disk took no reason": (
        ENDING,
        Facts(shim=ShimGone(143, may_have_left=False)),
        Settling(End(143, Why.STOPPED)),
        settles(143, Why.STOPPED),
    ),
    "its shim died without a word": (
        RUNNING,
        Facts(shim=ShimGone()),
        Cleaning(End(UNKNOWN, Why.LOST), is_ending=True, due=NOW + 0.1),
        (EndLeftovers(),),
    ),
    "its shim died without a word while it was stopped": (
        ENDING,
        Facts(shim=ShimGone()),
        Cleaning(End(UNKNOWN, Why.STOPPED), is_ending=True, due=NOW + 0.1),
        (EndLeftovers(),),
    ),
    "an adopted shim has gone": (
        ADOPTED,
        Facts(shim=ShimGone()),
        Cleaning(None, is_ending=True, due=NOW + 0.1),
        (EndLeftovers(),),
    ),
    "its shim was told TERM by somebody": (
        RUNNING,
        Facts(shim=ShimGone(143, Why.REQUEUE, may_have_left=False)),
        Cleaning(End(143, Why.REQUEUE), judge_at=NOW + 2, due=NOW + 2),
        (),
    ),
    "its shim was told TERM by somebody, and it had succeeded": (
        RUNNING,
        Facts(shim=ShimGone(0, Why.REQUEUE, may_have_left=False)),
        Settling(End(0, Why.REQUEUE)),
        settles(0, Why.REQUEUE),
    ),
    "its shim was told TERM by us": (
        LEAVING,
        Facts(shim=ShimGone(143, Why.REQUEUE, may_have_left=False)),
        Settling(End(143, Why.REQUEUE)),
        settles(143, Why.REQUEUE),
    ),
    "its script died of USR1": (
        RUNNING,
        Facts(shim=ShimGone(138, may_have_left=False)),
        Cleaning(End(138), judge_at=NOW + 2, due=NOW + 2),
        (),
    ),
    "its script died of USR1 while it was being stopped": (
        ENDING,
        Facts(shim=ShimGone(138, Why.STOPPED, may_have_left=False)),
        Settling(End(138, Why.STOPPED)),
        settles(138, Why.STOPPED),
    ),
    "its shim could not start it": (
        RUNNING,
        Facts(shim=ShimGone(127, Why.NOSTART, "no such directory", may_have_left=False)),
        Settling(End(UNKNOWN, Why.NOSTART)),
        (
            Say("could not be started here: no such directory"),
            Rest(60.0, 3600.0),
            Dismiss(),
            Free(),
            Settle(End(UNKNOWN, Why.NOSTART), "no such directory"),
        ),
    ),
    "its script has begun when that is asked": (
        Running(begins_by=NOW),
        Facts(has_begun=True),
        Running(),
        (),
    ),
    "its script has not begun": (
        Running(begins_by=NOW, limit_at=NOW + 5),
        Facts(has_begun=False),
        Running(limit_at=NOW + 5, why=Why.NOSTART, is_ending=True, look_at=NOW + 0.1),
        (
            Say("its script did not begin; it is ended, and goes back"),
            Tell(),
            WriteWhy(Why.NOSTART),
            EndProcesses(None),
        ),
    ),
    "its script has not begun and nobody asks yet": (
        Running(begins_by=NOW + 1),
        Facts(has_begun=False),
        Running(begins_by=NOW + 1),
        (),
    ),
    "its script has not begun and it is being ended": (
        replace(ENDING, begins_by=NOW),
        Facts(has_begun=False),
        replace(ENDING, begins_by=NOW, look_at=NOW + 0.1),
        (),
    ),
    "its shim was ended for that its script has not begun": (
        replace(RUNNING, why=Why.NOSTART, is_ending=True),
        Facts(shim=ShimGone(None, Why.NOSTART, may_have_left=False)),
        Settling(End(UNKNOWN, Why.NOSTART)),
        (
            Say("could not be started here: its script did not begin"),
            Rest(60.0, 3600.0),
            Dismiss(),
            Free(),
            Settle(End(UNKNOWN, Why.NOSTART), "its script did not begin"),
        ),
    ),
    # -- what is left of it
    "something is left of it": (
        Cleaning(End(3), is_ending=True, due=NOW),
        Facts(),
        Cleaning(End(3), is_ending=True, due=NOW + 0.1),
        (),
    ),
    "nothing is left of it": (
        Cleaning(End(3), is_ending=True, due=NOW),
        Facts(is_bare=True),
        Settling(End(3)),
        settles(3),
    ),
    "nothing is left of an adopted one": (
        Cleaning(None, is_ending=True, due=NOW),
        Facts(is_bare=True),
        Over(is_renamed=True),
        (Look(), Free()),
    ),
    "nobody took the node back": (
        Cleaning(End(143, Why.REQUEUE), judge_at=NOW, due=NOW),
        Facts(is_bare=True),
        Settling(End(143)),
        (Free(), Settle(End(143), note="told TERM")),
    ),
    "the node may yet be taken back": (
        Cleaning(End(143, Why.REQUEUE), judge_at=NOW + 1, due=NOW + 1),
        Facts(is_bare=True),
        Cleaning(End(143, Why.REQUEUE), judge_at=NOW + 1, due=NOW + 1),
        (),
    ),
    "the node is taken back": (
        Cleaning(End(143, Why.REQUEUE), judge_at=NOW + 1, due=NOW + 1),
        Facts(is_bare=True, is_leaving=True),
        Settling(End(143, Why.REQUEUE)),
        settles(143, Why.REQUEUE),
    ),
    "its agent was sent USR1 as well": (
        Cleaning(End(138), judge_at=NOW + 1, due=NOW + 1),
        Facts(is_bare=True, is_signalled=True),
        Settling(End(138, Why.REQUEUE)),
        (
            Say("died of USR1, which the agent was sent as well; it goes back"),
            Rest(60.0, 3600.0),
            Free(),
            Settle(End(138, Why.REQUEUE), note="told USR1, as its agent was"),
        ),
    ),
    "its agent may yet be sent USR2": (
        Cleaning(End(140), judge_at=NOW + 1, due=NOW + 1),
        Facts(is_bare=True),
        Cleaning(End(140), judge_at=NOW + 1, due=NOW + 1),
        (),
    ),
    "its agent was sent no USR2": (
        Cleaning(End(140), judge_at=NOW, due=NOW),
        Facts(is_bare=True),
        Settling(End(140)),
        settles(140),
    ),
    "its agent leaves, and it did not die of TERM": (
        Cleaning(End(138), judge_at=NOW + 1, due=NOW + 1),
        Facts(is_bare=True, is_leaving=True),
        Cleaning(End(138), judge_at=NOW + 1, due=NOW + 1),
        (),
    ),
    "somebody wants the end of what has ended": (
        Cleaning(End(0), is_ending=True, due=NOW),
        Facts(wish=Wish(Why.STOPPED)),
        Cleaning(End(0), is_ending=True, due=NOW),
        (),
    ),
    # -- being moved on
    "nothing is heard of its settling": (Settling(End(0)), Facts(), Settling(End(0)), ()),
    "it is settled": (
        Settling(End(0)),
        Facts(answer=Settled(Moved.WON, WENT_ON)),
        Over(End(0)),
        (Tell(), Forget(), Tally(WENT_ON)),
    ),
    "its claim was taken away before it was settled": (
        Settling(End(0)),
        Facts(answer=Settled(Moved.LOST, WENT_ON)),
        Over(End(0)),
        (Tell(), Forget(), Say("its claim was taken away")),
    ),
    "nobody knows whether it is settled": (
        Settling(End(0)),
        Facts(answer=Settled(Moved.UNKNOWN, WENT_ON, "EIO")),
        Settling(End(0), due=NOW + 1, told="could not be moved on yet (EIO)"),
        (Say("could not be moved on yet (EIO)"),),
    ),
    "nobody knows again, which people know": (
        Settling(End(0), told="could not be moved on yet (EIO)"),
        Facts(answer=Settled(Moved.UNKNOWN, WENT_ON, "EIO")),
        Settling(End(0), due=NOW + 1, told="could not be moved on yet (EIO)"),
        (),
    ),
    "the storage does not settle it": (
        Settling(End(0)),
        Facts(answer=BROKEN),
        Settling(End(0), due=NOW + 1, told="could not be moved on yet ([Errno 5] broken)"),
        (Say("could not be moved on yet ([Errno 5] broken)"),),
    ),
    "the spool is asked again": (Settling(End(0), due=NOW), Facts(), Settling(End(0)), (Settle(End(0)),)),
    "it is too soon to ask again": (
        Settling(End(0), due=NOW + 0.5),
        Facts(),
        Settling(End(0), due=NOW + 0.5),
        (),
    ),
    # -- over
    "nothing becomes of what is over": (
        Over(End(0)),
        Facts(wish=Wish(Why.STOPPED), answer=BROKEN, is_bare=True),
        Over(End(0)),
        (),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_is_seen_leads_on(row: str) -> None:
    stage, facts, follows, effects = ROWS[row]
    assert advance(stage, facts, NOW) == (follows, effects)


def test_a_shim_that_lives_without_its_agent_is_adopted_and_its_limit_with_it() -> None:
    adopted, effects = life.adopt(None, NOW - 40, 100.0, NOW)
    assert (adopted, effects) == (
        Running(is_adopted=True, time_s=100.0, limit_at=NOW + 60, look_at=NOW + 0.5),
        (Record(), Tell()),
    )
    ending, effects = life.adopt(Why.STOPPED, NOW - 40, None, NOW)
    assert (why_of(ending), effects) == (
        Why.STOPPED,
        (Record(), Tell(), WriteWhy(Why.STOPPED), EndProcesses(None)),
    )


def test_what_is_forgotten_of_an_adopted_try_is_asked_of_the_spool_and_not_written_over() -> None:
    adopted, effects = life.adopt(None, None, None, NOW)
    assert (adopted, effects) == (Running(is_adopted=True, look_at=NOW + 0.5), (Recall(), Tell()))
    _, effects = life.adopt(Why.STOPPED, None, None, NOW)
    assert effects == (Recall(), Tell(), WriteWhy(Why.STOPPED), EndProcesses(None))


@pytest.mark.parametrize(
    ("stage", "due"),
    [
        (Claiming(), NEVER),
        (replace(CLEARING, due=105.0), 105.0),
        (Running(limit_at=300.0, record_at=101.0), 101.0),
        (Running(limit_at=300.0), 300.0),
        (Running(limit_at=300.0, why=Why.STOPPED, is_ending=True, look_at=400.0), 400.0),
        (Cleaning(End(0), due=102.0), 102.0),
        (Settling(End(0)), NEVER),
        (Settling(End(0), due=101.0), 101.0),
        (Over(), NEVER),
    ],
)
def test_each_stage_says_when_it_is_due(stage: Stage, due: float) -> None:
    assert stage.due == due


STAGES = st.sampled_from([row[0] for row in ROWS.values()] + [row[2] for row in ROWS.values()])
SEEN: st.SearchStrategy[Any] = st.sampled_from([row[1] for row in ROWS.values()])


@given(STAGES, st.lists(st.tuples(SEEN, st.floats(0.0, 30.0)), max_size=30))
def test_whatever_is_seen_gpus_are_freed_once_and_an_end_stays(stage: Stage, seen: list[tuple[Facts, float]]) -> None:
    now = NOW
    for facts, seconds in seen:
        now += seconds
        follows, effects = advance(stage, facts, now)
        if not holds_gpus(stage):
            assert not holds_gpus(follows), "what was given back is not taken again"
            assert Free() not in effects
        elif not holds_gpus(follows):
            assert effects.count(Free()) == 1
        if isinstance(stage, Settling):
            assert end_of(follows) == stage.end
        if isinstance(follows, Settling) and not isinstance(stage, Settling):
            assert Settle in map(type, effects), "nobody else asks the storage"
        stage = follows


@given(STAGES, st.floats(0.0, 1000.0))
def test_a_stage_that_is_looked_at_when_it_is_due_is_due_later_or_gives_way(stage: Stage, late_s: float) -> None:
    if stage.due == NEVER:
        return
    now = max(stage.due, NOW) + late_s
    follows, effects = advance(stage, Facts(), now)
    assert follows.due > now or type(follows) is not type(stage) or effects, "the loop would spin"
