"""A line of the table of figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured, held against its budget."""

    what: str
    budget: str
    measured: str
