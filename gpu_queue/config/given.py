"""What a config.yaml says, as values that have their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Given:
    """A value, and where it stands."""

    value: Any
    place: str


@dataclass(frozen=True)
class Config:
    """What a config.yaml says."""

    values: Mapping[str, Given] = field(default_factory=dict)
    """By key; of those only that can be obeyed."""
    broken: frozenset[str] = frozenset()
    """Keys whose values cannot be; all of them, where nobody can tell what the file says."""
    problems: tuple[str, ...] = ()
    """All of them, each with its place; the last may count those that are left out."""

    def without(self, keys: Iterable[str], why: str) -> Config:
        """The same without some values, because of what the file is.

        Args:
            keys: those that do not count.
            why: for people.
        """
        found = [key for key in keys if key in self.values]
        problems = [f"{self.values[key].place}: {why}" for key in found]
        kept = {key: given for key, given in self.values.items() if key not in found}
        return Config(kept, self.broken | frozenset(found), (*self.problems, *problems))
