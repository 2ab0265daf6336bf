"""What becomes of a claim that an agent finds in its directory and does not know."""

from __future__ import annotations

import pytest

from gpu_queue.scheduling.recovery import NOBODY_KNOWS, ClaimFacts, Recovery, Step, recover
from gpu_queue.task import Claim, End, Why

CLAIM = Claim(500, "20260101T000000000-000000-a.sh", 1, "0a0b0c")


def test_a_try_that_never_began_goes_back_and_costs_none() -> None:
    assert recover(ClaimFacts(CLAIM, None, never_began=True)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.REQUEUE))


def test_a_try_whose_shim_may_have_begun_is_lost() -> None:
    assert recover(ClaimFacts(CLAIM, None)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.LOST))


@pytest.mark.parametrize("why", [Why.STOPPED, Why.TIMEOUT, Why.REQUEUE, Why.NOSTART])
@pytest.mark.parametrize("never_began", [False, True])
def test_a_try_that_was_to_end_for_a_reason_has_ended_for_that_one(why: Why, never_began: bool) -> None:
    found = recover(ClaimFacts(CLAIM, None, why=why, never_began=never_began))
    assert found == Recovery(Step.CLEAN, End(NOBODY_KNOWS, why))


@pytest.mark.parametrize("why", [Why.FENCED, Why.LOST])
def test_a_shim_that_was_about_to_give_up_and_died_on_the_way_is_lost(why: Why) -> None:
    assert recover(ClaimFacts(CLAIM, None, why=why)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.LOST))


def test_a_try_whose_lock_is_held_is_adopted_whatever_else_is_known() -> None:
    assert recover(ClaimFacts(CLAIM, None, is_alive=True, never_began=True)).step is Step.ADOPT
