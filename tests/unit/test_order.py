"""In which order the tasks of a shared server have their turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scheduling.order import DRAWN_AT_ONCE, in_turn
from gpu_queue.task import Needs, Waiting
from tests.builders import a_task

DRAWS = [str(number) for number in range(300)]


def a_block(name: str, queue: str | None = None, gpus: int = 1, priority: int = 500) -> Waiting:
    return a_task(name, priority=priority, needs=Needs(gpus, gpus, queue=queue))


def names(*tasks: Waiting, lottery: str = "") -> list[str]:
    return [task.name for task in in_turn(sorted(tasks, key=lambda task: task.key), lottery)]


def test_priority_comes_before_need_and_need_before_submission() -> None:
    tasks = (a_block("a"), a_block("b", gpus=4), a_block("c", priority=100), a_block("d", gpus=2))
    assert names(*tasks) == ["c", "b", "d", "a"]


def test_a_range_counts_by_its_minimum() -> None:
    ranged = a_task("b", needs=Needs(1, 8))
    assert names(a_block("a"), ranged, a_block("c", gpus=2)) == ["c", "a", "b"]


def test_tasks_without_a_queue_keep_their_order_of_submission() -> None:
    assert all(names(*map(a_block, "dacb"), lottery=draw) == list("abcd") for draw in DRAWS)


def test_the_heads_of_queues_are_drawn_and_each_is_as_often_first_as_another() -> None:
    heads = [a_block(name, queue=name) for name in "abcd"]
    first = Counter(names(*heads, lottery=draw)[0] for draw in DRAWS)
    assert set(first) == set("abcd")
    assert min(first.values()) > len(DRAWS) / 4 / 2
    assert all(sorted(names(*heads, lottery=draw)) == list("abcd") for draw in DRAWS)


def test_the_same_draw_is_the_same_order() -> None:
    heads = [a_block(name, queue=name) for name in "abcdefgh"]
    assert names(*heads, lottery="x") == names(*reversed(heads), lottery="x")


def test_no_head_overtakes_a_task_without_a_queue_and_those_between_two_such_are_drawn() -> None:
    tasks = [a_block("a", queue="w"), a_block("b", queue="x"), a_block("c"), a_block("d", queue="y"), a_block("e")]
    orders = {tuple(names(*tasks, lottery=draw)) for draw in DRAWS}
    assert orders == {("a", "b", "c", "d", "e"), ("b", "a", "c", "d", "e")}


def test_of_very_many_heads_the_oldest_are_drawn_first() -> None:
    heads = [a_block(f"{number:04d}", queue=str(number)) for number in range(DRAWN_AT_ONCE + 5)]
    drawn = names(*heads)
    assert set(drawn[:DRAWN_AT_ONCE]) == {task.name for task in heads[:DRAWN_AT_ONCE]}
    assert drawn[:DRAWN_AT_ONCE] != sorted(drawn[:DRAWN_AT_ONCE])


def test_what_follows_in_a_queue_comes_behind_all_heads_and_overtakes_nobody_of_its_queue() -> None:
    tasks = [a_block("a", queue="x"), a_block("b", queue="x", gpus=8), a_block("c", queue="x", gpus=2), a_block("d")]
    assert all(names(*tasks, lottery=draw) == ["a", "d", "b", "c"] for draw in DRAWS)


def test_a_task_that_was_tried_holds_its_queue_and_is_drawn_although_another_stands_before_it() -> None:
    tried = replace(a_block("b", queue="x", gpus=2), tries=1)
    assert names(a_block("a", queue="x"), tried) == ["b", "a"]


def test_the_lots_are_drawn_anew_when_a_head_goes_or_was_tried() -> None:
    heads = [a_block(name, queue=name) for name in "abcdefghijkl"]
    before = names(*heads)
    others = [task for task in heads if task.name != before[0]]
    assert names(*others) != before[1:]
    first = next(task for task in heads if task.name == before[0])
    assert names(replace(first, tries=1, failures=1), *others) != before


def test_what_was_not_read_comes_first_among_its_priority() -> None:
    unread = replace(a_block("z"), is_read=False)
    assert names(a_block("a", gpus=8), unread, a_block("b", priority=100)) == ["b", "z", "a"]


TASKS = st.lists(
    st.builds(
        lambda number, queue, gpus, priority, read, tries: replace(
            a_block(f"t{number:03d}", queue, gpus, priority), is_read=read, tries=tries
        ),
        st.integers(0, 999),
        st.sampled_from([None, "x", "y", "z"]),
        st.integers(0, 4),
        st.sampled_from([100, 500]),
        st.booleans(),
        st.sampled_from([0, 0, 0, 1]),
    ),
    unique_by=lambda task: task.name,
    max_size=15,
)


@given(TASKS, st.text(max_size=3))
def test_nobody_is_lost_and_nobody_overtakes_in_a_queue_or_comes_before_a_better_priority(
    tasks: list[Waiting], lottery: str
) -> None:
    waiting = sorted(tasks, key=lambda task: task.key)
    ordered = in_turn(waiting, lottery)
    assert sorted(ordered, key=lambda task: task.key) == waiting
    assert [task.priority for task in ordered] == sorted(task.priority for task in tasks)
    for one in "xyz":
        new = [task for task in ordered if task.needs.queue == one and task.is_read and not task.tries]
        assert new == sorted(new, key=lambda task: task.key)
    free = [task for task in ordered if task.needs.queue is None and task.is_read]
    assert free == sorted(free, key=lambda task: (task.priority, -task.needs.gpus_min, task.key))
