"""What loading an experiment does: any file after any other, whatever became of the tasks meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.experiments.known import Member, current
from gpu_queue.experiments.plans import Because, Facts, Item, News, Plan, Wish, compare, in_order
from gpu_queue.experiments.specs.nouns import Run
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.paths import make_id
from gpu_queue.task import ExperimentPart, State, Submission

NAMES = "abcdef"
FILE = "/p/f.yaml"


def run(name: str, content: str = "1", **more: object) -> Run:
    return replace(Run(name, "job", "g", "true\n", content), **more)  # type: ignore[arg-type]


@dataclass
class Queue:
    """What a spool holds of one experiment, as far as plans look at it."""

    members: dict[str, Member] = field(default_factory=dict)
    lost_logs: set[str] = field(default_factory=set)
    stamps: int = 0

    def compare(self, runs: list[Run], **wish: bool) -> Plan:
        lost = frozenset(self.lost_logs)
        return compare(runs, Facts(list(self.members.values()), lost_logs=lost), Wish(**wish))

    def load(self, runs: list[Run], steps: int = 10**6, **wish: bool) -> Plan:
        """Carry a plan out, or only so many steps of it."""
        plan = self.compare(runs, **wish)
        ids = {one.run.name: one.member.id for one in plan.items if one.member is not None}
        work: list[Member | Item] = [*plan.cancelled, *plan.retried, *plan.published]
        for one in work[:steps]:
            if isinstance(one, Member):
                self.cancel(one.id)
            elif not one.is_published and one.member is not None:
                self.move(one.member.id, State.PENDING)
            else:
                ids[one.run.name] = self.publish(one.run, [ids[name] for name in one.run.after])
        return plan

    def publish(self, made: Run, after: list[str]) -> str:
        self.stamps += 1
        task_id = make_id(1e9 + self.stamps, "abcdef", made.name.encode())
        needs = ({"after": after} if after else {}) | ({"queue": made.queue} if made.queue else {})
        part = ExperimentPart(FILE, made.group, made.job, made.name, made.content)
        task = Task(State.PENDING, f"500-{task_id}")
        self.members[task_id] = Member(task_id, part, task, Submission(task_id, needs=needs, experiment=part))
        return task_id

    def move(self, task_id: str, state: State) -> None:
        one = self.members[task_id]
        self.members[task_id] = replace(one, task=replace(one.task, state=state), was_cancelled=False)

    def cancel(self, task_id: str) -> None:
        self.move(task_id, State.FAILED)
        self.members[task_id] = replace(self.members[task_id], was_cancelled=True)

    def of(self, name: str) -> Member:
        (found,) = (one for one in current(self.members.values()) if one.part.name == name)
        return found

    def settle(self, name: str, state: State) -> None:
        self.move(self.of(name).id, state)


def news(plan: Plan) -> dict[str, str]:
    return {one.run.name: one.news.value for one in plan.items}


def because(plan: Plan) -> dict[str, Because | None]:
    return {one.run.name: one.because for one in plan.items if one.is_published}


# -- the order


def test_runs_keep_the_order_of_the_file_but_none_stands_before_what_it_comes_after() -> None:
    runs = [run("a", after=("e",)), run("b"), run("c"), run("d", after=("a",)), run("e"), run("f")]
    assert "".join(runs[at].name for at in in_order(runs)) == "bceadf"


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ([run("a", after=("a",))], "a comes after itself"),
        ([run("a", after=("b",)), run("b", after=("c",)), run("c", after=("b",))], "a comes after itself"),
        ([run("a", after=("x\x1b[2J",))], r"a comes after x\?\[2J, which is no run of the file"),
    ],
)
def test_what_cannot_be_ordered_is_refused(runs: list[Run], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        in_order(runs)


@pytest.mark.parametrize(
    "runs",
    [
        [run("a", queue="q"), run("b", queue="q", priority=100, after=("a",))],
        [run("b", queue="q", after=("x",)), run("x", after=("a",)), run("a", queue="q", priority=501)],
        [run("a", queue="q"), run("x", queue="r", after=("a",)), run("b", queue="q", priority=499, after=("x", "a"))],
    ],
)
def test_what_would_stand_before_what_it_comes_after_in_a_serial_queue_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ValueError, match=r"b with priority .* would stand before a with priority .* in the queue q"):
        compare(runs, Facts(), Wish())


def test_priorities_that_let_each_run_behind_what_it_comes_after_are_fine() -> None:
    runs = [run("a", queue="q", priority=1), run("b", queue="q", after=("a",)), run("c", priority=0, after=("b",))]
    assert set(news(compare(runs, Facts(), Wish())).values()) == {"new"}


# -- one thing after the other


def test_what_is_done_runs_waits_or_has_failed_stays() -> None:
    queue, runs = Queue(), [run("a"), run("b"), run("c"), run("d")]
    assert set(news(queue.load(runs)).values()) == {"new"}
    for name, state in (("a", State.DONE), ("b", State.RUNNING), ("c", State.FAILED)):
        queue.settle(name, state)
    plan = queue.load(runs)
    assert news(plan) == {"a": "done", "b": "runs", "c": "failed", "d": "waits"}
    assert not plan.published
    assert not plan.cancelled


def test_what_failed_is_tried_again_under_its_id_where_that_is_wished() -> None:
    queue, runs = Queue(), [run("a"), run("b", after=("a",))]
    queue.load(runs)
    for name in "ab":
        queue.settle(name, State.FAILED)
    plan = queue.load(runs, retry_failed=True)
    assert [one.run.name for one in plan.retried] == ["a", "b"]
    assert not plan.published
    assert len(queue.members) == 2


def test_again_queues_what_was_done_or_failed_and_leaves_what_runs_or_waits() -> None:
    queue, runs = Queue(), [run("a"), run("b"), run("c"), run("d")]
    queue.load(runs)
    for name, state in (("a", State.DONE), ("b", State.RUNNING), ("c", State.FAILED)):
        queue.settle(name, state)
    plan = queue.load(runs, again=True)
    assert news(plan) == {"a": "again", "b": "runs", "c": "again", "d": "waits"}
    assert set(because(plan).values()) == {Because.ASKED}


def test_what_skips_nothing_is_queued_each_time_it_was_done() -> None:
    queue, runs = Queue(), [run("a", skip_done=False)]
    queue.load(runs)
    assert news(queue.load(runs)) == {"a": "waits"}
    queue.settle("a", State.DONE)
    assert because(queue.load(runs)) == {"a": Because.SKIP_DONE}


def test_a_run_whose_log_was_removed_runs_again_only_if_it_was_done() -> None:
    queue, runs = Queue(), [run("a"), run("b")]
    queue.load(runs)
    queue.settle("a", State.DONE)
    queue.lost_logs = set(queue.members)
    plan = queue.load(runs)
    assert news(plan) == {"a": "again", "b": "waits"}
    assert because(plan) == {"a": Because.LOG}


def test_a_changed_run_takes_the_place_of_what_waits() -> None:
    queue = Queue()
    queue.load([run("a"), run("b")])
    plan = queue.load([run("a", "2"), run("b")])
    assert news(plan) == {"a": "changed", "b": "waits"}
    assert [one.part.content for one in plan.cancelled] == ["1"]
    assert queue.of("a").part.content == "2"


def test_a_changed_run_that_was_changed_back_before_it_ran_is_as_if_nothing_had_been() -> None:
    queue = Queue()
    queue.load([run("a")])
    queue.settle("a", State.DONE)
    queue.load([run("a", "2")])
    plan = queue.load([run("a")])
    assert news(plan) == {"a": "done"}
    assert len(plan.cancelled) == 1


def test_a_run_that_was_changed_back_after_the_change_ran_is_run_again() -> None:
    queue = Queue()
    for content in ("1", "2"):
        queue.load([run("a", content)])
        queue.settle("a", State.DONE)
    assert news(queue.load([run("a", "1")])) == {"a": "changed"}


def test_what_is_gone_waits_no_longer_and_is_told_of_as_long_as_it_runs() -> None:
    queue = Queue()
    queue.load([run("a"), run("b"), run("c"), run("d")])
    queue.settle("b", State.RUNNING)
    queue.settle("c", State.DONE)
    plan = queue.load([run("d")])
    assert [one.part.name for one in plan.gone] == ["a", "b"]
    assert [one.part.name for one in plan.past] == ["c"]
    assert [one.part.name for one in plan.cancelled] == ["a"]
    assert news(plan) == {"d": "waits"}


def test_a_cancelled_run_counts_for_nothing() -> None:
    queue = Queue()
    queue.load([run("a")])
    queue.cancel(queue.of("a").id)
    assert news(queue.load([run("a")])) == {"a": "new"}


def test_of_two_that_were_queued_for_one_run_at_once_one_is_taken_out() -> None:
    queue = Queue()
    queue.load([run("a")])
    queue.publish(run("a"), [])
    plan = queue.load([run("a")])
    assert news(plan) == {"a": "waits"}
    assert len(plan.cancelled) == 1


def test_a_serial_queue_keeps_the_order_of_the_file_and_other_runs_are_not_moved_for_what_is_new() -> None:
    queue = Queue()
    queue.load([run("a", queue="q"), run("b", queue="q"), run("c"), run("d")])
    plan = queue.load([run("e", queue="q"), run("a", queue="q"), run("b", queue="q"), run("f"), run("c"), run("d")])
    assert news(plan) == {"e": "new", "a": "moved", "b": "moved", "f": "new", "c": "waits", "d": "waits"}
    assert because(plan)["a"] is Because.ORDER


def test_runs_without_a_queue_that_stand_in_another_order_now_stay_where_they_wait() -> None:
    queue = Queue()
    queue.load([run(name) for name in "abcd"])
    assert set(news(queue.load([run(name) for name in "acbd"])).values()) == {"waits"}


def test_in_a_serial_queue_those_behind_the_first_that_stands_elsewhere_are_queued_anew() -> None:
    queue = Queue()
    queue.load([run(name, queue="q") for name in "abcd"])
    plan = queue.load([run(name, queue="q") for name in "acbd"])
    assert news(plan) == {"a": "waits", "c": "waits", "b": "moved", "d": "moved"}
    waiting = [one for one in queue.members.values() if not one.was_cancelled]
    assert [one.part.name for one in sorted(waiting, key=lambda one: one.id)] == [*"acbd"]


def test_what_comes_after_a_run_that_is_queued_anew_is_queued_anew_whether_it_waits_failed_or_was_done() -> None:
    queue = Queue()
    queue.load([run("a"), *(run(name, after=("a",)) for name in "bcd"), run("e", after=("d",)), run("f")])
    for name, state in (("a", State.DONE), ("c", State.FAILED), ("d", State.DONE), ("e", State.DONE)):
        queue.settle(name, state)
    plan = queue.load([run("a", "2"), *(run(name, after=("a",)) for name in "bcd"), run("e", after=("d",)), run("f")])
    assert news(plan) == {"a": "changed", "b": "moved", "c": "again", "d": "again", "e": "again", "f": "waits"}
    assert {because(plan)[name] for name in "bcde"} == {Because.UPSTREAM}


def test_what_was_done_before_a_run_was_added_that_it_comes_after_is_run_again() -> None:
    queue = Queue()
    queue.load([run("a"), run("t", after=("a",))])
    for name in "at":
        queue.settle(name, State.DONE)
    queue.load([run("a"), run("b"), run("t", after=("a", "b"))], steps=1)  # and then it crashed
    assert news(queue.load([run("a"), run("b"), run("t", after=("a", "b"))])) == {
        "a": "done",
        "b": "waits",
        "t": "again",
    }


def test_what_comes_after_one_that_was_done_long_ago_already_is_done() -> None:
    queue = Queue()
    queue.load([run("a"), run("t")])
    for name in "at":
        queue.settle(name, State.DONE)
    assert news(queue.load([run("a"), run("t", after=("a",))])) == {"a": "done", "t": "done"}


def test_what_was_taken_out_for_a_load_that_began_anew_is_queued_by_it() -> None:
    queue = Queue()
    queue.load([run("a", queue="q"), run("b", queue="q")])
    runs = [run("x", queue="q"), run("a", queue="q"), run("b", queue="q")]
    taken = queue.compare(runs).cancelled
    for one in taken:
        queue.cancel(one.id)
    plan = compare(runs, Facts(list(queue.members.values()), taken), Wish())
    assert news(plan) == {"x": "new", "a": "moved", "b": "moved"}
    assert plan.cancelled == ()


# -- any files, one after the other, whatever happens between


def a_file(drawn: Random) -> list[Run]:
    names = drawn.sample(NAMES, drawn.randint(1, len(NAMES)))
    runs = []
    for at, name in enumerate(names):
        after = tuple(drawn.sample(names[:at], min(at, drawn.choice([0, 0, 1, 2]))))
        content, queue = drawn.choice("112"), drawn.choice([None, "q"])
        # A queue is among the needs of which a content is the hash.
        runs.append(run(name, f"{content}{queue}", queue=queue, after=after))
    drawn.shuffle(runs)
    return runs


def edited(runs: list[Run], drawn: Random) -> list[Run]:
    """Nearly the same file, as people change them; or another one."""
    if drawn.random() < 0.3:
        return a_file(drawn)
    at = drawn.randrange(len(runs))
    name = runs[at].name
    if drawn.random() < 0.5:
        return [replace(one, content=f"{one.content}+") if one.name == name else one for one in runs]
    without = [one for one in runs if one.name != name]
    return [replace(one, after=tuple(set(one.after) - {name})) for one in without] or runs


def moves_on(queue: Queue, drawn: Random) -> None:
    """What agents, or people, do meanwhile."""
    for one in list(queue.members.values()):
        if one.state in (State.PENDING, State.RUNNING) and drawn.random() < 0.4:
            becomes = drawn.choice([State.RUNNING, State.DONE, State.DONE, State.FAILED, None])
            if becomes is not None:
                queue.move(one.id, becomes)
            elif one.state is State.PENDING:
                queue.cancel(one.id)


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_whatever_was_loaded_or_crashed_before_a_load_leaves_what_the_file_says_once_and_in_order(seed: int) -> None:
    drawn, queue = Random(seed), Queue()
    runs = a_file(drawn)
    for _ in range(drawn.randint(1, 5)):
        crashed_at = drawn.randint(0, 8)
        queue.load(runs, crashed_at, again=drawn.random() < 0.1, retry_failed=drawn.random() < 0.3)
        moves_on(queue, drawn)
        if drawn.random() < 0.6:
            runs = edited(runs, drawn)
    stays = {one.id for one in queue.members.values() if one.state in (State.RUNNING, State.DONE)}
    is_retried = drawn.random() < 0.3
    plan = queue.load(runs, retry_failed=is_retried)
    assert [one.run for one in plan.items] == runs
    assert stays == {one.id for one in queue.members.values() if one.state in (State.RUNNING, State.DONE)}
    waiting = sorted((one for one in queue.members.values() if one.state is State.PENDING), key=lambda one: one.id)
    # What waits is what the file says, once.
    due = {one.run.name: one for one in plan.items if one.is_published or one.news in (News.WAITS, News.RETRIED)}
    assert {one.part.name: one.part.content for one in waiting} == {
        name: one.run.content for name, one in due.items()
    }
    assert len(waiting) == len(due)
    # It waits for what the file says.
    counting = {one.part.name: one for one in current(queue.members.values())}
    for one in waiting:
        assert set(one.after) == {counting[name].id for name in due[one.part.name].run.after}
    # A serial queue has the order of the file.
    place = {runs[at].name: number for number, at in enumerate(plan.order)}
    line = [one.part.name for one in waiting if one.queue == "q"]
    assert line == sorted(line, key=lambda name: place[name])
    # What ended behind what it comes after ended behind the tasks that count.
    later = {one.run.name for one in plan.items if one.news is News.LATER}
    for item in plan.items:
        if item.news in (News.DONE, News.FAILED):
            assert all(counting[name].id < counting[item.run.name].id for name in {*item.run.after} - later)
    # What runs as it was runs alone, and nothing waits for it that waits for what the file says now.
    running = {one.part.name for one in queue.members.values() if one.state is State.RUNNING}
    assert {one.part.name for one in plan.outdated} <= running
    for one in waiting:
        assert one.part.name not in running
        assert not later.intersection(due[one.part.name].run.after)
    # Once is enough.
    once_more = queue.compare(runs, retry_failed=is_retried)
    assert not once_more.published
    assert not once_more.cancelled


@given(st.integers(0, 2**32))
def test_the_order_holds_every_run_once_and_behind_what_it_comes_after(seed: int) -> None:
    runs = a_file(Random(seed))
    order = in_order(runs)
    assert sorted(order) == list(range(len(runs)))
    place = {runs[at].name: number for number, at in enumerate(order)}
    assert all(place[name] < place[one.name] for one in runs for name in one.after)
    free = [at for at in order if not runs[at].after and not any(runs[at].name in one.after for one in runs)]
    assert free == sorted(free)


@pytest.mark.parametrize(
    ("state", "news"),
    [
        (State.PENDING, News.CHANGED),
        (State.RUNNING, News.RUNS),
        (State.DONE, News.DONE),
        (State.FAILED, News.CHANGED),
    ],
)
def test_another_time_or_queue_makes_no_other_result(state: State, news: News) -> None:
    queue = Queue()
    queue.load([run("a", "1.1")])
    queue.move(next(iter(queue.members)), state)
    (item,) = queue.compare([run("a", "1.2")]).items
    assert item.news is news
    (item,) = queue.compare([run("a", "2.1")]).items
    assert item.news is (News.LATER if state is State.RUNNING else News.CHANGED)
