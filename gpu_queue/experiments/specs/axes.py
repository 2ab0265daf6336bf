"""A matrix as a file has it: its lists, and the entries of ``include`` and ``exclude``.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_queue.experiments.specs.mappings import Mappings, is_forgotten
from gpu_queue.experiments.specs.matrix import Entry, Matrix
from gpu_queue.experiments.specs.nodes import Mapping, Node, Scalar, Sequence
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.experiments.specs.problems import Problems
from gpu_queue.experiments.specs.templates import IDENTIFIER
from gpu_queue.texts import shown

RESERVED = ("name", "group", "job")
"""Names that a template knows by itself."""
ENTRIES = ("include", "exclude")
_SWEEP = re.compile(r"(?:range|choice|interval|glob)\(|\$\{|[0-9]+(?:\.\.|:)[0-9]")
"""What other programs make values of."""
_NAME = "a name of letters, digits, _ - and . that begins with a letter"


def read_matrix(node: Node, expected: str, problems: Problems) -> Matrix | None:
    """What a file says of a matrix; None where something is wrong with it, which is noted.

    Args:
        node: behind the key.
        expected: what is said of one that is no matrix.
        problems: for what is wrong.
    """
    reader = _Axes(problems)
    if not isinstance(node, Mapping) or not node.entries:
        reader.wrong(node, "matrix", expected)
        return None
    before = len(problems)
    axes: dict[str, tuple[str, ...]] = {}
    entries: dict[str, tuple[Entry, ...]] = {}
    for name, place, below in reader.entries(node, "matrix"):
        if name in ENTRIES:
            entries[name] = tuple(reader.variants(below, f"matrix.{name}"))
        elif reader.is_name(name, place, "matrix"):
            axes[name] = tuple(reader.axis(below, f"matrix.{name}"))
    made = Matrix(node.place, axes, entries.get("include", ()), entries.get("exclude", ()))
    for entry in made.exclude:
        for name in entry.values:
            if name not in axes:
                known = f"a key of the matrix ({', '.join(axes) or 'it has none'})"
                problems.wrong(entry.places[name], "matrix.exclude", known, shown(name))
    return made if len(problems) == before else None


def _as_list(text: str) -> str:
    """A hint how one value is written as a list."""
    if _SWEEP.match(text):
        return "; write the values, as in [0, 1, 2]"
    return f"; write [{shown(text)[1:-1]}]" if text else ""


class _Axes(Mappings):
    def is_name(self, name: str, place: Place, path: str) -> bool:
        if not re.fullmatch(IDENTIFIER, name, re.ASCII):
            self.problems.wrong(place, path, _NAME, shown(name))
        elif name in RESERVED:
            self.problems.wrong(place, path, "another name", f"{name}, which each run has by itself")
        else:
            return True
        return False

    def axis(self, node: Node, path: str) -> Iterator[str]:
        if not isinstance(node, Sequence) or not node.items:
            self.wrong(node, path, "a list of values", _as_list(node.text) if isinstance(node, Scalar) else "")
            return
        first: dict[str, Place] = {}
        for item in node.items:
            if not isinstance(item, Scalar) or is_forgotten(item):
                self.wrong(item, path, "a text or a number")
            elif item.text in first:
                again = f"{shown(item.text)} again, first in line {first[item.text].line}"
                self.problems.wrong(item.place, path, "each value once", again)
            else:
                first[item.text] = item.place
                yield item.text

    def variants(self, node: Node, path: str) -> Iterator[Entry]:
        if not isinstance(node, Sequence):
            self.wrong(node, path, "a list of mappings")
            return
        for item in node.items:
            if not isinstance(item, Mapping) or not item.entries:
                self.wrong(item, path, "a mapping of names to values")
                continue
            values: dict[str, str] = {}
            places: dict[str, Place] = {}
            for name, place, below in self.entries(item, path):
                if not self.is_name(name, place, path):
                    continue
                if not isinstance(below, Scalar) or is_forgotten(below):
                    self.wrong(below, f"{path}.{name}", "a text or a number")
                    continue
                values[name], places[name] = below.text, below.place
            yield Entry(item.place, values, places)
