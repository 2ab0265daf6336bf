"""When a peer may take a claim: properties, and a small model in which everything is as late as it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    silent,
    told,
)

TERMS = Terms(takeover_after_s=900.0, ended_after_s=60.0, gap_s=60.0)


def seen(beat: object = 1, claim: object = 1, *, has_ended: bool = False) -> dict[str, NodeSeen]:
    return {"n1": NodeSeen(beat, {"c": ClaimSeen(claim, has_ended)})}


def watched(*rounds: Round, terms: Terms = TERMS) -> list[Judgement]:
    """What may be done after these rounds."""
    state = Watches()
    for one in rounds:
        state = observe(state, one, terms)
    return judge(state, terms)


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
