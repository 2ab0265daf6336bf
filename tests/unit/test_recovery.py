"""What becomes of a claim that an agent finds in its directory and does not know."""

from __future__ import annotations

from gpu_queue.scheduling.recovery import NOBODY_KNOWS, ClaimFacts, Recovery, Step, recover
from gpu_queue.task import Claim, End, Why

CLAIM = Claim(500, "20260101T000000000-000000-a.sh", 1, "0a0b0c")


def test_a_try_that_never_began_goes_back_and_costs_none() -> None:
    assert recover(ClaimFacts(CLAIM, None, never_began=True)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.REQUEUE))


def test_a_try_whose_shim_may_have_begun_is_lost() -> None:
    assert recover(ClaimFacts(CLAIM, None)) == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.LOST))


def test_a_try_that_was_to_be_stopped_is_stopped_although_it_never_began() -> None:
    found = recover(ClaimFacts(CLAIM, None, why=Why.STOPPED, never_began=True))
    assert found == Recovery(Step.CLEAN, End(NOBODY_KNOWS, Why.STOPPED))


def test_a_try_whose_lock_is_held_is_adopted_whatever_else_is_known() -> None:
    assert recover(ClaimFacts(CLAIM, None, is_alive=True, never_began=True)).step is Step.ADOPT
