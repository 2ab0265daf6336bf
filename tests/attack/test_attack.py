"""A short part of ``make attack``: a round of each sort, for as long as a suite can spare."""

from __future__ import annotations

import random

import pytest

from tests.attack.rounds import ROUNDS

SHORT = (
    "hostile names and contents everywhere",
    pytest.param("3 agents on 3 serial queues", marks=pytest.mark.long),
)
SECONDS = 2.0


@pytest.mark.parametrize("what", SHORT)
def test_nothing_is_lost_doubled_or_wrong(what: str) -> None:
    (one,) = (one for one in ROUNDS if one.what == what)
    seed = random.randrange(1 << 30)
    verdict = one.run(seed, SECONDS)
    assert verdict is not None
    assert verdict.tasks > 0
    assert verdict.is_good, f"seed {seed}: {verdict}"
