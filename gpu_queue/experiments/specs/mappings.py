"""Mappings and texts of a file, whatever they are of: each key once, known, in its place.  Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from gpu_queue.experiments.specs import templates
from gpu_queue.experiments.specs.keys import MEANT
from gpu_queue.experiments.specs.nodes import Mapping, Node, Scalar, Sequence
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.problems import Problems, what
from gpu_queue.experiments.specs.templates import Template
from gpu_queue.texts import shown

MERGE = "<<"


class Mappings:
    """What is read out of mappings; whatever is wrong is noted."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def wrong(self, node: Node, path: str, expected: str, hint: str = "") -> None:
        """Note that something else was expected where this stands."""
        if not hint and isinstance(node, Mapping) and _looks_like_a_template(node):
            hint = "; put quotes around a text that begins with {"
        self.problems.wrong(node.place, path, expected, what(node), hint)

    def entries(
        self, node: Mapping, path: str, known: Collection[str] | None = None, elsewhere: str = ""
    ) -> Iterator[tuple[str, Place, Node]]:
        """The keys of a mapping with their places and values: each once, and those only that are known.

        Args:
            node: the mapping.
            path: of it in the file, for messages; empty: it is the file.
            known: the keys that there may be; None: any.
            elsewhere: what is said of a key that another mapping has, as ``name name: where``.
        """
        first: dict[str, Place] = {}
        for key, value in self._merged(node, path):
            if not isinstance(key, Scalar) or is_forgotten(key):
                self.wrong(key, path or "file", "a name")
                continue
            name = key.text
            if name in first:
                again = f"{shown(name)} again, first in line {first[name].line}"
                self.problems.wrong(key.place, path or "file", "each key once", again)
                continue
            first[name] = key.place
            if known is None or name in known:
                yield name, key.place, value
            else:
                told = "" if self.problems.are_too_many else _guess(name, known, elsewhere)
                self.problems.add(key.place, f"{path + ': ' if path else ''}unknown key {shown(name)}; {told}")

    def _merged(self, node: Mapping, path: str) -> Iterator[tuple[Node, Node]]:
        """The entries, with those of ``<<: *other`` of which the mapping has no key of its own."""
        own = [one for one in node.entries if not _is_merge(one[0])]
        yield from own
        if len(own) == len(node.entries):
            return
        names = {key.text for key, _ in own if isinstance(key, Scalar)}
        for value in (value for key, value in node.entries if _is_merge(key)):
            for other in value.items if isinstance(value, Sequence) else (value,):
                if not isinstance(other, Mapping):
                    self.wrong(other, f"{path}.{MERGE}" if path else MERGE, "a mapping, as in <<: *other")
                    continue
                for key, below in self._merged(other, path):
                    if isinstance(key, Scalar) and key.text not in names:
                        names.add(key.text)
                        yield key, below

    def text(self, node: Node, path: str, expected: str) -> Template | None:
        """A single value; None where it is none, which was noted."""
        if not isinstance(node, Scalar) or is_forgotten(node):
            self.wrong(node, path, expected)
            return None
        try:
            return templates.parse(node.place, node.text)
        except ValueError as problem:
            self.problems.add(node.place, f"{path}: {problem}")
            return None

    def texts(self, node: Sequence, path: str, expected: str) -> tuple[Template, ...] | None:
        """The values of a list; None where one of them is none, which was noted."""
        made = [self.text(item, path, expected) for item in node.items]
        found = tuple(one for one in made if one is not None)
        return found if len(found) == len(made) else None


def is_null(node: Node) -> bool:
    """``null`` or ``~``, as somebody has written it."""
    return isinstance(node, Scalar) and node.is_null and bool(node.text)


def is_forgotten(node: Node) -> bool:
    """Nothing stands there."""
    return isinstance(node, Scalar) and node.is_null and not node.text


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.text == MERGE


def _looks_like_a_template(node: Mapping) -> bool:
    """``{x}``, which YAML takes for a mapping of x to nothing."""
    return len(node.entries) == 1 and is_forgotten(node.entries[0][1])


def _guess(name: str, known: Collection[str], elsewhere: str) -> str:
    lower = name.lower()[:100]
    meant = MEANT.get(lower)
    if meant in known:
        return f"write {meant}"
    names, _, place = elsewhere.partition(": ")
    if name in names.split():
        return place
    near = difflib.get_close_matches(lower, known, 1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
