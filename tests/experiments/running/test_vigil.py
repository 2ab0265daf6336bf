"""When ``gpu-queue run`` starts an agent, when it ends, and when it gives up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_queue.experiments.running.vigil import NEVER_FOR_S, SERVED_FOR_S, Act, Facts, Step, Vigil, advance
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.states import EXIT_SERVED

NOW = Facts(100.0, is_over=False)
SERVED = replace(NOW, is_served=True)
OWN = replace(NOW, has_own=True)
HAD = Vigil(has_had=True)


def acts(vigil: Vigil, *moments: Facts) -> tuple[list[Act], Step]:
    """What is done at one moment after the other, and the last step."""
    found = []
    for facts in moments:
        step = advance(vigil, facts)
        vigil = step.vigil
        found.append(step.act)
    return found, step


def ended(status: int, at: float = 100.0, left: Reason | None = None) -> Facts:
    return Facts(at, is_over=False, has_own=True, status=status, left=left)


def test_an_agent_is_started_where_none_serves_and_then_it_is_watched_until_all_is_over() -> None:
    found, _ = acts(Vigil(), NOW, OWN, SERVED, replace(OWN, is_over=True))
    assert found == [Act.START, Act.WATCH, Act.WATCH, Act.END]
    assert acts(Vigil(), replace(NOW, is_over=True))[0] == [Act.END], "nothing is started where nothing is to be done"
    assert acts(Vigil(), SERVED, NOW)[0] == [Act.WATCH, Act.START], "the agent of another one was killed"


def test_one_that_finds_the_lock_held_leaves_it_to_whoever_holds_it_and_it_is_asked_again_later() -> None:
    found, step = acts(Vigil(), NOW, ended(EXIT_SERVED), NOW, replace(NOW, now=100.0 + SERVED_FOR_S))
    assert found == [Act.START, Act.WATCH, Act.WATCH, Act.START]
    assert len(step.vigil.starts) == 1
    for _ in range(9):
        found, step = acts(replace(step.vigil, held_until=0.0), ended(EXIT_SERVED), NOW)
    assert step.act is Act.WATCH, "that is no death"


def test_three_deaths_within_a_minute_are_enough() -> None:
    found, step = acts(HAD, ended(-9, 0.0), ended(-9, 20.0), ended(111, 40.0), ended(-11, 50.0))
    assert found == [Act.START] * 3 + [Act.GIVE_UP]
    assert step.why == "3 agents have ended within a minute"
    later, _ = acts(HAD, *(ended(-9, 30.0 * number) for number in range(20)))
    assert set(later) == {Act.START}
    assert advance(HAD, ended(-9)).why == "it was killed by signal 9"


@pytest.mark.parametrize(
    ("left", "act"),
    [
        (reason(Code.DRAINING, cause="empty"), Act.START),
        (reason(Code.DRAINING, cause="lifetime"), Act.START),
        (None, Act.START),
        (reason(Code.LEAVING, cause="shutdown"), Act.LEAVE),
        (reason(Code.LEAVING, cause="signal"), Act.LEAVE),
        (reason(Code.DRAINING, cause="spool", by="a@b: hot"), Act.LEAVE),
    ],
)
def test_what_a_person_has_ended_stays_ended_and_what_found_the_queue_empty_is_started_again(
    left: Reason | None, act: Act
) -> None:
    assert advance(HAD, ended(0, left=left)).act is act
    assert advance(HAD, replace(NOW, left=left)).act is act, "somebody else had started it"
    assert advance(HAD, ended(-9, left=left)).act is Act.START


def test_where_none_can_be_started_another_node_is_enough_as_long_as_it_serves() -> None:
    refused = ended(1)
    assert advance(HAD, refused).act is Act.GIVE_UP
    elsewhere = replace(NOW, is_served_elsewhere=True)
    found, step = acts(HAD, replace(refused, is_served_elsewhere=True), elsewhere, NOW, refused)
    assert found == [Act.WATCH, Act.WATCH, Act.START, Act.GIVE_UP]
    assert step.why == "no agent can be started here"
    assert advance(Vigil(), elsewhere).act is Act.START, "this node is to serve as well"


def test_what_can_never_run_here_is_not_waited_for() -> None:
    never = replace(OWN, never="a: needs 9 GPUs; this node serves 2")
    later = replace(never, now=never.now + NEVER_FOR_S)
    found, step = acts(HAD, never, later)
    assert (found, step.why) == ([Act.WATCH, Act.NEVER], f"what is left can never run here: {never.never}")
    assert acts(HAD, never, OWN, later)[0] == [Act.WATCH] * 3, "something could in between"
    elsewhere = [replace(one, is_served_elsewhere=True) for one in (never, later)]
    assert acts(HAD, *elsewhere)[0] == [Act.WATCH] * 2, "another node may have what it needs"
