"""Tasks over several nodes never run in part, never twice at once, and never wait for each other for ever."""

from __future__ import annotations

import pytest

from tests.unit.gang_model import PENDING, SETTLED, Budget, Rules, explored, is_stuck, stuck, walked

ONE, BOTH = (PENDING, SETTLED), (PENDING, PENDING)
BUDGETS = {
    "two gangs": (Budget(takes=3), 2, BOTH),
    "one changes its mind": (Budget(takes=2, whims=1), 2, ONE),
    "one is killed": (Budget(takes=2, crashes=1), 2, ONE),
    "one fails": (Budget(takes=3, fails=1, patience=1), 2, ONE),
    "a call is broken": (Budget(takes=2, breaks=1), 2, ONE),
    "a node dies": (Budget(takes=2, deaths=1), 3, ONE),
    "cancelled": (Budget(takes=2, cancels=1), 2, ONE),
}
LARGE = {
    "two gangs on two nodes": (Budget(takes=5), 2, BOTH),
    "two gangs on three nodes": (Budget(takes=3), 3, BOTH),
    "one changes its mind": (Budget(takes=4, whims=1), 2, ONE),
    "one is killed": (Budget(takes=4, crashes=1), 2, ONE),
    "one of three is killed": (Budget(takes=2, crashes=1), 3, ONE),
    "a call is broken": (Budget(takes=4, breaks=1), 2, ONE),
    "a node dies": (Budget(takes=3, deaths=1), 3, ONE),
    "cancelled": (Budget(takes=3, cancels=1, whims=1), 2, ONE),
}


def tried(budget: Budget, agents: int, tasks: tuple[str, str]) -> None:
    problem, worlds = explored(budget, agents, tasks=tasks)
    assert not problem
    assert stuck(worlds) is None


@pytest.mark.parametrize(("budget", "agents", "tasks"), BUDGETS.values(), ids=BUDGETS.keys())
def test_in_no_order_does_a_part_run_alone_or_twice_and_nothing_is_held_for_ever(
    budget: Budget, agents: int, tasks: tuple[str, str]
) -> None:
    tried(budget, agents, tasks)


@pytest.mark.long
@pytest.mark.parametrize(("budget", "agents", "tasks"), LARGE.values(), ids=LARGE.keys())
def test_the_same_in_larger_worlds(budget: Budget, agents: int, tasks: tuple[str, str]) -> None:
    tried(budget, agents, tasks)


def test_the_same_in_random_orders_of_all_that_may_go_wrong_on_four_nodes() -> None:
    budget = Budget(takes=30, whims=3, crashes=2, deaths=1, breaks=2, fails=1, patience=1)
    for seed in range(30):
        world = walked(budget, 4, seed, 300)
        problem = world.wrong or is_stuck(world)
        assert not problem, f"seed {seed}"


@pytest.mark.parametrize(
    ("rules", "budget", "problem"),
    [
        (Rules(goes_without_asking=True), Budget(takes=3, whims=1, breaks=1), "it goes without one of its ranks"),
        (Rules(leaves_silently=True), Budget(takes=2, whims=1), "it goes without one of its ranks"),
        (Rules(moves_on_at_once=True), Budget(takes=2), "it is moved on while a rank runs"),
    ],
    ids=lambda one: next(name for name, value in one._asdict().items() if value) if isinstance(one, Rules) else "",
)
def test_the_model_finds_each_rule_that_is_broken(rules: Rules, budget: Budget, problem: str) -> None:
    assert explored(budget, 2, rules, ONE)[0] == problem


@pytest.mark.parametrize(
    ("rules", "budget", "agents", "tasks"),
    [
        (Rules(joins_any_call=True), Budget(takes=2), 2, BOTH),
        (Rules(forgets_calls=True), Budget(takes=2, deaths=1), 3, ONE),
    ],
    ids=["joins_any_call", "forgets_calls"],
)
def test_the_model_finds_what_would_wait_for_ever(
    rules: Rules, budget: Budget, agents: int, tasks: tuple[str, str]
) -> None:
    problem, worlds = explored(budget, agents, rules, tasks)
    assert not problem
    assert stuck(worlds, rules) is not None
