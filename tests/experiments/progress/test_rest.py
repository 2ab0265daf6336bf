"""How long it still takes is told where it can be, and is then about right."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from gpu_queue.experiments.progress.model import advance
from gpu_queue.experiments.progress.nouns import Progress, Rest, Standing
from gpu_queue.experiments.specs.nouns import Run
from tests.experiments.progress.samples import NOW, a_run, an_experiment, done, runs, waits


def seen(*pairs: tuple[Run, Standing]) -> Progress:
    return advance(an_experiment(*(run for run, _ in pairs)), {run.name: standing for run, standing in pairs}, NOW)


def some(count: int, standing: Callable[[int], Standing], **more: object) -> list[tuple[Run, Standing]]:
    start = random.randrange(1 << 40)  # names are not repeated
    return [(a_run(f"r{start}-{place}", **more), standing(place)) for place in range(count)]  # type: ignore[arg-type]


def took(seconds: float) -> Callable[[int], Standing]:
    return lambda place: done(place, seconds)


def ran(seconds: float) -> Callable[[int], Standing]:
    return lambda place: runs(place, seconds, place)


def test_four_at_a_time_of_one_length() -> None:
    found = seen(*some(4, took(100)), *some(4, ran(40)), *some(8, waits))
    assert found.rest == found.groups[0].rest == Rest(NOW + 60 + 200)


def test_three_have_to_be_done_before_anything_is_told() -> None:
    assert seen(*some(2, took(100)), *some(4, ran(40))).rest is None
    assert seen(*some(3, took(100)), *some(4, ran(40))).rest == Rest(NOW + 60)


def test_nothing_is_told_where_runs_are_not_alike() -> None:
    alike = some(3, took(100)), some(2, ran(40)), some(3, waits)
    assert seen(*alike[0], *alike[1], *alike[2]).rest is not None
    assert seen(*alike[0], *some(1, took(260)), *alike[1], *alike[2]).rest is None  # one took far longer
    assert seen(*alike[0], *alike[1], *alike[2], *some(1, ran(111))).rest is None  # one is late
    assert seen(*alike[0], *alike[1], *alike[2], *some(1, waits, gpus="4")).rest is None  # one needs four places
    assert seen(*alike[0], *alike[2]).rest is None  # nothing runs, and who knows when it will


def test_of_a_job_of_which_none_is_done_only_the_least_is_told() -> None:
    train = [*some(20, took(100)), *some(2, ran(40)), *some(2, waits)]
    table = (a_run("table", job="table", after=tuple(run.name for run, _ in train)), waits(9))
    assert seen(*train, table).rest == Rest(NOW + 160, is_least=True)
    others = some(12, waits, job="other")  # more than a fifth
    assert seen(*train, *others).rest is None


def test_a_group_of_which_nothing_is_known_has_none() -> None:
    found = seen(*some(20, took(100)), *some(2, ran(40)), *some(2, waits, job="other", group="other"))
    assert [group.rest is None for group in found.groups] == [False, True]


def test_runs_of_one_queue_take_their_turns() -> None:
    queue = [*some(4, took(100)), *some(1, ran(40), queue="car"), *some(3, waits, queue="car")]
    assert seen(*queue).rest == Rest(NOW + 60 + 300)
    free = some(3, ran(40))  # places that the queue cannot use
    assert seen(*queue, *free).rest == Rest(NOW + 60 + 300)


def test_what_comes_after_others_waits_for_them() -> None:
    first = some(1, ran(40))
    then = (a_run("then", after=(first[0][0].name,)), waits(5))
    assert seen(*some(3, took(100)), *first, *some(1, ran(90)), then).rest == Rest(NOW + 160)


def test_one_that_runs_longer_than_most_is_expected_to_run_as_long_as_the_slowest() -> None:
    known = [*some(3, took(100)), *some(1, took(140))]
    assert seen(*known, *some(1, ran(100))).rest == Rest(NOW + 10)
    assert seen(*known, *some(1, ran(120))).rest == Rest(NOW + 20)


def test_it_counts_down_between_two_looks_and_a_run_that_is_late_takes_it_away() -> None:
    whole = [*some(3, took(100)), *some(1, ran(40))]
    first = seen(*whole)
    standings = {run.name: standing for run, standing in whole}
    experiment = an_experiment(*(run for run, _ in whole))
    second = advance(experiment, standings, NOW + 5, before=first)
    assert second.rest == first.rest
    late = advance(experiment, standings, NOW + 90, before=second)
    assert late.rest is None
    assert late.groups[0].rest is None


@pytest.mark.parametrize("spread", [0.05, 0.15, 0.25])
def test_what_is_told_comes_true_by_about_a_fifth(spread: float) -> None:
    """Sixty files of 40 runs on four places, each told of when half of it was done."""
    chance = random.Random(7)
    told = right = 0
    for _ in range(60):
        lengths = [chance.lognormvariate(5.0, spread) for _ in range(40)]
        free, ends = [0.0] * 4, []
        starts = []
        for length in lengths:
            starts.append(heapq.heappop(free))
            ends.append(starts[-1] + length)
            heapq.heappush(free, ends[-1])
        half_s = sorted(ends)[20]
        whole: list[tuple[Run, Standing]] = []
        for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if end <= half_s:
                standing = done(place, end - start)
            else:
                standing = runs(place, half_s - start, 0) if start <= half_s else waits(place)
            whole.append((a_run(f"r{place}"), standing))
        rest = seen(*whole).rest
        if rest is not None:
            told += 1
            left_s = max(ends) - half_s
            right += abs(rest.until - NOW - left_s) <= 0.2 * left_s
    assert told >= 20
    assert right >= 0.9 * told, f"{right} of {told}"


def test_a_thousand_runs_are_reckoned_in_a_moment() -> None:
    whole = [*some(100, took(100)), *some(8, ran(40)), *some(892, waits)]
    found = seen(*whole)
    assert found.rest is not None
    assert found.rest.until == pytest.approx(NOW + 60 + -(-892 // 8) * 100, abs=100)
    assert replace(found, now=NOW + 1).rest == found.rest
