"""How far runs are, and what happened between two looks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gpu_queue.experiments.progress.model import PACE_KEPT_S, advance, events_between, phase_of
from gpu_queue.experiments.progress.nouns import Agent, Counts, Happened, Phase, Progress, Standing
from gpu_queue.task import State
from tests.experiments.progress.samples import (
    NOW,
    SERVING,
    a_run,
    an_experiment,
    done,
    failed,
    halfway,
    runs,
    task_id,
    waits,
)

ONE = an_experiment(a_run("a"))


def looks(*standings: Standing | None, every_s: float = 1.0) -> list[Progress]:
    """One run, looked at again and again."""
    found: list[Progress] = []
    for place, standing in enumerate(standings):
        before = found[-1] if found else None
        known = {} if standing is None else {"a": standing}
        found.append(advance(ONE, known, NOW + place * every_s, agent=SERVING, before=before))
    return found


def happened(*standings: Standing | None) -> list[list[Happened]]:
    found = looks(*standings)
    return [[event.what for event in events_between(old, new)] for old, new in pairwise(found)]


def test_a_run_that_starts_and_ends_is_told_of_twice() -> None:
    assert happened(waits(1), runs(1, 0, 0), runs(1, 1, 0), done(1, 2)) == [
        [Happened.STARTED], [], [Happened.DONE],
    ]  # fmt: skip


def test_what_has_happened_before_the_first_look_is_no_news() -> None:
    (first,) = looks(failed(1, 3))
    assert events_between(None, first) == ()
    assert first.counts == Counts(failed=1)


def test_one_too_short_to_be_seen_running_is_told_of_when_it_is_done() -> None:
    assert happened(waits(1), done(1, 0.1)) == [[Happened.DONE]]


def test_what_is_read_only_later_of_how_a_run_went_is_no_second_end_of_it() -> None:
    unread = replace(done(1, 0.1), tries=0, outcome="", ran_s=None)
    assert happened(waits(1), unread, done(1, 0.1)) == [[Happened.DONE], []]


def test_a_try_that_failed_and_is_tried_again_is_no_failure_of_the_run() -> None:
    again = replace(waits(1), tries=1, failures=1, outcome="failed(1)")
    assert happened(runs(1, 5, 0), again, runs(1, 0, 0, tries=2)) == [[Happened.RETRIED], [Happened.STARTED]]


def test_a_whole_try_between_two_looks_is_told_of() -> None:
    second = replace(runs(1, 0, 0, tries=2), token="bbbbbb", failures=1)
    assert happened(runs(1, 5, 0), second) == [[Happened.RETRIED, Happened.STARTED]]
    assert happened(waits(1), second) == [[Happened.RETRIED, Happened.STARTED]]


def test_a_node_that_was_taken_back_is_no_failure() -> None:
    back = replace(waits(1), tries=1, outcome="requeued")
    elsewhere = replace(runs(1, 0, 0, tries=2, node="gpu8-1f2e3d4c"), token="bbbbbb")
    assert happened(runs(1, 5, 0), back) == [[Happened.REQUEUED]]
    assert happened(runs(1, 5, 0), elsewhere) == [[Happened.REQUEUED, Happened.STARTED]]


def test_a_failure_is_told_of_once_and_a_second_one_after_a_retry_by_hand_again() -> None:
    second = replace(failed(1, 4), tries=2)
    assert happened(runs(1, 5, 0), failed(1, 5), failed(1, 5), waits(1), second) == [
        [Happened.FAILED], [], [Happened.QUEUED], [Happened.FAILED],
    ]  # fmt: skip
    assert happened(failed(1, 5), second) == [[Happened.FAILED]]


def test_a_task_that_is_nowhere_any_more_is_told_of_once_and_counts_as_cancelled() -> None:
    gone = Standing(task_id(1))
    assert happened(waits(1), gone, replace(gone, tries=1)) == [[Happened.GONE], []]
    assert looks(waits(1), gone)[-1].is_over


def test_a_run_that_is_not_queued_yet_waits_and_nothing_has_happened_when_it_is() -> None:
    assert looks(None)[0].counts == Counts(waiting=1)
    assert happened(None, waits(1)) == [[]]


@pytest.mark.parametrize(
    ("standing", "phase"),
    [
        (failed(1, 1), Phase.FAILED),
        (failed(1, 1, "timeout", ""), Phase.FAILED),
        (failed(1, 1, "refused", ""), Phase.FAILED),
        (failed(1, 1, "lost", "node_lost"), Phase.FAILED),
        (failed(1, 1, "stopped", ""), Phase.CANCELLED),
        (failed(1, 1, "requeued", ""), Phase.CANCELLED),
        (Standing(task_id(1), State.FAILED), Phase.CANCELLED),
        # Its record cannot be read: that somebody took it out is more than we know.
        (Standing(task_id(1), State.FAILED, tries=1), Phase.FAILED),
    ],
)
def test_what_a_person_took_out_has_not_failed(standing: Standing, phase: Phase) -> None:
    assert phase_of(standing) is phase


def test_another_agent_than_before_is_told_of() -> None:
    first = advance(ONE, {"a": waits(1)}, NOW, agent=SERVING)
    second = advance(ONE, {"a": waits(1)}, NOW + 1, agent=replace(SERVING, starts=2, ended="killed"), before=first)
    assert [(event.what, event.said) for event in events_between(first, second)] == [(Happened.AGENT, "killed")]
    assert advance(ONE, {"a": waits(1)}, NOW + 2, agent=Agent(), before=second).agent == Agent()


def test_seconds_do_not_jump_when_two_pages_tell_of_one_start_by_two_clocks() -> None:
    first, second = looks(runs(1, 10.0, 0), runs(1, 9.2, 0))
    assert second.running[0].standing.since == first.running[0].standing.since
    assert second.items is first.items  # nothing is to be seen
    _, other = looks(runs(1, 10.0, 0), replace(runs(1, 9.2, 0), token="bbbbbb"))
    assert other.running[0].standing.since == NOW - 9.2


def test_what_was_done_before_is_known_as_such() -> None:
    first, second = looks(done(1, 5), done(1, 5))
    assert first.earlier == second.earlier == {"a"}
    assert second.groups[0].earlier == 1
    assert second.groups[0].began_at is None


def test_a_groups_time_begins_with_its_first_run_and_ends_with_its_last() -> None:
    both = an_experiment(a_run("a", "one"), a_run("b", "two"))
    first = advance(both, {"a": runs(1, 30.0, 0), "b": waits(2)}, NOW)
    assert [group.began_at for group in first.groups] == [NOW - 30, None]
    second = advance(both, {"a": done(1, 40), "b": runs(2, 1.0, 0, now=NOW + 10)}, NOW + 10, before=first)
    assert [group.ended_at for group in second.groups] == [NOW + 10, None]
    third = advance(both, {"a": done(1, 40), "b": done(2, 4)}, NOW + 20, before=second)
    assert [(group.began_at, group.ended_at) for group in third.groups] == [(NOW - 30, NOW + 10), (NOW + 9, NOW + 20)]
    assert third.is_over


def test_what_waits_stands_in_the_order_in_which_it_comes() -> None:
    two = an_experiment(a_run("a"), a_run("b"))
    found = advance(two, {"a": replace(waits(1), place=7), "b": replace(waits(2), place=3)}, NOW)
    assert [item.run.name for item in found.waiting] == ["b", "a"]


def test_what_runs_longest_stands_first_and_what_nobody_knows_of_last() -> None:
    three = an_experiment(a_run("a"), a_run("b"), a_run("c"))
    found = advance(three, {"a": replace(runs(1, 0, 0), since=None), "b": runs(2, 5, 0), "c": runs(3, 9, 0)}, NOW)
    assert [item.run.name for item in found.running] == ["c", "b", "a"]


def test_counts_of_groups_add_up() -> None:
    progress = halfway().progress()
    assert progress.counts == Counts(done=12, failed=1, running=4, waiting=12)
    assert progress.counts.all == len(progress.items) == 29
    assert not progress.is_over


def test_a_place_that_is_empty_for_a_moment_still_counts() -> None:
    pair = an_experiment(a_run("a"), a_run("b"), a_run("c"))
    first = advance(pair, {"a": runs(1, 5, 0), "b": runs(2, 5, 1), "c": waits(3)}, NOW)
    second = advance(pair, {"a": done(1, 6), "b": runs(2, 6, 1), "c": waits(3)}, NOW + 1, before=first)
    assert second.pace.runs == 2
    later = NOW + 2 + PACE_KEPT_S
    third = advance(pair, {"a": done(1, 6), "b": runs(2, 8, 1, now=later), "c": waits(3)}, later, before=second)
    assert third.pace.runs == 1
