"""Who may get a GPU of a server that several people share, which ones and how many, and why the others wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.reasons import Bar, Code
from gpu_queue.scheduling.admission import WHOLE, Card, Reserved, Terms, Verdict, dedicated, shared, unpromised_bytes
from gpu_queue.scheduling.facts import Demand, Facts, Limits
from gpu_queue.scheduling.patience import demand_of
from gpu_queue.scheduling.plan import Refuse, Start, explain, plan, positions_without_gpu
from gpu_queue.scheduling.selecting import grant, in_order_of, turn_after
from gpu_queue.sharing import GpuLeft, RetryConfig, Select, Sharing
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, State, Waiting
from gpu_queue.words import in_words
from tests.builders import GIB, a_shared_card, a_shared_node, a_task

CARD = a_shared_card()
IDLE = Verdict(GpuState.IDLE)
BUSY = Verdict(GpuState.BUSY)
UNKNOWN = Verdict(GpuState.UNKNOWN)


def barred(bar: Bar) -> Verdict:
    return Verdict(GpuState.FOREIGN, bar=bar)


def judged(card: Card, gib: float | None = None, **sharing: Any) -> Verdict:
    return shared(card, None if gib is None else int(gib * GIB), Terms(GIB, Sharing(**sharing)))


def part(gib: float, shown_gib: float | None = 0, **more: Any) -> Reserved:
    return Reserved(int(gib * GIB), shown_bytes=None if shown_gib is None else int(shown_gib * GIB), **more)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, IDLE),
        ({"is_lost": True, "is_known": False, "reserved": (Reserved(),)}, Verdict(GpuState.LOST)),
        ({"is_known": False}, UNKNOWN),
        ({"memory_free_bytes": None}, UNKNOWN),
        ({"utilization_percent": ()}, UNKNOWN),
        ({"is_competed": False}, barred(Bar.LEFT)),
        ({"is_competed": False, "is_known": False}, barred(Bar.LEFT)),
        ({"has_stranger": True}, barred(Bar.STRANGER)),
        ({"has_user_python": True}, barred(Bar.PYTHON)),
        ({"has_user_python": None}, IDLE),
        ({"utilization_percent": (0, 31, 0)}, barred(Bar.USED)),
        ({"utilization_percent": (30, 30)}, IDLE),
        ({"reserved": (Reserved(),)}, BUSY),
        ({"reserved": (Reserved(GIB, is_ours=False),)}, BUSY),
        ({"reserved": (Reserved(),), "has_stranger": True, "is_known": False}, BUSY),
        ({"memory_used_bytes": None, "memory_total_bytes": None}, IDLE),
    ],
)
def test_a_card_is_given_that_nobody_uses_at_the_moment(changes: dict[str, Any], verdict: Verdict) -> None:
    assert judged(replace(CARD, **changes)) == verdict


@pytest.mark.parametrize(
    ("asked_gib", "free_gib", "is_given"),
    [(20, 20, True), (20, 19.9, False), (None, 10, True), (None, 9.9, False), (2, 5, True), (0, 9.9, False)],
)
def test_what_must_be_free_is_what_the_task_says_or_else_min_memory(
    asked_gib: float | None, free_gib: float, is_given: bool
) -> None:
    verdict = judged(a_shared_card(free_gib=free_gib), asked_gib, min_memory_bytes=10 * GIB)
    assert verdict == (IDLE if is_given else barred(Bar.LITTLE))


def test_the_utilization_that_is_allowed_is_a_setting() -> None:
    card = replace(CARD, utilization_percent=(50,))
    assert judged(card, max_util_percent=50) == IDLE
    assert judged(card, max_util_percent=49) == barred(Bar.USED)


def test_to_the_utmost_cards_with_other_python_processes_of_this_user_count_and_with_strangers_do_not() -> None:
    assert judged(replace(CARD, has_user_python=True), maximize_resource_utilization=True) == IDLE
    strange = replace(CARD, has_stranger=True, reserved=(part(4),))
    assert judged(strange, 4, maximize_resource_utilization=True) == barred(Bar.STRANGER)


@pytest.mark.parametrize(
    ("free_gib", "reserved", "asked_gib", "verdict"),
    [
        (80, (part(30),), 50, Verdict(GpuState.IDLE, 50 * GIB)),
        (80, (part(30),), 50.1, BUSY),
        (60, (part(30, shown_gib=20),), 50, Verdict(GpuState.IDLE, 50 * GIB)),
        (60, (part(30, shown_gib=20),), 50.1, BUSY),
        (40, (part(30, shown_gib=30), part(30, shown_gib=10)), 20, Verdict(GpuState.IDLE, 20 * GIB)),
        (40, (part(30, shown_gib=30), part(30, shown_gib=10)), 20.1, BUSY),
        (60, (part(30, shown_gib=None),), 30, Verdict(GpuState.IDLE, 30 * GIB)),
        (60, (part(30, shown_gib=None),), 30.1, BUSY),
        (40, (part(30, shown_gib=40),), 40, Verdict(GpuState.IDLE, 40 * GIB)),
        (40, (part(30, shown_gib=40),), 40.1, BUSY),
        (80, (part(30),), None, BUSY),
        (80, (part(30),), 0, BUSY),
        (80, (Reserved(),), 1, BUSY),
        (80, (part(30), Reserved()), 1, BUSY),
        (80, (part(30, is_ours=False),), 50, Verdict(GpuState.IDLE, 50 * GIB)),
        (80, (), None, IDLE),
        (80, (), 20, Verdict(GpuState.IDLE, 20 * GIB)),
    ],
)
def test_to_the_utmost_tasks_that_name_their_memory_share_a_card_as_far_as_it_is_not_promised(
    free_gib: float, reserved: tuple[Reserved, ...], asked_gib: float | None, verdict: Verdict
) -> None:
    card = a_shared_card(free_gib=free_gib, reserved=reserved)
    assert judged(card, asked_gib, maximize_resource_utilization=True) == verdict


def test_what_our_tasks_do_with_a_card_says_nothing_about_others() -> None:
    card = a_shared_card(reserved=(part(30),), utilization_percent=(100,))
    assert judged(card, 10, maximize_resource_utilization=True).state is GpuState.IDLE
    unread = a_shared_card(reserved=(part(30),), utilization_percent=())
    assert judged(unread, 10, maximize_resource_utilization=True).state is GpuState.IDLE


def test_otherwise_a_card_with_a_task_is_given_to_nobody_else_and_a_task_reserves_all_of_it() -> None:
    assert judged(a_shared_card(reserved=(part(30),)), 10) == BUSY
    assert judged(CARD, 10) == Verdict(GpuState.IDLE, WHOLE)


def test_a_card_that_one_of_our_tasks_has_as_a_whole_is_busy_whoever_else_is_there() -> None:
    card = a_shared_card(reserved=(part(1), Reserved()), has_stranger=True)
    assert judged(card, 1, maximize_resource_utilization=True) == BUSY


def test_a_card_of_which_somebody_has_all_has_nothing_left() -> None:
    assert unpromised_bytes(a_shared_card(reserved=(part(1), Reserved()))) == 0
    assert unpromised_bytes(replace(CARD, memory_free_bytes=None)) is None


# -- how many, and which ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "most", "available", "left", "given"),
    [
        (1, 1, 10, 1, 1),
        (2, 4, 10, 1, 4),
        (2, 8, 5, 1, 4),
        (2, 8, 3, 1, 2),
        (2, 8, 2, 1, 0),  # document 002 would give 2, and leave nothing
        (1, 1, 1, 1, 0),
        (1, 4, 0, 0, 0),
        (1, 4, 0, 2, 0),
        (10, 10, 10, 0, 10),
        (9, 10, 10, 1, 9),  # document 001: ten cards, one is left
        (0, 2, 1, 0, 1),
    ],
)
def test_a_range_takes_what_is_there_without_what_is_left(
    least: int, most: int, available: int, left: int, given: int
) -> None:
    assert grant(least, most, available, left) == given


@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 12), st.integers(0, 4))
def test_a_grant_is_what_document_002_says_unless_that_eats_the_reserve(
    least: int, extra: int, available: int, left: int
) -> None:
    most = least + extra
    documented = min(most, max(least, available - left))
    assert grant(least, most, available, left) == (documented if available - documented >= left else 0)


def cards_by(select: Select, turn: int = 0, *cards: Card) -> list[int]:
    return [card.index for card in in_order_of(cards, select, turn)]


def test_most_free_counts_what_is_promised_and_takes_the_lower_of_two_equal_ones() -> None:
    cards = [
        a_shared_card(0, 40),
        a_shared_card(1, 60),
        a_shared_card(2, 60),
        a_shared_card(3, 70, reserved=(part(40),)),
    ]
    assert cards_by(Select.MOST_FREE, 0, *cards) == [1, 2, 0, 3]


def test_least_util_counts_the_average_of_the_burst_and_then_what_is_free() -> None:
    readings: list[tuple[int, ...]] = [(20, 10), (0, 29), (5, 5), (5, 5), ()]
    cards = [a_shared_card(index, 50 + index, utilization_percent=each) for index, each in enumerate(readings)]
    assert cards_by(Select.LEAST_UTIL, 0, *cards) == [3, 2, 1, 0, 4]


def test_round_robin_goes_on_behind_what_was_given_last() -> None:
    cards = [a_shared_card(index) for index in range(4)]
    assert [cards_by(Select.ROUND_ROBIN, turn, *cards)[0] for turn in (0, 1, 3, 4, 9)] == [0, 1, 3, 0, 0]
    assert [turn_after(given, turn) for given, turn in (([0], 0), ([3], 3), ([3, 0], 3), ([1, 2], 1), ([], 2))] == [
        1,
        4,
        1,
        3,
        2,
    ]


def started(facts: Facts) -> dict[str, tuple[str, ...]]:
    return {one.task.name: one.gpus for one in plan(facts).actions if isinstance(one, Start)}


def refused(facts: Facts) -> dict[str, Code]:
    return {one.task.name: one.reason.code for one in plan(facts).actions if isinstance(one, Refuse)}


def waits_for(facts: Facts, name: str) -> str:
    return in_words(dict(explain(facts, 1000))[name])


def with_memory(name: str, gib: int, least: int = 1, most: int | None = None, queue: str | None = None) -> Waiting:
    return a_task(name, needs=Needs(least, most or least, memory_bytes=gib * GIB, queue=queue))


def test_cards_are_given_by_what_select_says_and_told_in_the_order_of_their_indices() -> None:
    cards = [a_shared_card(0, 40), a_shared_card(1, 60), a_shared_card(2, 80, utilization_percent=(20,))]
    two = a_task("t", least=2)
    assert started(a_shared_node(cards, two)) == {"t": ("GPU-1", "GPU-2")}
    assert started(a_shared_node(cards, two, select=Select.LEAST_UTIL)) == {"t": ("GPU-0", "GPU-1")}
    turning = replace(a_shared_node(cards, two, select=Select.ROUND_ROBIN), turn=2)
    assert started(turning) == {"t": ("GPU-0", "GPU-2")}


def test_round_robin_goes_on_within_a_plan() -> None:
    cards = [a_shared_card(index) for index in range(3)]
    tasks = [with_memory(name, 10) for name in "abcd"]
    facts = a_shared_node(cards, *tasks, select=Select.ROUND_ROBIN, maximize_resource_utilization=True)
    assert started(replace(facts, turn=1)) == {"a": ("GPU-1",), "b": ("GPU-2",), "c": ("GPU-0",), "d": ("GPU-1",)}


def test_a_script_that_names_its_gpus_gets_those_whatever_select_says() -> None:
    cards = [a_shared_card(0, 40), a_shared_card(1, 60), a_shared_card(2, 80)]
    assert started(a_shared_node(cards, a_task("t", needs=Needs(1, 1, devices=(0,))))) == {"t": ("GPU-0",)}
    foreign = [replace(cards[0], has_stranger=True), *cards[1:]]
    assert started(a_shared_node(foreign, a_task("t", needs=Needs(1, 1, devices=(0,))))) == {}
    left = [replace(cards[0], is_competed=False), *cards[1:]]
    facts = a_shared_node(left, a_task("t", needs=Needs(1, 1, devices=(0,))))
    assert waits_for(facts, "t") == "its script sets CUDA_VISIBLE_DEVICES to GPU 0; this node serves 1, 2"


def test_a_card_is_given_once_in_a_plan() -> None:
    facts = a_shared_node([a_shared_card(0)], with_memory("a", 10), with_memory("b", 10))
    assert started(facts) == {"a": ("GPU-0",)}


def test_to_the_utmost_a_card_is_given_as_long_as_it_has_room() -> None:
    tasks = [with_memory(name, 30) for name in "abc"]
    facts = a_shared_node([a_shared_card(0)], *tasks, maximize_resource_utilization=True)
    assert plan(facts).actions == tuple(Start(task, ("GPU-0",), 30 * GIB) for task in tasks[:2])
    assert waits_for(facts, "c") == "waits for 1 GPU: 0 idle"


def test_to_the_utmost_a_task_that_names_no_memory_has_its_card_alone() -> None:
    silent, named = a_task("a"), with_memory("b", 10)
    facts = a_shared_node([a_shared_card(0)], silent, named, maximize_resource_utilization=True)
    assert plan(facts).actions == (Start(silent, ("GPU-0",), WHOLE),)


# -- what is left to others ---------------------------------------------------------------------------------------


def test_cards_that_are_free_at_the_moment_stay_free_whichever_they_are() -> None:
    cards = [a_shared_card(index) for index in range(3)]
    tasks = [a_task(name) for name in "abc"]
    facts = a_shared_node(cards, *tasks, gpu_left=GpuLeft(1, of_free=True))
    assert started(facts) == {"a": ("GPU-0",), "b": ("GPU-1",)}
    assert waits_for(facts, "c") == "waits for 1 GPU: 1 idle, of which 1 stays free for others"
    strange = a_shared_node([replace(cards[0], has_stranger=True), *cards[1:]], *tasks, gpu_left=GpuLeft(1, True))
    assert started(strange) == {"a": ("GPU-1",)}


def test_a_range_leaves_them_and_a_minimum_that_would_eat_them_waits() -> None:
    cards = [a_shared_card(index) for index in range(4)]
    left: dict[str, Any] = {"gpu_left": GpuLeft(2, of_free=True)}
    assert started(a_shared_node(cards, a_task("t", least=1, most=4), **left)) == {"t": ("GPU-0", "GPU-1")}
    busy = [*cards[:3], replace(cards[3], reserved=(Reserved(),))]
    facts = a_shared_node(busy, a_task("t", least=2, most=4), **left)
    assert started(facts) == {}
    assert waits_for(facts, "t") == "waits for 2 GPUs: 3 idle, of which 2 stay free for others"


def test_a_task_for_which_what_is_left_could_never_be_enough_is_told_so() -> None:
    cards = [a_shared_card(index) for index in range(4)]
    facts = a_shared_node(cards, a_task("t", least=3), a_task("u"), gpu_left=GpuLeft(2, of_free=True))
    assert waits_for(facts, "t") == "needs 3 GPUs; this node serves 4 and leaves 2 of them to others"
    assert started(facts) == {"u": ("GPU-0",)}, "it holds nothing"
    more = a_shared_node(cards, a_task("t"), gpu_left=GpuLeft(9, of_free=True))
    assert waits_for(more, "t") == "needs 1 GPU; this node serves 4 and leaves 4 of them to others"
    last = a_shared_node(
        [*cards[:2], *(replace(card, is_competed=False) for card in cards[2:])], a_task("t", least=3)
    )
    assert waits_for(last, "t") == "needs 3 GPUs; this node serves 4 and leaves 2 of them to others"
    assert refused(replace(last, limits=Limits(infeasible="fail"))) == {"t": Code.INFEASIBLE}


def test_the_last_of_a_list_are_not_subtracted_twice() -> None:
    cards = [a_shared_card(index, is_competed=index < 9) for index in range(10)]
    facts = a_shared_node(cards, a_task("t", least=2, most=10), gpu_left=GpuLeft(1))
    assert started(facts) == {"t": tuple(f"GPU-{index}" for index in range(9))}


def test_a_card_that_is_too_small_for_a_task_is_among_those_that_are_left() -> None:
    cards = [a_shared_card(0, 80), a_shared_card(1, 20)]
    facts = a_shared_node(cards, with_memory("t", 50), gpu_left=GpuLeft(1, of_free=True))
    assert started(facts) == {"t": ("GPU-0",)}


def test_a_card_that_is_left_to_others_is_none_of_those_that_are_large_enough() -> None:
    cards = [replace(a_shared_card(0), memory_total_bytes=20 * GIB), a_shared_card(1, is_competed=False)]
    assert waits_for(a_shared_node(cards, with_memory("t", 50)), "t") == "needs 1 GPU of 50G; this node has 0"


def test_a_place_on_a_card_that_tasks_share_is_nothing_that_others_could_have() -> None:
    cards = [a_shared_card(0), a_shared_card(1, 50, reserved=(part(30, shown_gib=30),))]
    sharing: dict[str, Any] = {"gpu_left": GpuLeft(1, of_free=True), "maximize_resource_utilization": True}
    tasks = [with_memory(name, 30) for name in "ab"]
    facts = a_shared_node(cards, *tasks, **sharing)
    assert started(facts) == {"a": ("GPU-1",)}
    assert plan(facts, look_ahead=0).actions == plan(facts).actions
    several = a_shared_node(
        [replace(cards[1], uuid="GPU-0", index=0), *(a_shared_card(index) for index in (1, 2))],
        with_memory("c", 30, least=1, most=3),
        select=Select.ROUND_ROBIN,
        **sharing,
    )
    assert started(several) == {"c": ("GPU-0", "GPU-1")}, "the shared one is none of those that are counted"
    assert waits_for(facts, "b") == "waits for 1 GPU: 1 idle, of which 1 stays free for others"


# -- who waits ----------------------------------------------------------------------------------------------------


def test_a_plan_made_again_finds_the_task_that_needs_less_than_min_memory() -> None:
    cards = [a_shared_card(0), a_shared_card(1, 5), a_shared_card(2, reserved=(Reserved(),))]
    facts = a_shared_node(cards, a_task("large", least=2), with_memory("b", 2), min_memory_bytes=10 * GIB)
    assert started(facts) == {"b": ("GPU-1",)}
    assert plan(facts, look_ahead=0).actions == plan(facts).actions


def test_why_no_card_is_given_is_told_of_each() -> None:
    cards = [
        a_shared_card(0, is_competed=False),
        a_shared_card(1, has_stranger=True),
        a_shared_card(2, has_user_python=True),
        a_shared_card(3, utilization_percent=(90,)),
        a_shared_card(4, free_gib=5),
        a_shared_card(5, reserved=(Reserved(),)),
        a_shared_card(6, is_lost=True),
        a_shared_card(7, is_known=False),
    ]
    facts = a_shared_node(cards, with_memory("t", 10))
    assert waits_for(facts, "t") == (
        "waits for 1 GPU: 0 idle (1 busy, 1 lost, 1 unknown, 1 left to others, 1 used by somebody else, "
        "1 with another Python process of yours, 1 above max_util, 1 with too little free memory)"
    )
    assert in_words(dict(explain(facts, 1))["t"], "zh") == (
        "等待 1 张 GPU：空闲 0 张（1 张在用，1 张失联，1 张状态未知，1 张留给他人，1 张有他人在用，"
        "1 张有你的其他 Python 进程，1 张利用率高于 max_util，1 张空闲显存不足）"
    )


def test_so_many_tasks_with_gpus_run_at_once_and_no_more() -> None:
    cards = [a_shared_card(index) for index in range(4)]
    tasks = [a_task("a"), a_task("b"), a_task("c"), a_task("cpu", least=0)]
    facts = a_shared_node(cards, *tasks, max_concurrent=2)
    assert set(started(facts)) == {"a", "b", "cpu"}
    assert waits_for(facts, "c") == "2 tasks with GPUs run here, and no more at once (max_concurrent)"
    assert set(started(replace(facts, gpu_tasks=1))) == {"a", "cpu"}
    assert set(started(replace(facts, gpu_tasks=5))) == {"cpu"}
    assert waits_for(a_shared_node(cards, *tasks, max_concurrent=0), "a") == (
        "this node runs no tasks with GPUs (max_concurrent: 0)"
    )


def test_a_task_of_a_shared_server_is_retried_at_once_and_rests_after_the_third_failure() -> None:
    limits = Limits(retry_config=RetryConfig())
    failed = [
        replace(a_task("t"), failures=count, tries=count, entered_at=1000.0, has_just_failed=True) for count in (2, 3)
    ]
    facts = [replace(a_shared_node([CARD], one), limits=limits, server_now=1000.0) for one in failed]
    assert started(facts[0])
    assert not started(facts[1])
    assert "after 3 failures: 10m00s more" in waits_for(facts[1], "t")
    assert dict(explain(facts[1], 1))["t"].number("until_s") == 1600.0
    assert not started(replace(facts[1], server_now=1599.0))
    assert started(replace(facts[1], server_now=1600.0))


# -- who holds what -----------------------------------------------------------------------------------------------


def test_cards_are_held_for_the_first_that_does_not_fit() -> None:
    cards = [a_shared_card(0), a_shared_card(1), a_shared_card(2, reserved=(Reserved(),))]
    facts = a_shared_node(cards, a_task("small"), a_task("large", least=3))
    assert started(facts) == {}
    assert waits_for(facts, "small") == "comes after large, which waits for GPUs"


def test_what_is_not_held_goes_to_whoever_fits() -> None:
    cards = [a_shared_card(0, 80), a_shared_card(1, 20)]
    large = with_memory("large", 60, least=1, most=1)
    busy = [replace(cards[0], reserved=(Reserved(),)), cards[1]]
    assert started(a_shared_node(busy, large, with_memory("small", 10))) == {"small": ("GPU-1",)}


def test_no_card_is_held_for_a_task_for_which_those_that_are_competed_for_are_never_enough() -> None:
    cards = [a_shared_card(0), a_shared_card(1), a_shared_card(2, is_competed=False)]
    facts = a_shared_node(cards, a_task("small"), a_task("large", least=3))
    assert started(facts) == {"small": ("GPU-0",)}


def test_a_card_that_tasks_share_is_drained_for_one_that_needs_more_of_it_than_is_left() -> None:
    cards = [
        a_shared_card(0, 40, reserved=(part(40, shown_gib=40),)),
        a_shared_card(1, 50, reserved=(part(30, shown_gib=30),)),
    ]
    first, second = with_memory("a", 70), with_memory("b", 10)
    facts = a_shared_node(cards, first, second, maximize_resource_utilization=True)
    assert started(facts) == {"b": ("GPU-0",)}, "the one with more to give is kept"
    alone = a_shared_node(cards[1:], first, second, maximize_resource_utilization=True)
    assert started(alone) == {}
    assert waits_for(alone, "b") == "comes after a, which waits for GPUs"


# -- for how long -------------------------------------------------------------------------------------------------

SECOND = 10**9
STRANGE = a_shared_card(0, has_stranger=True)
KEPT: dict[Demand, float] = {(1, None, ()): 0.0}
"""By others, since ever, from all that need one GPU."""


def waited(name: str, since_s: int, **needs: Any) -> Waiting:
    return replace(a_task(name, needs=Needs(**needs)), changed_ns=since_s * SECOND)


def test_a_task_that_waited_for_longer_than_its_owner_wants_fails() -> None:
    facts = a_shared_node([STRANGE], waited("t", 1000), max_wait_time_s=60.0)
    facts = replace(facts, server_now=1060.0, kept_since=KEPT)
    assert refused(facts) == {}
    assert refused(replace(facts, server_now=1061.0)) == {"t": Code.WAITED}
    assert waits_for(replace(facts, server_now=1061.0), "t") == (
        "others have held what it needs for 1m01s, longer than max_wait_time (1m00s)"
    )
    assert refused(replace(facts, server_now=1061.0, serving_since=1010.0)) == {}, "nobody could start it before"


def test_a_task_that_can_start_does_however_long_it_waited() -> None:
    facts = replace(a_shared_node([CARD], waited("t", 1000), max_wait_time_s=60.0), server_now=9000.0)
    assert started(facts) == {"t": ("GPU-0",)}


def test_only_what_waits_for_gpus_or_slots_runs_out_of_time() -> None:
    upstream = "20260101T000000000-abcdef-first"
    tasks = [
        waited("a", 1000, queue="car"),
        replace(waited("b", 1000, after=(upstream,)), upstream=((upstream, State.RUNNING),)),
        waited("c", 1000, gpus_min=9, gpus_max=9),
        replace(waited("d", 1000), failures=3, entered_at=8999.0, has_just_failed=True),
    ]
    facts = a_shared_node([STRANGE], *tasks, max_wait_time_s=60.0)
    limits = Limits(retry_config=RetryConfig())
    kept = {**KEPT, (9, None, ()): 0.0}
    facts = replace(facts, server_now=9000.0, busy_queues={"car": "another"}, limits=limits, kept_since=kept)
    assert refused(facts) == {}


def test_a_task_that_waited_for_its_queue_begins_to_wait_for_gpus_when_that_is_idle() -> None:
    tasks = {name: waited(name, 1, queue="x") for name in "ab"}
    facts = a_shared_node([STRANGE], *tasks.values(), max_wait_time_s=60.0)
    known: dict[str, float] = {}
    kept: Mapping[Demand, float] = {}
    fails_at: dict[str, float] = {}
    for now in range(5000, 5150, 10):
        here = replace(facts, waiting=list(tasks.values()), server_now=float(now), ready_since=known, kept_since=kept)
        decided = plan(here)
        known, kept = dict(decided.ready_since), decided.kept_since
        for one in decided.actions:
            del tasks[one.task.name]
            fails_at[one.task.name] = now
    assert fails_at == {"a": 5070, "b": 5140}
    assert known == {}
    gone = replace(facts, waiting=[], server_now=9000.0, ready_since={"a": 5000.0})
    assert plan(gone).ready_since == {}, "it may come back"
    failed = replace(waited("c", 1), failures=1, tries=1, entered_at=8000.0)
    again = replace(facts, waiting=[failed], server_now=9000.0, kept_since=KEPT)
    assert refused(again) == {}, "it ran meanwhile"


MINE = a_shared_card(1, reserved=(Reserved(),))


@pytest.mark.parametrize(
    ("cards", "needs", "sharing", "is_kept"),
    [
        ([STRANGE], {}, {}, True),
        ([STRANGE, MINE], {}, {}, False),
        ([STRANGE, replace(MINE, reserved=(Reserved(is_ours=False),))], {}, {}, False),
        ([STRANGE, MINE], {"gpus_min": 2, "gpus_max": 2}, {}, True),
        ([STRANGE, MINE], {"devices": (0,)}, {}, True),
        ([STRANGE, MINE], {"devices": (1,)}, {}, False),
        ([STRANGE, replace(MINE, is_competed=False)], {}, {}, True),
        ([STRANGE, replace(CARD, index=1, is_known=False)], {}, {}, True),
        ([STRANGE, a_shared_card(1, free_gib=5)], {"memory_bytes": 6 * GIB}, {}, True),
        ([STRANGE, a_shared_card(1, free_gib=5)], {}, {"min_memory_bytes": 6 * GIB}, True),
        ([STRANGE, a_shared_card(1, free_gib=5), CARD], {}, {"gpu_left": GpuLeft(2, of_free=True)}, True),
        ([STRANGE, MINE, CARD], {}, {"gpu_left": GpuLeft(1, of_free=True)}, False),
        ([STRANGE], {"gpus_min": 0, "gpus_max": 0}, {}, False),
    ],
)
def test_others_hold_what_a_task_needs_while_the_idle_cards_and_ours_are_not_enough_for_it(
    cards: list[Card], needs: dict[str, Any], sharing: dict[str, Any], is_kept: bool
) -> None:
    facts = replace(a_shared_node(cards, waited("t", 1, **needs), max_wait_time_s=60.0, **sharing), server_now=50.0)
    demand = demand_of(Needs(**needs))
    assert plan(facts).kept_since == ({demand: 50.0} if is_kept else {})
    known = replace(facts, kept_since={demand: 7.0})
    assert plan(known).kept_since == plan(known, look_ahead=0).kept_since == ({demand: 7.0} if is_kept else {})


def test_tasks_of_ours_that_hold_cards_and_slots_for_hours_are_no_reason_to_fail() -> None:
    tasks = [waited("gpu", 1), waited("cpu", 1, gpus_min=0, gpus_max=0)]
    facts = a_shared_node([STRANGE, MINE], *tasks, max_wait_time_s=60.0, max_concurrent=1)
    facts = replace(facts, server_now=9000.0, gpu_tasks=1, cpu_tasks=1, limits=Limits(cpu_slots=1), kept_since=KEPT)
    assert refused(facts) == {}
    alone = replace(facts, gpus=[STRANGE, replace(STRANGE, uuid="GPU-1", index=1)], gpu_tasks=0)
    assert refused(alone) == {"gpu": Code.WAITED}


def test_the_time_begins_anew_when_others_come_back() -> None:
    facts, kept = a_shared_node([], waited("t", 1), max_wait_time_s=60.0), dict[Demand, float]()
    refused_at = []
    for now in range(1000, 1200, 10):
        cards = [MINE] if now < 1020 or now == 1060 else [STRANGE]
        decided = plan(replace(facts, gpus=cards, server_now=float(now), kept_since=kept))
        kept = dict(decided.kept_since)
        refused_at += [now for one in decided.actions if isinstance(one, Refuse)]
    assert refused_at[0] == 1140


def test_all_that_ran_out_of_time_are_refused_wherever_they_stand() -> None:
    tasks = [waited(f"t{number:03d}", 1000) for number in range(200)]
    facts = a_shared_node([STRANGE], *tasks, max_wait_time_s=60.0)
    facts = replace(facts, server_now=2000.0, kept_since=KEPT)
    assert len(refused(facts)) == 200
    mixed = [*tasks, *(waited(f"u{number}", 1, gpus_min=0, gpus_max=0) for number in range(9))]
    few = replace(a_shared_node([STRANGE], *mixed, max_wait_time_s=60.0), server_now=2000.0, kept_since=KEPT)
    acted = [one.task.name for one in plan(few).actions]
    assert len(acted) == len(set(acted)) == 204, "the slots are taken by four more"
    taken = replace(facts, claiming=frozenset({"t199"}))
    assert len(refused(taken)) == 199
    assert len(plan(facts, look_ahead=0).actions) == 0, "that was asked when they were listed"


def test_on_a_dedicated_node_nobody_runs_out_of_time() -> None:
    facts = a_shared_node([replace(STRANGE, others_bytes=9 * GIB)], waited("t", 1), max_wait_time_s=1.0)
    assert refused(replace(facts, policy=dedicated, server_now=1e6, kept_since=KEPT)) == {}


# -- whatever the facts are ---------------------------------------------------------------------------------------

CARDS = st.lists(
    st.builds(
        lambda index, free, parts, stranger, python, known, competed, util: a_shared_card(
            index,
            free,
            reserved=tuple(part(each, shown_gib=each / 2) for each in parts),
            has_stranger=stranger,
            has_user_python=python,
            is_known=known,
            is_competed=competed,
            utilization_percent=util,
        ),
        st.just(0),
        st.sampled_from([0, 5, 40, 80]),
        st.lists(st.sampled_from([5, 20]), max_size=2),
        st.sampled_from([False, False, True]),
        st.sampled_from([False, False, None, True]),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([(0, 0), (0, 10), (40,), ()]),
    ),
    max_size=6,
).map(lambda cards: [replace(card, uuid=f"GPU-{index}", index=index) for index, card in enumerate(cards)])
TASKS = st.lists(
    st.builds(
        lambda number, least, extra, gib, queue: a_task(
            f"t{number:03d}",
            needs=Needs(least, least + extra * (least > 0), memory_bytes=gib and gib * GIB, queue=queue),
        ),
        st.integers(0, 999),
        st.integers(0, 4),
        st.integers(0, 2),
        st.sampled_from([None, None, 0, 2, 10, 30, 70]),
        st.sampled_from([None, None, "x", "y"]),
    ),
    unique_by=lambda task: task.name,
    max_size=10,
)
SHARING = st.fixed_dictionaries(
    {
        "maximize_resource_utilization": st.booleans(),
        "gpu_left": st.sampled_from([GpuLeft(), GpuLeft(1, True), GpuLeft(2, True)]),
        "min_memory_bytes": st.sampled_from([0, 10 * GIB]),
        "max_concurrent": st.sampled_from([None, None, 0, 1, 3]),
        "select": st.sampled_from(Select),
    }
)


@given(CARDS, TASKS, SHARING)
def test_a_plan_that_looks_no_further_than_it_must_starts_the_same_tasks(
    cards: list[Card], tasks: list[Waiting], sharing: dict[str, Any]
) -> None:
    facts = a_shared_node(cards, *tasks, **sharing)
    whole = plan(facts).actions
    for known in (facts, replace(facts, without_gpu=positions_without_gpu(facts.waiting))):
        short = plan(known, look_ahead=0).actions
        assert [one for one in short if isinstance(one, Start)] == [one for one in whole if isinstance(one, Start)]


@given(CARDS, TASKS, SHARING)
def test_what_is_given_is_there_is_nobody_elses_and_leaves_what_is_to_be_left(
    cards: list[Card], tasks: list[Waiting], sharing: dict[str, Any]
) -> None:
    facts = a_shared_node(cards, *tasks, **sharing)
    by_uuid = {card.uuid: card for card in cards}
    utmost = sharing["maximize_resource_utilization"]
    promised = {card.uuid: sum(one.reserve_bytes / 2 for one in card.reserved if one.reserve_bytes) for card in cards}
    alone: set[str] = set()
    starts = [one for one in plan(facts).actions if isinstance(one, Start)]
    for start in starts:
        needs = start.task.needs
        assert needs.gpus_min <= len(start.gpus) <= needs.gpus_max
        assert list(start.gpus) == sorted(set(start.gpus))
        for uuid in start.gpus:
            card = by_uuid[uuid]
            assert (card.is_known, card.is_competed, card.has_stranger) == (True, True, False)
            assert utmost or not card.has_user_python
            assert card.reserved or (card.utilization_percent and max(card.utilization_percent) <= 30)
            assert uuid not in alone
            word = needs.memory_bytes if utmost and needs.memory_bytes else None
            assert start.reserve_bytes == word
            if word is None:
                assert not card.reserved
                assert not promised[uuid]
                alone.add(uuid)
            asked = needs.memory_bytes or sharing["min_memory_bytes"]
            assert card.memory_free_bytes is not None
            assert card.memory_free_bytes - promised[uuid] >= asked
            promised[uuid] += asked
    with_gpus = [one for one in starts if one.task.needs.gpus_max]
    most = sharing["max_concurrent"]
    assert most is None or len(with_gpus) <= most
    taken = {uuid for one in starts for uuid in one.gpus}
    free = {uuid for uuid, state in facts.states().items() if state is GpuState.IDLE}
    assert not taken & free or len(free - taken) >= (sharing["gpu_left"].cards if sharing["gpu_left"].of_free else 0)


@given(CARDS, TASKS, SHARING)
def test_the_same_facts_are_the_same_plan_and_whoever_does_not_start_has_a_reason(
    cards: list[Card], tasks: list[Waiting], sharing: dict[str, Any]
) -> None:
    facts = a_shared_node(cards, *tasks, **sharing)
    assert plan(facts) == plan(replace(facts))
    reasons = dict(explain(facts, 1000))
    assert set(reasons) == {task.name for task in facts.waiting}
    assert {name for name, why in reasons.items() if why.code is Code.NEXT} == set(started(facts))
    assert all(in_words(why) and in_words(why, "zh") for why in reasons.values())
