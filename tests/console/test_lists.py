"""Which tasks a filter means, against one that looks at each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.console.lists import orders as lists_orders
from gpu_queue.console.lists.choosing import choose, ref_of, task_of
from gpu_queue.console.lists.filters import Query, parse
from gpu_queue.console.lists.orders import Kind, Orders
from gpu_queue.console.models.tasks import Sort, TaskFilter
from gpu_queue.reasons import Code, Reason
from gpu_queue.spool.events import Event
from gpu_queue.spool.paths import full_name
from gpu_queue.spool.snapshot.places import PendingName
from gpu_queue.spool.snapshot.settled import SettledNames, SettledTasks
from gpu_queue.spool.snapshot.view import Counts, RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTasks
from gpu_queue.task import Claim, State

NAMES = ("train.sh", "eval.sh", "Sweep_lr3.sh", "sweep_lr4.sh")


def id_of(number: int) -> str:
    return f"20261123T0144{number // 1000:02d}{number % 1000:03d}-{number:06x}-{NAMES[number % len(NAMES)]}"


def snapshot(waiting: int = 0, running: int = 0, done: int = 0, failed: int = 0, ends: int = 0) -> Snapshot:
    ids = iter(range(waiting + running + done + failed))
    names, reasons = [], {}
    for _ in range(waiting):
        one = id_of(next(ids))
        name = full_name(500, one)
        names.append(PendingName(name, name, 500, one, one.split("-", 2)[2]))
        reasons[name] = (NodeReason("gpu1", Reason(Code.QUEUE, {"queue": "car"})),)
    tries = tuple(
        RunningTask(f"gpu{at % 2}", f"500-{one}.try1.0a0a0a", Claim(500, one, 1, "0a0a0a"), None)
        for at, one in ((at, id_of(next(ids))) for at in range(running))
    )
    settled = {}
    for state, count in ((State.DONE, done), (State.FAILED, failed)):
        whose = [id_of(next(ids)) for _ in range(count)]
        events = [
            Event(
                "settled",
                float(1000 - at),
                f"gpu{at % 2}",
                Claim(0, one, 1, "0b0b0b"),
                "succeeded" if state is State.DONE else "failed(1)",
                error_type="oom" if state is State.FAILED and at % 2 else "",
            )
            for at, one in enumerate(whose[:ends])
        ]
        settled[state] = SettledTasks(state, SettledNames.of([full_name(500, one) for one in whose]), events)
    return Snapshot(
        waiting=WaitingTasks(tuple(names), reasons),
        running=tries,
        done=settled[State.DONE],
        failed=settled[State.FAILED],
        nodes=(),
        gpus=(),
        flags=(),
        queues=(),
        events=(),
        problems=(),
        counts=Counts(waiting, running, done, failed),
    )


def titles(seen: Snapshot, text: str = "", state: str = "all", sort: Sort = "run") -> list[tuple[str, str]]:
    wanted = TaskFilter.model_validate({"q": text, "state": state})
    found = []
    for ref in choose(seen, wanted.state, parse(wanted), sort):
        task = task_of(seen, ref)
        assert task is not None
        found.append((ref[0].value, task.title))
    return found


@given(
    st.tuples(*[st.integers(0, 6)] * 4),
    st.integers(0, 6),
    st.sampled_from(["now", "waiting", "running", "done", "failed", "all"]),
    st.sampled_from(["", "sweep", "SWEEP lr3", "eval", "00000", "nothing at all"]),
)
def test_words_choose_those_and_only_those_that_hold_them(
    counts: tuple[int, int, int, int], ends: int, state: str, text: str
) -> None:
    seen = snapshot(*counts, ends=ends)
    everything = choose(seen, "all", Query(), "run")
    states = {"now": {"waiting", "running"}, "all": {one.value for one in Kind}}.get(state, {state})
    expected = set()
    for ref in everything:
        task = task_of(seen, ref)
        assert task is not None
        told = f"{task.title} {task.task_id}".lower()
        if ref[0].value in states and all(word in told for word in text.lower().split()):
            expected.add(ref)
    wanted = TaskFilter.model_validate({"q": text, "state": state})
    found = choose(seen, wanted.state, parse(wanted), "run")
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("sort", ["newest", "oldest", "title", "priority"])
def test_another_order_shows_the_same_tasks(sort: Sort) -> None:
    seen = snapshot(4, 3, 5, 2, ends=2)
    assert sorted(titles(seen, sort=sort)) == sorted(titles(seen))
    tasks = [task_of(seen, ref) for ref in choose(seen, "all", Query(), "newest")]
    ids = [str(one.task_id) for one in tasks if one is not None]
    assert len(ids) == 14
    assert ids == sorted(ids, reverse=True)


@given(st.tuples(*[st.integers(0, 6)] * 4), st.integers(0, 6), st.sampled_from(["", "sweep", "eval.sh"]))
def test_each_order_is_that_of_its_column_and_a_task_is_found_where_it_stands(
    counts: tuple[int, int, int, int], ends: int, text: str
) -> None:
    seen, orders = snapshot(*counts, ends=ends), Orders()
    column: dict[Sort, Callable[[Any], Any]] = {
        "newest": lambda task: task.task_id,
        "oldest": lambda task: task.task_id,
        "title": lambda task: (task.title.lower(), task.task_id),
        "priority": lambda task: (task.claim if isinstance(task, RunningTask) else task).priority,
    }
    for sort, key in column.items():
        refs = choose(seen, "all", parse(TaskFilter(q=text)), sort, orders)
        tasks = [task_of(seen, ref) for ref in refs]
        keys = [key(task) for task in tasks]
        assert keys == sorted(keys, reverse=sort == "newest")
        assert refs[1:3] == [*refs][1:3]
        assert [refs.place(ref) for ref in refs] == [*range(len(refs))]
        assert [ref_of(seen, task.task_id or task.name) for task in tasks if task is not None] == [*refs]


IDS = st.sets(st.integers(0, 40), max_size=20)


@given(st.lists(st.tuples(IDS, st.sets(st.integers(0, 40), max_size=3)), max_size=5))
def test_what_settles_is_sorted_into_what_was_sorted_before(moments: list[tuple[set[int], set[int]]]) -> None:
    orders = Orders()
    for numbers, first in moments:
        ids = tuple(sorted(id_of(number) for number in numbers))
        priorities = {id_of(number): 100 for number in first & numbers}
        tasks = SettledTasks(State.DONE, SettledNames(ids, priorities))
        by_title = sorted(ids, key=lambda one: (one.split("-", 2)[2].lower(), one))
        assert [key.rpartition("\0")[2] for key in orders.keys(tasks, "title")] == by_title
        by_priority = sorted(ids, key=lambda one: (priorities.get(one, 500), one))
        assert [key[3:] for key in orders.keys(tasks, "priority")] == by_priority


def test_a_title_is_made_once_for_each_task_however_often_others_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def making(one: str) -> str:
        made.append(one)
        return one.split("-", 2)[2]

    monkeypatch.setattr(lists_orders, "title_of", making)
    orders, names = Orders(), SettledNames(tuple(sorted(map(id_of, range(1000)))))
    for number in range(5):
        names = names.changed({id_of(1000 + number): 500}, ())
        assert len(orders.keys(SettledTasks(State.DONE, names), "title")) == 1001 + number
    assert len(made) == 1005


def test_how_a_task_failed_and_where_it_ran_and_why_it_waits_can_be_asked_for() -> None:
    seen = snapshot(2, 2, 4, 4, ends=4)
    assert titles(seen, "why:oom") == [("failed", seen.failed[at].title) for at in (1, 3)]
    assert {kind for kind, _ in titles(seen, "node:gpu1")} == {"running", "done", "failed"}
    assert {kind for kind, _ in titles(seen, "why:car")} == {"waiting"}
    assert {kind for kind, _ in titles(seen, "is:failed")} == {"failed"}
    assert {kind for kind, _ in titles(seen, "is:succeeded")} == {"done"}
    assert titles(seen, "is:failed", state="done") == []
    assert titles(seen, "is:waiting is:running") == titles(seen, state="now")


def test_a_failure_is_chosen_by_its_kind_and_by_when_it_was() -> None:
    seen = snapshot(waiting=3, running=1, done=4, failed=6, ends=4)

    def chosen(state: str, since_s: float | None = None, **more: object) -> list[str]:
        wanted = TaskFilter.model_validate({"state": state, **more})
        refs = choose(seen, wanted.state, parse(wanted), "run", None, since_s)
        numbers = (one if isinstance(one, int) else int(one.split("-")[1], 16) for _, one in refs)
        return [f"{kind.value[0]}{number}" for (kind, _), number in zip(refs, numbers, strict=True)]

    assert chosen("all", why="oom") == ["f9", "f11"], "its error type"
    assert chosen("failed", why="failed(1)") == ["f8", "f10"], "its outcome, where no type is known"
    assert chosen("now", why="queue") == ["w0", "w1", "w2"]
    assert chosen("now", why="gpus") == []
    assert chosen("failed", 998.0) == ["f8", "f9", "f10"], "the newest first, and none whose end is not known"
    assert chosen("all", 999.0, why="oom") == ["f9"]
    assert chosen("now", 0.0) == [], "what waits or runs has not ended"


def test_since_when_is_a_duration_and_a_word_where_it_is_none() -> None:
    assert parse(TaskFilter(q="sweep ended:8h")).ended_within_s == 8 * 3600
    assert parse(TaskFilter(q="ended:8h", ended_within_s=60)).ended_within_s == 60, "the shorter of two"
    assert parse(TaskFilter(q="ended:yesterday")).words == ("ended:yesterday",)
    assert parse(TaskFilter()).ended_within_s is None


def test_what_ended_last_comes_first_and_then_what_was_submitted_last() -> None:
    seen = snapshot(done=6, ends=2)
    ids = list(seen.done.ids_in_order())
    assert ids == [one.task_id for one in seen.done]
    assert ids[:2] == [id_of(0), id_of(1)]
    assert ids[2:] == sorted(ids[2:], reverse=True)


def test_a_word_with_an_unknown_prefix_is_a_word_and_an_empty_one_says_nothing() -> None:
    assert parse(TaskFilter(q="lr:3 queue: User:Bo")) == Query(words=("lr:3",), users=("Bo",))
    assert parse(TaskFilter(queue="car", node="GPU1")) == replace(Query(), queues=("car",), nodes=("gpu1",))
