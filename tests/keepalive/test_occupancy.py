"""What a worker takes of a card's memory, found out from sums alone."""

from __future__ import annotations

from gpu_queue.gpus.leases import Footprint
from gpu_queue.keepalive.occupancy import MEASURE_AFTER_S, MEMORY_BACK_S, MEMORY_SLACK_BYTES, Occupancy
from gpu_queue.keepalive.tenant import CONTEXT_BYTES

GIB = 1 << 30
NOW = 1000.0


def an_occupancy(used_before: int | None = 10 * GIB, goal: int = 48 * GIB) -> Occupancy:
    occupancy = Occupancy()
    occupancy.book(used_before, goal)
    return occupancy


def test_a_worker_that_starts_is_booked_with_its_context() -> None:
    assert an_occupancy().footprint == Footprint(10 * GIB, 48 * GIB + CONTEXT_BYTES)


def test_what_it_takes_is_what_is_used_now_less_what_was_used_before() -> None:
    occupancy = an_occupancy()
    occupancy.begin(NOW, 48 * GIB)
    occupancy.measure(NOW + MEASURE_AFTER_S / 2, 59 * GIB, 48 * GIB)
    assert occupancy.footprint.before_bytes == 10 * GIB, "its memory may still be on the way"
    occupancy.measure(NOW + MEASURE_AFTER_S, 59 * GIB, 48 * GIB)
    assert occupancy.footprint == Footprint(0, 49 * GIB)


def test_it_is_measured_once_and_again_when_it_lets_go_of_some() -> None:
    occupancy = an_occupancy()
    occupancy.begin(NOW, 48 * GIB)
    occupancy.measure(NOW + 1, 59 * GIB, 48 * GIB)
    occupancy.measure(NOW + 9, 70 * GIB, 48 * GIB)
    assert occupancy.footprint == Footprint(0, 49 * GIB), "what comes later is somebody else's"
    occupancy.measure(NOW + 10, 59 * GIB, 20 * GIB)
    occupancy.measure(NOW + 10 + MEASURE_AFTER_S, 31 * GIB, 20 * GIB)
    assert occupancy.footprint == Footprint(0, 21 * GIB)


def test_it_takes_no_less_than_it_says_though_others_have_left() -> None:
    occupancy = an_occupancy()
    occupancy.begin(NOW, 48 * GIB)
    occupancy.measure(NOW + 1, 49 * GIB, 48 * GIB)
    assert occupancy.footprint == Footprint(0, 48 * GIB)


def test_what_others_take_while_it_starts_is_not_its_own() -> None:
    occupancy = an_occupancy()
    occupancy.begin(NOW, 48 * GIB)
    occupancy.measure(NOW + 1, 80 * GIB, 48 * GIB)
    assert occupancy.footprint == Footprint(0, 48 * GIB + CONTEXT_BYTES)


def test_of_a_worker_that_found_less_than_it_wanted_no_more_is_its_own() -> None:
    occupancy = an_occupancy(0)
    occupancy.begin(NOW, 24 * GIB)
    assert occupancy.footprint.others_bytes(60 * GIB) == 36 * GIB - CONTEXT_BYTES
    occupancy.measure(NOW + 1, 60 * GIB, 24 * GIB)
    assert occupancy.footprint.others_bytes(60 * GIB) == 36 * GIB - CONTEXT_BYTES


def test_its_memory_is_awaited_until_it_is_back() -> None:
    occupancy = an_occupancy()
    occupancy.end(NOW)
    occupancy.await_end(NOW, 59 * GIB)
    assert (occupancy.is_over, occupancy.is_late) == (False, False)
    occupancy.await_end(NOW + 0.1, 10 * GIB + MEMORY_SLACK_BYTES)
    assert (occupancy.is_over, occupancy.is_late) == (True, False)


def test_memory_that_does_not_come_back_is_late_until_the_next_worker() -> None:
    occupancy = an_occupancy()
    occupancy.end(NOW)
    occupancy.await_end(NOW + MEMORY_BACK_S, 59 * GIB)
    assert (occupancy.is_over, occupancy.is_late) == (True, True)
    occupancy.book(10 * GIB, 48 * GIB)
    assert not occupancy.is_late


def test_where_nobody_knows_what_was_used_before_nothing_is_waited_for() -> None:
    occupancy = an_occupancy(None)
    occupancy.end(NOW)
    occupancy.await_end(NOW, 59 * GIB)
    assert occupancy.is_over


def test_memory_that_cannot_be_read_now_is_not_back() -> None:
    occupancy = an_occupancy()
    occupancy.end(NOW)
    occupancy.await_end(NOW, None)
    assert not occupancy.is_over
    occupancy.await_end(NOW + MEMORY_BACK_S, None)
    assert (occupancy.is_over, occupancy.is_late) == (True, True)


def test_on_a_gpu_that_is_lost_no_memory_is_waited_for() -> None:
    occupancy = an_occupancy()
    occupancy.end(NOW)
    occupancy.await_end(NOW, None, is_lost=True)
    assert (occupancy.is_over, occupancy.is_late) == (True, False)
