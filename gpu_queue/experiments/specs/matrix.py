"""A matrix, with GitHub's meaning of ``include`` and ``exclude``.  Pure.

- The product of all lists, the last key fastest.
- ``exclude`` removes each combination that has all values of an entry; one that removes nothing is a mistake.
- ``include`` comes then, entry by entry.  It is added to each combination of the product whose own values it does not
  contradict, also over what an earlier entry added; what fits none is a combination of its own.
- Values are texts, and are equal where they are written alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from gpu_queue.experiments.specs.nouns import Place

COMBINATIONS_MAX = 10_000
STEPS_MAX = 1_000_000
"""Of looking entries of ``include`` and ``exclude`` up in the product."""

Combination = dict[str, str]


@dataclass(frozen=True)
class Entry:
    """One of ``include`` or ``exclude``."""

    place: Place
    values: Combination
    places: dict[str, Place]
    """Of its values."""


@dataclass(frozen=True)
class Matrix:
    """What a file says."""

    place: Place
    axes: dict[str, tuple[str, ...]]
    include: tuple[Entry, ...] = ()
    exclude: tuple[Entry, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that may have a value, each once."""
        return tuple(dict.fromkeys([*self.axes, *(name for one in self.include for name in one.values)]))


class BadMatrix(Exception):
    """What cannot be meant: ``problems`` has a place and a text for each."""

    def __init__(self, *problems: tuple[Place, str]) -> None:
        super().__init__(*problems)
        self.problems = problems


def combinations(matrix: Matrix) -> list[Combination]:
    """All of them, in their order.

    Raises:
        BadMatrix: there are too many or none, or an entry has no effect that can be meant.
    """
    count = math.prod(len(values) for values in matrix.axes.values()) if matrix.axes else 0
    if count > COMBINATIONS_MAX:
        raise BadMatrix((matrix.place, f"matrix: expected at most {COMBINATIONS_MAX} combinations, got {count}"))
    problems = [one for entry in (*matrix.exclude, *matrix.include) for one in _spelled_otherwise(matrix, entry)]
    if problems:
        raise BadMatrix(*problems)
    found = (
        [dict(zip(matrix.axes, values, strict=True)) for values in product(*matrix.axes.values())] if count else []
    )
    steps = _Steps(matrix)
    gone: set[int] = set()
    for entry in matrix.exclude:
        hit = steps.matching(found, entry)
        if not hit:
            problems.append((entry.place, f"matrix.exclude: expected one of its combinations, got {_told(entry)}"))
        gone.update(map(id, hit))
    found = [one for one in found if id(one) not in gone]
    own = [dict(one) for one in found]
    made: list[Combination] = []
    for entry in matrix.include:
        steps.take(len(own))
        said = [(name, value) for name, value in entry.values.items() if name in matrix.axes]
        hits = [at for at, one in enumerate(own) if all(one[name] == value for name, value in said)]
        for at in hits:
            found[at].update(entry.values)
        if not hits:
            made.append(dict(entry.values))
    if problems:
        raise BadMatrix(*problems)
    if not found and not made:
        raise BadMatrix((matrix.place, "matrix: expected a combination that is left of it, got none"))
    return [*found, *made]


class _Steps:
    def __init__(self, matrix: Matrix) -> None:
        self._place = matrix.place
        self._left = STEPS_MAX

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            many = "fewer entries of include and exclude for so many combinations"
            raise BadMatrix((self._place, f"matrix: expected {many}"))

    def matching(self, found: list[Combination], entry: Entry) -> list[Combination]:
        self.take(len(found))
        return [one for one in found if all(one.get(name) == value for name, value in entry.values.items())]


def _spelled_otherwise(matrix: Matrix, entry: Entry) -> Iterator[tuple[Place, str]]:
    """Values that are a number of the matrix, and are not written as it is there."""
    for name, value in entry.values.items():
        axis = matrix.axes.get(name, ())
        if axis and value not in axis:
            alike = [one for one in axis if _number(one) is not None and _number(one) == _number(value)]
            if alike:
                yield entry.places[name], f"matrix.{name}: expected {alike[0]} as the matrix writes it, got {value}"


def _number(text: str) -> float | None:
    try:
        return float(text) if len(text) < 40 else None
    except ValueError:
        return None


def _told(entry: Entry) -> str:
    return ", ".join(f"{name}: {value}" for name, value in entry.values.items())
