"""Reading what others wrote: each field by itself, so that one that does not fit hinders none of the rest.

A value of the wrong kind reads as if it were missing.  Texts lose their control characters: whatever is read through
here may be shown on a terminal or a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpu_queue.texts import TEXT_MAX, printable
from gpu_queue.units import parse_utc_s

ITEMS_MAX = 10_000


class Fields:
    """A JSON object of somebody else's."""

    def __init__(self, value: object) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __bool__(self) -> bool:
        return bool(self._value)

    def raw(self, key: str) -> object:
        """Whatever stands there; None where nothing does."""
        return self._value.get(key)

    def text(self, key: str, at_most: int = TEXT_MAX) -> str:
        """A text for people; empty where there is none."""
        value = self._value.get(key)
        return printable(value, at_most) if isinstance(value, str) else ""

    def name(self, key: str) -> str:
        """A text that is a path, an id or an argument, byte for byte; empty where it can be none."""
        value = self._value.get(key)
        return value if isinstance(value, str) and is_argument(value) else ""

    def integer(self, key: str) -> int | None:
        """A whole number."""
        value = self._value.get(key)
        return value if type(value) is int and abs(value) < 1 << 63 else None

    def count(self, key: str) -> int:
        """A whole number that is not negative; else 0."""
        return max(0, self.integer(key) or 0)

    def number(self, key: str) -> float | None:
        """A finite number."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e18 or math.isnan(value):
            return None
        return value

    def flag(self, key: str) -> bool:
        """Whether it is true."""
        return self._value.get(key) is True

    def moment_s(self, key: str) -> float | None:
        """A moment in epoch seconds, from ISO 8601 in UTC."""
        value = self._value.get(key)
        return parse_utc_s(value) if isinstance(value, str) else None

    def inner(self, key: str) -> Fields:
        """An object inside; an empty one where there is none."""
        return Fields(self._value.get(key))

    def items(self, key: str) -> list[object]:
        """A list; empty where there is none."""
        value = self._value.get(key)
        return value[:ITEMS_MAX] if isinstance(value, list) else []

    def objects(self, key: str) -> list[Fields]:
        """The objects of a list."""
        return [Fields(one) for one in self.items(key) if isinstance(one, dict)]

    def texts(self, key: str, at_most: int = TEXT_MAX) -> tuple[str, ...]:
        """The texts of a list, for people."""
        return tuple(printable(one, at_most) for one in self.items(key) if isinstance(one, str))

    def pairs(self, key: str, at_most: int = TEXT_MAX) -> tuple[tuple[str, str], ...]:
        """The texts of an object with their keys, in its order, for people."""
        value = self._value.get(key)
        items = list(value.items())[:ITEMS_MAX] if isinstance(value, dict) else []
        return tuple(
            (printable(one, at_most), printable(text, at_most)) for one, text in items if isinstance(text, str)
        )

    def integers(self, key: str) -> tuple[int, ...]:
        """The whole numbers of a list."""
        return tuple(one for one in self.items(key) if type(one) is int and abs(one) < 1 << 63)


def is_argument(text: str) -> bool:
    """Whether a text can be a path or an argument of a program."""
    if "\0" in text:
        return False
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # JSON can spell surrogates that stand for no byte
        return False
    return True
