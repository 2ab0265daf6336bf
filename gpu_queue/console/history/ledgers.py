"""What GPUs did and what it cost, from the nodes' ledgers (docs/spool.md, "The ledger").

The table is read by its header's names: other columns may come, and those of earlier versions are fewer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from gpu_queue.console.keys import key_of
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.store import listing
from gpu_queue.texts import printable

TABLE_MAX_BYTES = 8 << 20
NODES_MAX = 256
ROWS_MAX = 5000
_NUMBERS = ("task_s", "filler_s", "idle_s", "task_j", "filler_j", "idle_j", "light_s", "light_j")
_LATER = ("light_s", "light_j")
"""Tables of earlier versions are without."""
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """A GPU on a day."""

    day: str
    node: str
    uuid: str
    numbers: dict[str, float]


@dataclass
class Ledgers:
    """Those of one queue; each is read anew when it has changed."""

    paths: SpoolPaths
    _read: dict[str, tuple[tuple[int, int], list[Line]]] = field(default_factory=dict)

    def lines(self, first_day: str) -> Iterator[Line]:
        """The lines of all nodes, from a day on.

        Raises:
            OSError: the storage failed.
        """
        directory = os.path.dirname(self.paths.ledger("x"))
        try:
            names = [one for one in listing(directory) if one.endswith(".tsv") and not one.startswith(".")]
        except FileNotFoundError:
            names = []
        kept = sorted(names)[:NODES_MAX]
        self._read = {node: read for node, read in self._read.items() if f"{node}.tsv" in kept}
        for name in kept:
            node = name.removesuffix(".tsv")
            yield from (line for line in self._of(node) if line.day >= first_day)

    def _of(self, node: str) -> list[Line]:
        path = self.paths.ledger(node)
        mark = files.mark_of(path)
        known = self._read.get(node)
        if mark is None:
            return []
        if known is not None and known[0] == mark:
            return known[1]
        try:
            content, _ = files.read_regular(path, TABLE_MAX_BYTES)
        except files.FileProblem:
            return []
        lines = list(parse_table(node, content.decode("utf-8", "replace")))
        self._read[node] = mark, lines
        return lines


def parse_table(node: str, text: str) -> Iterator[Line]:
    """The lines of a table; what is none is left out."""
    header, *rows = text.split("\n")
    places = {name: place for place, name in enumerate(header.rstrip("\r").split("\t"))}
    if not {"day", "uuid"} <= places.keys():
        return
    for row in rows:
        words = row.rstrip("\r").split("\t")
        told = {name: words[place] for name, place in places.items() if place < len(words)}
        numbers = {name: told.get(name, "0" if name in _LATER else "") for name in _NUMBERS}
        is_day = _DAY.fullmatch(told.get("day", "")) is not None
        if not is_day or not told.get("uuid") or not all(map(_NUMBER.fullmatch, numbers.values())):
            continue
        yield Line(told["day"], node, told["uuid"], {name: float(one) for name, one in numbers.items()})


def spent(lines: Iterable[Line], by: str) -> list[dict[str, object]]:
    """What was spent, as the model ``Spent`` has it: by day, and node, or GPU; the newest first.

    Args:
        lines: of all nodes.
        by: ``day``, ``node`` or ``gpu``.
    """
    sums: dict[tuple[str, str, str], dict[str, float]] = {}
    for line in lines:
        node = "" if by == "day" else line.node
        key = line.day, node, line.uuid if by == "gpu" else ""
        total = sums.setdefault(key, dict.fromkeys(_NUMBERS, 0.0))
        for name, value in line.numbers.items():
            total[name] += value
    newest = sorted(sums.items(), key=lambda one: one[0][1:])
    newest.sort(key=lambda one: one[0][0], reverse=True)
    return [_spent(*key, total) for key, total in newest[:ROWS_MAX]]


def _spent(day: str, node: str, uuid: str, total: dict[str, float]) -> dict[str, object]:
    gpu = f"{key_of(node)}/{printable(uuid)}" if uuid else ""
    return {"day": day, "node": key_of(node), "gpu": gpu, **_by_use(total)}


def _by_use(total: dict[str, float]) -> dict[str, float]:
    return {
        # Time with a light filler beside a task is the task's, its energy the filler's.
        "task_s": total["task_s"] + total["light_s"],
        "keepalive_s": total["filler_s"],
        "idle_s": total["idle_s"],
        "task_j": total["task_j"],
        "keepalive_j": total["filler_j"] + total["light_j"],
        "idle_j": total["idle_j"],
    }


def totals(lines: Iterable[Line]) -> dict[tuple[str, str], dict[str, float]]:
    """What each GPU did since there is a ledger, by node and UUID; keys as the model ``Spent`` has them."""
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for line in lines:
        total = sums.setdefault((line.node, line.uuid), dict.fromkeys(_NUMBERS, 0.0))
        for name, value in line.numbers.items():
            total[name] += value
    return {gpu: _by_use(total) for gpu, total in sums.items()}


def first_day(today: date, days: int) -> str:
    """The first of so many days that end today."""
    return (today - timedelta(days=days - 1)).isoformat()
