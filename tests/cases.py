"""Cases that are tried with ``make test ALL=1`` only: more of what others prove."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def long(*cases: Any) -> list[ParameterSet]:
    """These, marked; a tuple has the values of one, as for ``pytest.mark.parametrize``."""
    return [pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.long) for one in cases]
