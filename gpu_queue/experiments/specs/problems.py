"""What is wrong with an experiment file, all of it, in the order of its lines.  Pure."""

from __future__ import annotations

from gpu_queue.experiments.specs.nodes import Mapping, Node, Scalar, Sequence
from gpu_queue.experiments.specs.nouns import Place
from gpu_queue.texts import printable, shown

PROBLEMS_MAX = 100
"""So many are told: more of them tell that it is no experiment file."""


class Problems:
    """A list that grows while a file is read."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def are_too_many(self) -> bool:
        """More than are told: nobody will read what is guessed for the rest."""
        return len(self._found) > PROBLEMS_MAX

    def add(self, place: Place, text: str) -> None:
        """Tell of something; the same twice is told once."""
        self._found[place, printable(text, 1000)] = None

    def wrong(self, place: Place, path: str, expected: str, got: str, hint: str = "") -> None:
        """Tell what was expected of a key, and what stands there."""
        self.add(place, f"{path}: expected {expected}, got {got}{hint}")

    def told(self, name: str) -> tuple[str, ...]:
        """A line for each of them: ``f.yaml:9:11: gpus: expected …, got …``."""
        found = sorted(self._found, key=lambda one: one[0])
        lines = [f"{name}:{place.line}:{place.column}: {text}" for place, text in found[:PROBLEMS_MAX]]
        if len(found) > PROBLEMS_MAX:
            place, _ = found[PROBLEMS_MAX]
            more = len(found) - PROBLEMS_MAX
            lines.append(f"{name}:{place.line}:{place.column}: and {more} more from here on")
        return tuple(lines)


def what(node: Node) -> str:
    """A node for a message."""
    if isinstance(node, Mapping):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, Sequence):
        return "a list" if node.items else "an empty list"
    assert isinstance(node, Scalar)
    return (node.text or "nothing") if node.is_null else shown(node.text)
