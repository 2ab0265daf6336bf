"""Texts with ``{x}`` and ``{x|default}`` in them.  Pure.

Only these are templates: ``${X}`` is the shell's, and ``{a,b}``, ``{1..3}``, JSON and awk stay as they are.  A brace
that is to stay before a name is doubled: ``{{x}`` is ``{x}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpu_queue.experiments.specs.nouns import Place

IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_.-]*"
_HOLE = re.compile(rf"\$\{{+|\{{(\{{{IDENTIFIER}(?:\|[^{{}}]*)?\}})|\{{({IDENTIFIER})(?:\|([^{{}}]*))?\}}")
_FOREIGN = re.compile(r"\$\{\{\s*(?:matrix\.)?([A-Za-z_][\w.-]*)\s*\}\}")


class Hole(NamedTuple):
    """A place that is filled in."""

    name: str
    default: str | None = None

    def __str__(self) -> str:
        return f"{{{self.name}}}" if self.default is None else f"{{{self.name}|{self.default}}}"


class Template(NamedTuple):
    """A text of the file, with where it stands."""

    place: Place
    text: str
    parts: tuple[str | Hole, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What is filled in, in its order."""
        return tuple(one for one in self.parts if isinstance(one, Hole))


class Unknown(Exception):
    """A name that has no value here."""

    def __init__(self, hole: Hole) -> None:
        super().__init__(hole.name)
        self.hole = hole


def parse(place: Place, text: str) -> Template:
    """A text's templates.

    Raises:
        ValueError: it has one in another program's notation.
    """
    if "{" not in text:
        return Template(place, text, (text,))
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        raise ValueError(f"expected {{{foreign[1]}}}, got {foreign[0]}, which is another program's")
    parts: list[str | Hole] = []
    literal = ""
    at = 0
    for found in _HOLE.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[2] is None:
            literal += found[1] or found[0]
            continue
        if literal:
            parts.append(literal)
        literal = ""
        parts.append(Hole(found[2], found[3]))
    literal += text[at:]
    if literal:
        parts.append(literal)
    return Template(place, text, tuple(parts))


def value_of(hole: Hole, values: Mapping[str, str]) -> str:
    """What is filled in.

    Raises:
        Unknown: nobody knows.
    """
    found = values.get(hole.name, hole.default)
    if found is None:
        raise Unknown(hole)
    return found


def fill(template: Template, values: Mapping[str, str], clean: Callable[[str], str] | None = None) -> str:
    """The text with its values, as they are.

    Args:
        template: of these parts.
        values: what is known.
        clean: what is done to each value before.

    Raises:
        Unknown: something has no value.
    """
    if len(template.parts) == 1 and isinstance(template.parts[0], str):
        return template.parts[0]
    made = []
    for part in template.parts:
        if isinstance(part, str):
            made.append(part)
        else:
            value = value_of(part, values)
            made.append(clean(value) if clean else value)
    return "".join(made)
