"""When a peer may take a claim: properties, and a small model in which everything is as late as it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scheduling.watch import (
    ClaimSeen,
    Judgement,
    NodeSeen,
    Round,
    Terms,
    Verdict,
    Watches,
    judge,
    observe,
    questions,
    silent,
    told,
)

TERMS = Terms(takeover_after_s=900.0, ended_after_s=60.0, gap_s=60.0, vouched_after_s=120.0)
JOB = "slurm:1234.0"


def seen(
    beat: object = 1, claim: object = 1, *, has_ended: bool = False, allocation: str = ""
) -> dict[str, NodeSeen]:
    return {"n1": NodeSeen(beat, {"c": ClaimSeen(claim, has_ended)}, allocation=allocation)}


def watches(*rounds: Round, terms: Terms = TERMS) -> Watches:
    """What is known after these rounds."""
    state = Watches()
    for one in rounds:
        state = observe(state, one, terms)
    return state


def watched(*rounds: Round, terms: Terms = TERMS, ended: dict[str, float] | None = None) -> list[Judgement]:
    """What may be done after these rounds, and these words of the scheduler."""
    return judge(watches(*rounds, terms=terms), terms, ended or {})


def still(seconds: int, every: int = 10, **what: object) -> list[Round]:
    """Rounds in which nothing changes."""
    return [Round(t, t + 0.1, seen(**what)) for t in range(0, seconds + 1, every)]  # type: ignore[arg-type]


def test_what_stood_still_for_the_whole_time_is_taken_over() -> None:
    (verdict,) = watched(*still(910))
    assert (verdict.verdict, verdict.node, verdict.claim) == (Verdict.TAKE_OVER, "n1", "c")


def test_and_not_a_round_earlier() -> None:
    assert watched(*still(900)) == []


@pytest.mark.parametrize("what", ["beat", "claim"])
def test_what_changed_while_a_round_lasted_has_stood_still_since_its_end_only(what: str) -> None:
    slow = [*still(0), Round(10, 60, seen(beat=2) if what == "beat" else seen(claim=2))]
    after = [Round(t, t + 0.1, seen(beat=2) if what == "beat" else seen(claim=2)) for t in range(70, 961, 10)]
    early = [one for one in after if one.began_at < 960]
    assert watched(*slow, *early) == [], "it may have changed at 60, and 900 s after that is 960"
    assert watched(*slow, *after) != []


@pytest.mark.parametrize("what", ["beat", "claim"])
def test_a_sign_of_life_of_the_agent_or_of_the_shim_begins_the_watch_anew(what: str) -> None:
    one = seen(beat=2) if what == "beat" else seen(claim=2)
    rounds = still(890)
    later = [Round(t, t + 0.1, one) for t in range(900, 1790, 10)]
    assert watched(*rounds, *later) == []
    assert watched(*rounds, *later, *[Round(t, t + 0.1, one) for t in range(1790, 1820, 10)]) != []


def test_a_try_that_has_ended_waits_for_its_owner_for_a_minute_only() -> None:
    assert watched(*still(60, has_ended=True)) == []
    (verdict,) = watched(*still(70, has_ended=True))
    assert verdict.verdict is Verdict.SETTLE


def test_where_a_node_has_no_file_there_is_no_owner_to_wait_for() -> None:
    (verdict,) = watched(Round(0, 0.1, seen(beat=None, has_ended=True)))
    assert verdict.verdict is Verdict.SETTLE
    assert watched(Round(0, 0.1, seen(beat=None))) == [], "a claim without an end is watched all the same"


def test_a_dead_node_without_anything_is_put_away() -> None:
    empty = {"n1": NodeSeen(1, {}, is_bare=True)}
    rounds = [Round(t, t + 0.1, empty) for t in range(0, 920, 10)]
    assert watched(*rounds[:-1]) == []
    assert [one.verdict for one in watched(*rounds)] == [Verdict.RETIRE]


@pytest.mark.parametrize(
    "gap",
    [Round(900, 970, seen()), Round(970, 970.1, seen())],
    ids=["the storage hung", "this process was stopped"],
)
def test_an_interrupted_watch_begins_anew(gap: Round) -> None:
    rounds = still(890)
    assert watched(*rounds, gap) == []
    again = [Round(980.0 + t, 980.1 + t, seen()) for t in range(0, 880, 10)]
    assert watched(*rounds, gap, *again) == []


def test_a_node_that_was_out_of_sight_for_a_round_begins_anew() -> None:
    assert watched(*still(890), Round(900, 900.1, {}), Round(910, 910.1, seen())) == []


@given(st.lists(st.floats(1, 59), min_size=1, max_size=60), st.floats(-1e9, 1e9))
def test_who_gives_a_sign_of_life_in_time_is_never_taken_over_whatever_the_clock_shows(
    pauses_s: list[float], start_s: float
) -> None:
    state, now = Watches(), start_s
    for count, pause_s in enumerate(pauses_s):
        now += pause_s
        state = observe(state, Round(now, now + 0.5, seen(beat=0, claim=count // 10)), TERMS)
        assert judge(state, TERMS) == []


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 100)), min_size=1, max_size=80))
def test_nothing_is_taken_before_it_was_watched_for_that_long(rounds: list[tuple[float, float]]) -> None:
    state, now, first_ended = Watches(), 0.0, None
    for pause_s, lasts_s in rounds:
        began, now = now + pause_s, now + pause_s + lasts_s
        first_ended = now if first_ended is None else first_ended
        state = observe(state, Round(began, now, seen()), TERMS)
        if judge(state, TERMS):
            assert began - first_ended >= TERMS.takeover_after_s


def test_people_are_told_how_long_it_is_silent_and_when_it_is_taken_over() -> None:
    state = Watches()
    for one in still(240):
        state = observe(state, one, TERMS)
    (line,) = silent(state, TERMS, 60.0)
    assert told(line) == "not heard of for 3m59s; its task is taken over in 11m00s if it stays silent"


def test_of_a_node_that_was_old_when_we_came_people_are_told_at_once() -> None:
    state = observe(Watches(), Round(0, 0.1, {"n1": replace(seen()["n1"], age_s=240.0)}), TERMS)
    (line,) = silent(state, TERMS, 60.0)
    assert told(line) == "not heard of for 4m00s; its task is taken over in 15m00s if it stays silent"


def test_a_task_whose_shim_lives_is_not_said_to_be_taken_over() -> None:
    state = Watches()
    for t in range(0, 400, 10):
        state = observe(state, Round(t, t + 0.1, seen(claim=t // 30)), TERMS)
    (line,) = silent(state, TERMS, 60.0)
    assert told(line) == "not heard of for 6m29s; 1 task gives signs of life there and may go on"


# -- the scheduler's word -------------------------------------------------------------------------------------------


def test_a_claim_whose_batch_job_has_ended_is_taken_over_after_two_beats_and_what_a_cache_may_hide() -> None:
    (verdict,) = watched(*still(130, allocation=JOB), ended={JOB: 50.0})
    assert (verdict.verdict, verdict.claim, verdict.ended) == (Verdict.TAKE_OVER, "c", JOB)
    assert watched(*still(120, allocation=JOB), ended={JOB: 50.0}) == [], "and not a round earlier"


def test_the_full_watch_says_nothing_of_a_batch_job_although_that_has_ended() -> None:
    (verdict,) = watched(*still(910, allocation=JOB), ended={JOB: 50.0})
    assert verdict.ended == ""


@pytest.mark.parametrize("ended", [{}, {"slurm:1234.1": 50.0}, {"": 50.0}, {"slurm:1234": 50.0}])
def test_without_the_word_about_that_very_job_the_full_watch_decides(ended: dict[str, float]) -> None:
    assert watched(*still(890, allocation=JOB), ended=ended) == []


def test_a_node_that_names_no_job_is_nobodys_whatever_has_ended() -> None:
    assert watched(*still(890, allocation=""), ended={"": 50.0, JOB: 50.0}) == []


@pytest.mark.parametrize("what", ["beat", "claim"])
def test_a_word_that_was_asked_for_before_a_sign_of_life_proves_nothing(what: str) -> None:
    later = seen(beat=2, allocation=JOB) if what == "beat" else seen(claim=2, allocation=JOB)
    rounds = [*still(60, allocation=JOB), *(Round(t, t + 0.1, later) for t in range(70, 900, 10))]
    assert watched(*rounds, ended={JOB: 65.0}) == []
    (verdict,) = watched(*rounds, ended={JOB: 70.2})
    assert verdict.ended == JOB


def test_the_word_about_a_job_says_nothing_of_the_next_agent_in_the_same_place() -> None:
    rounds = [
        *still(60, allocation=JOB),
        *(Round(t, t + 0.1, seen(2, 2, allocation="slurm:1234.1")) for t in range(70, 900, 10)),
    ]
    assert watched(*rounds, ended={JOB: 500.0}) == []


def test_a_word_from_before_an_interruption_proves_nothing() -> None:
    rounds = [*still(100, allocation=JOB), *(Round(t, t + 0.1, seen(allocation=JOB)) for t in range(200, 900, 10))]
    assert watched(*rounds, ended={JOB: 100.0}) == []
    assert watched(*rounds, ended={JOB: 201.0}) != []


def test_where_a_node_has_no_file_no_word_is_believed() -> None:
    assert watched(*still(890, beat=None, allocation=JOB), ended={JOB: 50.0}) == []


def test_only_jobs_of_silent_nodes_with_silent_tries_are_asked_about() -> None:
    def asked(*rounds: Round, ended: dict[str, float] | None = None) -> list[str]:
        return questions(watches(*rounds), 45.0, ended or {})

    assert asked(*still(50, allocation=JOB)) == [JOB]
    assert asked(*still(40, allocation=JOB)) == [], "it may well live"
    assert asked(*still(50, allocation="")) == []
    assert asked(*still(50, allocation=JOB, has_ended=True)) == [], "it is settled, whoever lives"
    assert asked(*still(50, beat=None, allocation=JOB)) == []
    assert asked(*still(50, allocation=JOB), ended={JOB: 40.0}) == [], "it was answered"
    beats = [Round(t, t + 0.1, seen(claim=t // 30, allocation=JOB)) for t in range(0, 400, 10)]
    assert asked(*beats) == [], "the shim lives"


def test_people_are_told_that_the_end_of_the_job_makes_it_so_early() -> None:
    state = watches(*still(80, allocation=JOB))
    (line,) = silent(state, TERMS, 60.0, {JOB: 50.0})
    assert told(line) == "not heard of for 1m19s; its task is taken over in 40s: its batch job slurm:1234.0 has ended"
    (line,) = silent(state, TERMS, 60.0, {})
    assert told(line) == "not heard of for 1m19s; its task is taken over in 13m40s if it stays silent"


ROUNDS = st.tuples(st.floats(1, 50), st.integers(0, 2), st.integers(0, 2), st.sampled_from(["", JOB, "slurm:1234.1"]))


@given(
    st.lists(ROUNDS, min_size=1, max_size=60),
    st.dictionaries(st.sampled_from([JOB, "slurm:1234.1"]), st.floats(0, 2000)),
)
def test_early_is_only_what_stood_still_since_before_the_word_was_asked_for(
    rounds: list[tuple[float, int, int, str]], ended: dict[str, float]
) -> None:
    """The marks begin anew now and then; when, is found here in a list of all rounds."""
    state, now = Watches(), 0.0
    ends: list[tuple[float, float, object, object, str]] = []
    for pause_s, beat, claim, allocation in rounds:
        began, now = now + pause_s, now + pause_s + 0.5
        ends.append((began, now, beat == 0, claim == 0, allocation))
        # The page names its job: another job is another page.
        one = seen(beat=(beat == 0, allocation), claim=claim == 0, allocation=allocation)
        state = observe(state, Round(began, now, one), TERMS)
        for judgement in judge(state, TERMS, ended):
            same = [(began, end, (b, c, a) == ends[-1][2:]) for began, end, b, c, a in ends]
            first = next((k for k in range(len(same), 0, -1) if not same[k - 1][2]), 0)
            since = same[first][1]
            if not judgement.ended:
                assert began - since >= 0
                continue
            assert judgement.ended == allocation != ""
            assert began - since >= TERMS.vouched_after_s
            assert ended[allocation] >= since


# -- the model ------------------------------------------------------------------------------------------------------
#
# A shim and a peer, a tick at a time.  In each tick a call on the storage may be done by the server or not, a call
# that was done may return or not, the peer may look or not, at once or slowly, and what it reads may be as old as a
# cache may be.  Every order of these is tried.

BEAT, FENCE, GRACE, CACHE = 2, 3, 1, 1
NEEDED = FENCE + GRACE + BEAT + CACHE


@dataclass(frozen=True)
class Shim:
    """The owner of the claim; times in ticks before now."""

    good_ago: int = 0
    """Its last touch that returned began so long ago."""
    looked_ago: int = 0
    """It looks at its clock once a beat."""
    touch_ago: int | None = None
    """A touch that has not returned began so long ago."""
    is_done: bool = False
    """The server has done that touch."""
    told_ago: int | None = None
    """It fenced itself so long ago; after the grace its script is dead."""

    @property
    def is_dead(self) -> bool:
        return self.told_ago is not None and self.told_ago >= GRACE

    def older(self) -> Shim:
        def more(ago: int | None) -> int | None:
            return None if ago is None else min(ago + 1, 3 * NEEDED)

        return Shim(self.good_ago + 1, self.looked_ago + 1, more(self.touch_ago), self.is_done, more(self.told_ago))


@dataclass(frozen=True)
class World:
    """One moment."""

    now: int
    shim: Shim
    marks: tuple[int, ...]
    """What a reader may be shown: the newest mark last."""
    watches: Watches
    reading: tuple[int, int | None] | None = None
    """The peer's round: when it began, and what it read."""

    def key(self) -> object:
        newest = self.marks[-1]
        watch: object = None
        if "n1" in self.watches.nodes:
            claim = self.watches.nodes["n1"].claims["c"]
            assert isinstance(claim.mark, int)
            watch = newest - claim.mark, self.now - claim.since, self.now - self.watches.began_at
        reading = self.reading and (
            self.now - self.reading[0],
            None if self.reading[1] is None else newest - self.reading[1],
        )
        return self.shim, tuple(newest - one for one in self.marks), watch, reading


def shims(shim: Shim, mark: int) -> Iterator[tuple[Shim, int]]:
    """What the shim and the server may do in one tick."""
    if shim.told_ago is None and shim.looked_ago >= BEAT:
        shim = replace(shim, looked_ago=0)
        if shim.good_ago >= FENCE:
            shim = replace(shim, told_ago=0)
        elif shim.touch_ago is None:
            shim = replace(shim, touch_ago=0, is_done=False)
    yield shim, mark
    if shim.touch_ago is None:
        return
    done, later = (shim, mark) if shim.is_done else (replace(shim, is_done=True), mark + 1)
    yield done, later
    yield replace(done, touch_ago=None, is_done=False, good_ago=done.touch_ago or 0), later


def successors(world: World, terms: Terms) -> Iterator[World]:
    for shim, mark in shims(world.shim.older(), world.marks[-1]):
        marks = (*world.marks, mark)[-(CACHE + 1) :]
        next_ = replace(world, now=world.now + 1, shim=shim, marks=marks)
        yield next_
        if next_.reading is None:
            yield replace(next_, reading=(next_.now, None))
            yield from (looked(next_, next_.now, one, terms) for one in set(marks))
        elif next_.reading[1] is None:
            yield from (replace(next_, reading=(next_.reading[0], one)) for one in set(marks))
        else:
            yield looked(next_, next_.reading[0], next_.reading[1], terms)


def looked(world: World, began: int, read: int, terms: Terms) -> World:
    """The peer's round has come to its end."""
    nodes = {"n1": NodeSeen(0, {"c": ClaimSeen(read, has_ended=False)})}
    return replace(world, watches=observe(world.watches, Round(began, world.now, nodes), terms), reading=None)


def doubled(takeover_after: int, ticks: int) -> World | None:
    """A world in which the peer may take the claim of a script that lives; None: there is none."""
    terms = Terms(takeover_after_s=takeover_after, gap_s=100.0)
    layer = [World(0, Shim(), (0,), Watches())]
    known: set[object] = set()
    for _ in range(ticks):
        following = []
        for world in layer:
            for one in successors(world, terms):
                if judge(one.watches, terms) and not one.shim.is_dead:
                    return one
                key = one.key()
                if key not in known:
                    known.add(key)
                    following.append(one)
        layer = following
    return None


def test_no_schedule_of_delays_lets_a_peer_take_the_claim_of_a_script_that_lives() -> None:
    assert doubled(NEEDED, ticks=11) is None


def test_the_model_finds_what_is_wrong_with_shorter_times() -> None:
    assert doubled(FENCE + GRACE, ticks=11) is not None


# -- the model of the scheduler's word ------------------------------------------------------------------------------
#
# A batch job with an agent ends, and is requeued: the next agent has the same name, writes its page and claims a
# task.  A peer looks, at once or seeing what a cache still holds, of page and claim apart; it asks at any time, and
# is answered later.  Every order of these is tried.  Signs of life come in time: those that do not are the other
# model's.

OLD, NEW = "slurm:1234.0", "slurm:1234.1"
HIDDEN = 2
"""For so long a cache may hide what is new."""


class Scheduler(Enum):
    """What it says when it is asked."""

    TELLS_RUNS_APART = "ended, of the first run"
    TAKES_THEM_FOR_ONE = "ended, between the runs"
    LIES = "ended, whatever lives"


@dataclass(frozen=True)
class Moment:
    """Of a spool, a scheduler and a peer."""

    watches: Watches
    now: int = 0
    has_ended: bool = False
    """The first run."""
    started_ago: int | None = None
    """The second run has written its page so long ago."""
    pages: tuple[tuple[int, str], ...] = ((0, OLD),)
    """Marks and jobs that a reader may be shown, the newest last."""
    claims: tuple[int | None, ...] = (None,)
    """The same of the second run's claim; None: it is not there."""
    question: tuple[str, int] | None = None
    """About which job, and when it was asked."""
    ended: tuple[tuple[str, float], ...] = ()

    def key(self) -> object:
        def ago(at: float) -> float:
            return min(self.now - at, 12)

        node = self.watches.nodes.get("n1")
        watch = node and (
            node.seen.beat,
            ago(node.beat.since),
            ago(self.watches.began_at),
            tuple((one.mark, ago(one.since)) for one in node.claims.values()),
        )
        question = self.question and (self.question[0], ago(self.question[1]))
        ended = tuple((job, ago(at)) for job, at in self.ended)
        return self.has_ended, self.started_ago, self.pages, self.claims, watch, question, ended


def lives(one: Moment, scheduler: Scheduler) -> Iterator[Moment]:
    """What happens on the node in one tick, and what its readers may be shown of it."""
    ago = None if one.started_ago is None else one.started_ago + 1
    page, claim = one.pages[-1], one.claims[-1]
    if ago is not None:
        page = page[0] + (ago % BEAT == 0), page[1]
        claim = (claim or 0) + (ago % BEAT == 1)

    def shown(page: tuple[int, str], claim: int | None, started_ago: int | None) -> Moment:
        pages, claims = (*one.pages, page)[-(HIDDEN + 1) :], (*one.claims, claim)[-(HIDDEN + 1) :]
        return replace(one, now=one.now + 1, started_ago=started_ago, pages=pages, claims=claims)

    yield shown(page, claim, ago)
    if not one.has_ended:
        yield replace(shown(page, claim, ago), has_ended=True)
    elif ago is None:
        job = OLD if scheduler is Scheduler.TAKES_THEM_FOR_ONE else NEW
        yield shown((page[0] + 1, job), 0, 0)


def peers(one: Moment, terms: Terms, scheduler: Scheduler) -> Iterator[Moment]:
    """What the peer may do in one tick."""
    yield one
    for mark, job in set(one.pages):
        for claim in set(one.claims):
            claims = {} if claim is None else {"c": ClaimSeen(claim, has_ended=False)}
            node = NodeSeen(mark, claims, allocation=job)
            yield replace(one, watches=observe(one.watches, Round(one.now, one.now, {"n1": node}), terms))
    if one.question is None and "n1" in one.watches.nodes:
        yield replace(one, question=(one.watches.nodes["n1"].seen.allocation, one.now))
    elif one.question is not None:
        job, asked_at = one.question
        is_over = one.has_ended and job == OLD
        if scheduler is Scheduler.TAKES_THEM_FOR_ONE:
            is_over = one.has_ended and one.started_ago is None
        words = {known: at for known, at in one.ended if known != job}
        if is_over or scheduler is Scheduler.LIES:
            words[job] = asked_at
        yield replace(one, question=None, ended=tuple(sorted(words.items())))


def taken_alive(vouched_after: int, scheduler: Scheduler, ticks: int = 9) -> Moment | None:
    """A moment in which the peer may take the claim of the second run, which lives; None: there is none."""
    terms = Terms(takeover_after_s=1000.0, vouched_after_s=vouched_after, gap_s=100.0)
    layer = [Moment(Watches())]
    known: set[object] = set()
    for _ in range(ticks):
        following = []
        for before in layer:
            for lived in lives(before, scheduler):
                for one in peers(lived, terms, scheduler):
                    if judge(one.watches, terms, dict(one.ended)):
                        return one
                    key = one.key()
                    if key not in known:
                        known.add(key)
                        following.append(one)
        layer = following
    return None


@pytest.mark.parametrize("scheduler", Scheduler)
def test_no_order_of_ends_starts_looks_and_answers_lets_a_peer_take_what_runs_after_a_requeue(
    scheduler: Scheduler,
) -> None:
    assert taken_alive(2 * BEAT + HIDDEN, scheduler) is None


def test_the_model_of_the_word_finds_what_is_wrong_with_less_than_a_cache_may_hide() -> None:
    assert taken_alive(HIDDEN - 1, Scheduler.TELLS_RUNS_APART) is not None


def test_and_what_is_wrong_without_the_beats_where_a_scheduler_lies() -> None:
    assert taken_alive(HIDDEN, Scheduler.LIES) is not None
