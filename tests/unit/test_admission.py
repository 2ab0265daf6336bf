"""Who may get a GPU: what the policy of dedicated nodes says of a card; a plan asks whatever policy it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_queue.scheduling.admission import WHOLE, Card, Policy, Reserved, Terms, Verdict, dedicated, shared
from gpu_queue.scheduling.facts import Facts
from gpu_queue.scheduling.plan import Start, explain, plan
from gpu_queue.states import GpuState
from gpu_queue.task import Needs
from gpu_queue.words import in_words
from tests.builders import a_card, a_node, a_task, gpus

GIB = 1 << 30
TERMS = Terms(foreign_memory_bytes=GIB)
CARD = Card("GPU-0", 0, 80 * GIB, memory_used_bytes=0, memory_free_bytes=80 * GIB)


@pytest.mark.parametrize(
    ("card", "state"),
    [
        (CARD, GpuState.IDLE),
        (replace(CARD, memory_used_bytes=GIB), GpuState.IDLE),
        (replace(CARD, memory_used_bytes=GIB + 1), GpuState.FOREIGN),
        (replace(CARD, memory_used_bytes=60 * GIB, others_bytes=0), GpuState.IDLE),
        (replace(CARD, memory_used_bytes=60 * GIB, others_bytes=20 * GIB), GpuState.FOREIGN),
        (replace(CARD, utilization_percent=(100, 100)), GpuState.IDLE),
        (replace(CARD, reserved=(Reserved(),)), GpuState.BUSY),
        (replace(CARD, reserved=(Reserved(4 * GIB, is_ours=False),)), GpuState.BUSY),
        (replace(CARD, memory_used_bytes=None), GpuState.UNKNOWN),
        (replace(CARD, is_known=False), GpuState.UNKNOWN),
        (replace(CARD, is_lost=True, is_known=False, reserved=(Reserved(),)), GpuState.LOST),
        (replace(CARD, is_known=False, reserved=(Reserved(),)), GpuState.BUSY),
    ],
)
@pytest.mark.parametrize("memory_bytes", [None, GIB, 200 * GIB])
def test_dedicated_gives_whole_cards_that_nobody_uses(card: Card, state: GpuState, memory_bytes: int | None) -> None:
    assert dedicated(card, memory_bytes, TERMS) == Verdict(state, WHOLE)


def half_free(card: Card, memory_bytes: int | None, terms: Terms) -> Verdict:
    """Another policy: a part of a card, as long as what is free of it suffices."""
    asked = memory_bytes or terms.foreign_memory_bytes
    enough = card.memory_free_bytes is not None and card.memory_free_bytes >= asked
    return Verdict(GpuState.IDLE if enough else GpuState.FOREIGN, asked)


def under(policy: Policy, facts: Facts) -> Facts:
    return replace(facts, policy=policy, terms=TERMS)


def test_another_policy_is_another_function_and_says_what_a_task_reserves() -> None:
    cards = [replace(a_card(0), memory_free_bytes=4 * GIB), replace(a_card(1), memory_free_bytes=40 * GIB)]
    small, large = (a_task(name, needs=Needs(memory_bytes=size * GIB)) for name, size in (("a", 2), ("b", 30)))
    facts = under(half_free, a_node(cards, small, large))
    assert plan(facts).actions == (Start(small, ("GPU-0",), 2 * GIB), Start(large, ("GPU-1",), 30 * GIB))


def test_what_a_card_is_depends_on_what_is_asked_of_it() -> None:
    cards = [replace(a_card(0), memory_free_bytes=4 * GIB)]
    large, small = (a_task(name, needs=Needs(memory_bytes=size * GIB)) for name, size in (("a", 30), ("b", 2)))
    facts = under(half_free, a_node(cards, large, small))
    assert [action.task for action in plan(facts).actions] == [small]
    assert "0 idle (1 foreign)" in in_words(dict(explain(facts, 10))["a"])


def test_a_task_of_a_dedicated_node_reserves_the_whole_of_each_card() -> None:
    (start,) = plan(a_node(gpus(2), a_task("a", needs=Needs(2, 2, memory_bytes=GIB)))).actions
    assert isinstance(start, Start)
    assert start.reserve_bytes is WHOLE


def by_index(card: Card, memory_bytes: int | None, terms: Terms) -> Verdict:
    """A policy that reserves more of one card than of another; of the last the whole."""
    assert (memory_bytes, terms) == (GIB, TERMS)
    return Verdict(GpuState.IDLE, WHOLE if card.index == 2 else (card.index + 1) * GIB)


@pytest.mark.parametrize(("count", "reserved"), [(1, GIB), (2, 2 * GIB), (3, WHOLE)])
def test_of_several_cards_a_task_reserves_as_much_as_the_one_of_which_it_needs_most(
    count: int, reserved: int | None
) -> None:
    facts = under(by_index, a_node(gpus(3), a_task("a", needs=Needs(count, count, memory_bytes=GIB))))
    (start,) = plan(facts).actions
    assert isinstance(start, Start)
    assert start.reserve_bytes == reserved


def test_a_card_that_has_no_utilisation_to_tell_is_judged_by_the_rest() -> None:
    card = replace(CARD, memory_free_bytes=CARD.memory_total_bytes, utilization_percent=())
    assert shared(card, None, TERMS).state is GpuState.UNKNOWN
    assert shared(replace(card, tells_utilization=False), None, TERMS).state is GpuState.IDLE
    used = replace(card, tells_utilization=False, utilization_percent=(90,))
    assert shared(used, None, TERMS).state is GpuState.IDLE, "that of our own filler"
    assert shared(replace(used, has_stranger=True), None, TERMS).state is GpuState.FOREIGN
