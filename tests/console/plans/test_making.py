"""What a plan says, for any queue: counts add up, nothing but what was meant is touched, places are true."""

from __future__ import annotations

import os
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as some

from gpu_queue.console.keys import key_of, name_of
from gpu_queue.console.models.plans import ActionName, PlanRequest
from gpu_queue.console.plans.dependents import depending_on
from gpu_queue.console.plans.making import CONFIRMED_ABOVE, make
from gpu_queue.console.plans.nouns import Facts, Made
from gpu_queue.spool.paths import claim_name, full_name
from gpu_queue.spool.snapshot.places import PendingName
from gpu_queue.spool.snapshot.settled import SettledNames, SettledTasks
from gpu_queue.spool.snapshot.view import Counts, RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTasks
from gpu_queue.task import Claim, State

ON_TASKS = ("stop", "cancel", "retry", "priority", "explain")
DOES = {"stop": {"stop", "cancel"}, "cancel": {"cancel"}, "retry": {"retry"}, "priority": {"priority"}}
STATES = {
    "stop": {State.PENDING, State.RUNNING},
    "cancel": {State.PENDING},
    "retry": {State.FAILED},
    "priority": {State.PENDING},
    "explain": set(State),
}


def an_id(number: int) -> str:
    return f"20261123T0144{number:05d}-{number:06x}-t{number}.sh"


def snapshot(places: list[tuple[State, int]], drops: list[str]) -> Snapshot:
    """Tasks by their numbers, each with its state and priority, and files that were dropped by hand."""
    found: dict[State, list[tuple[int, int]]] = {state: [] for state in State}
    for number, (state, priority) in enumerate(places):
        found[state].append((number, priority))
    pending = [
        PendingName(name, name, priority, an_id(number), f"t{number}.sh")
        for number, priority in found[State.PENDING]
        for name in [full_name(priority, an_id(number))]
    ]
    pending += [PendingName(name, f"500-20261123T014499999-{name}", 500, None, name) for name in drops]
    order = tuple(sorted(pending, key=lambda one: (one.key, one.name)))
    claims = [Claim(priority, an_id(number), 1, "0a0b0c") for number, priority in found[State.RUNNING]]
    running = tuple(RunningTask("n1-0", claim_name(claim), claim, None) for claim in claims)
    settled = {
        state: SettledTasks(state, SettledNames.of(full_name(p, an_id(n)) for n, p in found[state]))
        for state in (State.DONE, State.FAILED)
    }
    return Snapshot(
        waiting=WaitingTasks(order, {}),
        running=running,
        done=settled[State.DONE],
        failed=settled[State.FAILED],
        nodes=(),
        gpus=(),
        flags=(),
        queues=(),
        events=(),
        problems=(),
        counts=Counts(),
    )


queues = some.tuples(
    some.lists(some.tuples(some.sampled_from(State), some.sampled_from([0, 100, 500, 999])), max_size=40),
    some.lists(some.sampled_from(["a.sh", "500_b.sh", "x\ny", "caf\udce9"]), max_size=4, unique=True),
)


def a_plan(seen: Snapshot, action: str, chosen: list[str], priority: int = 300, **facts: object) -> Made:
    request = PlanRequest.model_validate({"action": action, "priority": priority if action == "priority" else None})
    return make(Facts("exp", seen, **facts), request, chosen, "p", 0.0)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(queues, some.sampled_from(ON_TASKS), some.data())
def test_counts_add_up_and_nothing_but_what_was_meant_is_touched(
    queue: tuple[list[tuple[State, int]], list[str]], action: str, data: some.DataObject
) -> None:
    seen = snapshot(*queue)
    everything = [an_id(number) for number in range(len(queue[0]) + 3)] + [key_of(one) for one in queue[1]]
    chosen = data.draw(some.lists(some.sampled_from(everything), max_size=60))
    made = a_plan(seen, action, chosen)
    counts = made.plan.counts
    done = counts.stop + counts.cancel + counts.retry + counts.priority
    explained = len(made.targets) if action == "explain" else 0
    assert counts.total == len(set(chosen)) == done + explained + counts.nothing
    assert len(made.targets) == done + explained == len({one.key for one in made.targets})
    assert {one.key for one in made.targets} <= set(chosen)
    assert {one.state for one in made.targets} <= STATES[action]
    assert {one.does for one in made.plan.tasks} <= {*DOES.get(action, {"explain"}), "nothing"}
    states = [one.state for one in made.targets]
    assert states == sorted(states, key=lambda one: one is not State.PENDING), "what waits is taken out first"
    assert made.plan.must_confirm == (
        action == "stop" or (len(made.targets) > CONFIRMED_ABOVE and action != "explain")
    )
    assert made.plan.can_run == bool(made.targets)
    assert made.plan.can_undo == (counts.cancel + counts.retry + counts.priority > 0), "what is stopped stays so"
    assert len(made.plan.model_dump_json()) < 100_000


def test_of_a_stop_what_was_cancelled_can_wait_again_but_not_what_comes_after_what_was_stopped() -> None:
    seen = snapshot([(State.RUNNING, 500), (State.PENDING, 500), (State.PENDING, 500), (State.PENDING, 500)], [])
    runs, after, free, later = map(an_id, range(4))
    made = a_plan(seen, "stop", [runs, after, free], after={after: (runs,), later: (after, free)})
    assert made.plan.can_undo
    moved = [(one.task, one.name) for one in made.targets]
    assert made.restorable(moved) == [full_name(500, free)]
    assert made.lost == {after, later}
    assert not a_plan(seen, "stop", [runs, after], after={after: (runs,)}).plan.can_undo


@settings(max_examples=150, deadline=None)
@given(queues, some.sampled_from([0, 100, 300, 500, 999]), some.data())
def test_the_places_of_other_priorities_are_those_of_the_names_in_order(
    queue: tuple[list[tuple[State, int]], list[str]], priority: int, data: some.DataObject
) -> None:
    waiting = snapshot(*queue).waiting
    known = [one.task_id for one in waiting if one.task_id is not None]
    moved = data.draw(some.sets(some.sampled_from(known))) if known else set()
    places = waiting.places_with(dict.fromkeys(moved, priority))
    names = []
    for one in waiting:
        stamp = one.name[4:] if one.task_id is not None else f"20261123T014499999-{one.name}"
        prefix = priority if one.task_id in moved else one.priority
        names.append((f"{prefix:03d}-{stamp}", one.task_id or one.name))
    order = [which for _, which in sorted(names)]
    assert places == {one: order.index(one) for one in moved}


@given(
    some.dictionaries(some.integers(0, 12), some.sets(some.integers(0, 12), max_size=4)),
    some.sets(some.integers(0, 12)),
)
def test_what_depends_on_a_task_also_over_others_fails_with_it(after: dict[int, set[int]], failing: set[int]) -> None:
    found = depending_on(map(an_id, failing), {an_id(one): tuple(map(an_id, of)) for one, of in after.items()})
    expected: set[int] = set()
    while True:
        more = {one for one, of in after.items() if of & (failing | expected)} - expected - failing
        if not more:
            break
        expected |= more
    assert found == sorted(map(an_id, expected))


@given(some.binary(min_size=1, max_size=40).filter(lambda raw: not {0, 0x2F} & set(raw)))
def test_any_name_has_a_key_that_is_text_and_means_it(raw: bytes) -> None:
    name = os.fsdecode(raw)
    assert name_of(key_of(name)) == name
    assert key_of(name).encode()


def test_every_action_that_names_tasks_is_tried_here() -> None:
    assert set(ON_TASKS) < set(get_args(ActionName))
