"""``[ … ]`` and ``[[ … ]]``, as far as their words are known.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.scripts.expanding import Scope
from gpu_queue.scripts.lexing import UNKNOWN, Word
from gpu_queue.scripts.values import MARKS, matches

_NUMBER = re.compile(r"\s*-?\d{1,12}\s*", re.ASCII)


def succeeds(scope: Scope, words: Sequence[Word], operators: str = "") -> bool | None:
    """Whether ``[ … ]`` or ``[[ … ]]`` holds; None: nobody knows."""
    if operators:
        kinds = set(operators.split())
        if kinds - {"&&"} and kinds - {"||"}:
            return None
        groups: list[list[Word]] = [[]]
        for word in words:
            if word.line == 0 and not word.parts:
                groups.append([])
            else:
                groups[-1].append(word)
        truths = [succeeds(scope, group) for group in groups]
        decisive = kinds == {"||"}
        return decisive if decisive in truths else None if None in truths else not decisive
    values: list[str] = []
    for word in words[:6]:
        found = scope.values(word)
        if len(found) != 1:
            return None
        values.append(found[0])
    if values[:1] == ["!"] and len(values) > 1:
        truth = succeeds(scope, words[1:])
        return None if truth is None else not truth
    return compared(values) if len(words) <= 6 else None


def compared(values: list[str]) -> bool | None:
    """The same for words that were expanded."""
    if len(values) == 1:
        return None if values[0] == UNKNOWN else bool(values[0])
    if len(values) == 2:
        operator, value = values
        if operator in ("-n", "-z"):
            if MARKS.search(value) and UNKNOWN in value and not MARKS.sub("", value):
                return None
            return bool(value) is (operator == "-n")
        return None
    if len(values) != 3 or MARKS.search(values[0]) or MARKS.search(values[2]):
        return None
    left, operator, right = values
    if operator in ("=", "==", "!="):
        if "*" in right:
            fits = matches(left, right)
            return None if fits is None else fits is (operator != "!=")
        return (left == right) is (operator != "!=")
    if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right):
        one, other = int(left), int(right)
        results = {
            "-eq": one == other, "-ne": one != other, "-lt": one < other, "-le": one <= other, "-gt": one > other,
            "-ge": one >= other,
        }  # fmt: skip
        return results.get(operator)
    return None
