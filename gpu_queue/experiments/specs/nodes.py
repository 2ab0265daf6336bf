"""YAML as a tree in which everything knows its place and keeps the text that was written.  Pure.

- It is made of the parser's events by a loop: nothing is constructed, no tag is obeyed, nothing recurses.
- How much there is is counted as if each alias were written out, so that a bomb of aliases ends where it is lit.
- ``1e-5``, ``3.10``, ``no``, ``012`` and ``1:30`` stay the texts that they are; nothing guesses at a type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.texts import printable

VALUES_MAX = 100_000
"""Keys and values of a file, aliases counted as often as they are used."""
DEPTH_MAX = 30
_EXPLAINED_MAX = 200_000
"""Characters of a file that is read once more, slowly, for a better message."""
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(f"{_TAG}{one}" for one in ("str", "int", "float", "bool", "null"))
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_UNSEEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Controls, what turns the direction of writing or cannot be seen, and halves of characters."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""What only an escape can spell, and nothing can be given."""


class Unreadable(Exception):
    """It is no YAML that can be looked at."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(problem)
        self.place = place


class Scalar(NamedTuple):
    """A text, a number, a word: a text here."""

    place: Place
    text: str
    is_null: bool = False
    """Nothing is written, or ``null``, and no quotes around it."""
    size: int = 1


class Sequence(NamedTuple):
    """A list."""

    place: Place
    items: tuple[Node, ...]
    size: int = 1


class Mapping(NamedTuple):
    """Keys and values, also those that stand there twice."""

    place: Place
    entries: tuple[tuple[Node, Node], ...]
    size: int = 1


Node = Scalar | Sequence | Mapping


class _Open:
    """A list or a mapping whose end was not seen yet."""

    def __init__(self, place: Place, anchor: str | None, *, is_mapping: bool) -> None:
        self.place = place
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.below: list[Node] = []

    def closed(self) -> Node:
        size = 1 + sum(one.size for one in self.below)
        if not self.is_mapping:
            return Sequence(self.place, tuple(self.below), size)
        return Mapping(self.place, tuple(zip(self.below[::2], self.below[1::2], strict=True)), size)


def compose(text: str, loader: Any = None) -> Node | None:
    """The tree of a YAML file; None where nothing is in it.

    Args:
        text: of the file, of a size that is bounded.
        loader: of PyYAML; None: the fastest that there is.

    Raises:
        Unreadable: it is no YAML, or too much of it.
    """
    unseen = _UNSEEN.search(text)
    if unseen is not None:
        line, column = text.count("\n", 0, unseen.start()), unseen.start() - text.rfind("\n", 0, unseen.start()) - 1
        raise Unreadable(Place(line + 1, column + 1), f"expected text, got the character {unseen[0]!a}")
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    chosen = loader or fast
    try:
        return _Composer().compose(yaml.parse(text, Loader=chosen))
    except Unreadable:
        raise
    except yaml.MarkedYAMLError as error:
        raise _explained(_said_slowly(text) or error, text) from None
    except Exception as error:  # beside YAMLError the parsers let pass what they stumble over
        raise Unreadable(Place(1, 1), f"no YAML: {printable(' '.join(str(error).split()))}") from None


def _said_slowly(text: str) -> yaml.MarkedYAMLError | None:
    """The error of the parser in Python, whose messages say more and are the same everywhere."""
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader) if len(text) <= _EXPLAINED_MAX else ():
            pass
    except yaml.MarkedYAMLError as error:
        return error
    except Exception:  # the other one has said what is wrong
        return None
    return None


class _Composer:
    def __init__(self) -> None:
        self._anchors: dict[str, Node] = {}
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._left = VALUES_MAX
        self._documents = 0

    def compose(self, events: Iterator[Any]) -> Node | None:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._add(_scalar(event), event.anchor)
            elif kind is yaml.AliasEvent:
                self._add(self._meant(event), None)
            elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                self._begin(event, is_mapping=kind is yaml.MappingStartEvent)
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                ended = self._open.pop()
                self._add(ended.closed(), ended.anchor, is_counted=True)
            elif kind is yaml.DocumentStartEvent:
                self._documents += 1
                if self._documents > 1:
                    raise Unreadable(_place(event), "expected one document, got a second one")
        return self._root

    def _begin(self, event: Any, *, is_mapping: bool) -> None:
        place = _place(event)
        if len(self._open) >= DEPTH_MAX:
            raise Unreadable(place, f"expected at most {DEPTH_MAX} lists and mappings in each other")
        if event.tag is not None and event.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise Unreadable(place, f"expected no tag, got {printable(event.tag)}")
        self._spend(1, place)
        self._open.append(_Open(place, event.anchor, is_mapping=is_mapping))

    def _add(self, node: Node, anchor: str | None, *, is_counted: bool = False) -> None:
        if not is_counted:
            self._left -= node.size
            if self._left < 0:
                self._spend(0, node.place)
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].below.append(node)
        else:
            self._root = node

    def _meant(self, event: Any) -> Node:
        if any(one.anchor == event.anchor for one in self._open):
            raise Unreadable(_place(event), f"*{printable(event.anchor)} stands within what it means")
        found = self._anchors.get(event.anchor)
        if found is None:
            known = ", ".join(f"&{printable(one)}" for one in list(self._anchors)[:10]) or "none"
            raise Unreadable(_place(event), f"nothing is called &{printable(event.anchor)} above; known: {known}")
        return found

    def _spend(self, size: int, place: Place) -> None:
        self._left -= size
        if self._left < 0:
            used = "aliases counted as often as they are used"
            raise Unreadable(place, f"expected at most {VALUES_MAX} keys and values, {used}")


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(event: Any) -> Scalar:
    tag = event.tag
    if tag is not None and tag not in _PLAIN_TAGS and tag != "!":
        raise Unreadable(_place(event), f"expected no tag, got {printable(tag)}")
    spelled = _NO_TEXT.search(event.value) if event.style == '"' else None
    if spelled is not None:
        raise Unreadable(_place(event), f"expected text, got the character {spelled[0]!a}")
    is_null = not event.style and tag is None and event.value in _NULLS
    return Scalar(_place(event), event.value, is_null)


def _explained(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    said = ", ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    return Unreadable(place, f"no YAML: {printable(said)}{_hint(said, line, place.column)}")


def _hint(problem: str, line: str, column: int) -> str:
    """What it probably was."""
    if line[column - 1 : column] == "\t" or line.startswith("\t"):
        return "; indent with blanks, not with tabs"
    if "mapping values are not allowed" in problem:
        return "; put quotes around a text with ': ' in it"
    if line[column - 1 : column] == "{":
        return "; put quotes around a text with { in it"
    if re.search(r"(?:[:,\[-]\s*|^\s*)\{[A-Za-z_][^{}:,]*\}", line):
        return "; put quotes around a text that begins with {"
    return ""
