"""Sentences with parameters in English and Chinese: templates, and how parameters stand in them.  Pure.

Who has a closed set of things to say keeps a table from its codes to these; nobody takes a sentence apart.  A
parameter stands in braces as it is; behind a colon it is said how:

- ``{count}``: a number, with commas;
- ``{count:task|tasks}``: the word that goes with the number, for English;
- ``{left_s:duration}``: ``3h20m``; ``{size_bytes:size}``: ``20G``; ``{until_s:clock}``: ``14:05:00``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from gpu_queue.texts import printable
from gpu_queue.units import format_clock, format_duration, format_size

TEXT_MAX = 2000
"""Of one parameter in a sentence: an exception may name a path."""
_AS: Mapping[str, Callable[[float], str]] = {"duration": format_duration, "clock": format_clock, "size": format_size}
_FORMATTER = Formatter()


class Phrase(NamedTuple):
    """One sentence, without a full stop, in both languages."""

    en: str
    zh: str

    def filled(self, params: Mapping[str, object]) -> tuple[str, str]:
        """English and Chinese with these parameters; one that is missing is ``?``.

        >>> Phrase("{count} {count:task runs|tasks run}", "{count} 个任务在运行").filled({"count": 1})
        ('1 task runs', '1 个任务在运行')
        """
        return fill(self.en, params), fill(self.zh, params)


def fill(template: str, params: Mapping[str, object]) -> str:
    """A template with its parameters."""
    said = []
    for text, name, how, _ in _FORMATTER.parse(template):
        said.append(text)
        if name is not None:
            said.append(_said(params.get(name), how or ""))
    return "".join(said)


def names_in(template: str) -> dict[str, set[str]]:
    """The parameters that a template has, and how they are said."""
    found: dict[str, set[str]] = {}
    for _, name, how, _ in _FORMATTER.parse(template):
        if name is not None:
            found.setdefault(name, set()).add(how or "")
    return found


def _said(value: Any, how: str) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300
    if "|" in how:
        one, many = how.split("|", 1)
        return one if is_number and value == 1 else many
    if how:
        return _AS[how](value) if is_number else "?"
    if value is None:
        return "?"
    if is_number:
        return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_said(one, "") for one in value)
    return printable(str(value), TEXT_MAX)
