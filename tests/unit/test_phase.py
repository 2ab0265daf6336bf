"""What an agent is up to where several things ask for it at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_queue.scheduling.facts import Phase
from gpu_queue.scheduling.phase import Wishes, phase_of

NOTHING = Wishes()
PAUSED = Wishes(paused="alice")
DRAINS = [
    Wishes(lifetime_left_s=0.0),
    Wishes(shutdown="wait"),
    Wishes(draining="bob"),
    Wishes(until_empty=True, spool_is_empty=True),
]
LEAVES = [Wishes(terminated=True), Wishes(shutdown="now"), Wishes(stops_left_s=0.0)]


def both(one: Wishes, other: Wishes) -> Wishes:
    """All that either asks for."""
    asked = {name: value for name, value in vars(other).items() if value != getattr(NOTHING, name)}
    return replace(one, **asked)


def test_an_agent_of_which_nobody_wants_anything_serves() -> None:
    assert phase_of(NOTHING) == (Phase.SERVING, None)
    assert phase_of(Wishes(lifetime_left_s=0.1, stops_left_s=0.1, until_empty=True)) == (Phase.SERVING, None)


def test_a_pause_takes_nothing_new_and_ends_nobody() -> None:
    assert phase_of(PAUSED)[0] is Phase.PAUSED


@pytest.mark.parametrize("drain", DRAINS, ids=str)
def test_an_agent_that_is_to_end_ends_although_its_spool_is_paused(drain: Wishes) -> None:
    assert phase_of(both(PAUSED, drain)) == phase_of(drain)
    assert phase_of(drain)[0] is Phase.DRAINING


@pytest.mark.parametrize("drain", [PAUSED, *DRAINS], ids=str)
@pytest.mark.parametrize("leave", LEAVES, ids=str)
def test_who_is_to_leave_now_waits_for_no_task(leave: Wishes, drain: Wishes) -> None:
    assert phase_of(both(drain, leave)) == phase_of(leave)
    assert phase_of(leave)[0] is Phase.LEAVING
