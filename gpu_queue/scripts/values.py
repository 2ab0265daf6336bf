"""What expressions and patterns of a shell come to, as far as that is plain.  Pure and bounded."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpu_queue.scripts.lexing import COUNT, GRANTED, NODE_COUNT, RANK, UNKNOWN

MARKS = re.compile(f"[{UNKNOWN}{GRANTED}{COUNT}{NODE_COUNT}{RANK}]")
LONGEST = 4096
"""A longer value is unknown."""
_TOKEN = re.compile(r"\s*(?:(\d{1,9})(?!\d)|([A-Za-z_]\w*)|(<=|>=|==|!=|&&|\|\||[-+*/%()<>!])|(.))", re.DOTALL)
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))


class _Sum:
    """Arithmetic of whole numbers; ValueError: something in it is unknown, or more than plain."""

    def __init__(self, text: str, value_of: Callable[[str], str]) -> None:
        self._tokens = [match.group(1, 2, 3, 4) for match in _TOKEN.finditer(text[:200].strip())]
        if len(text) > 200:
            raise ValueError(text)
        self._at = 0
        self._depth = 0
        self._value_of = value_of

    def result(self) -> int:
        value = self._level(0)
        if self._at < len(self._tokens):
            raise ValueError
        return value

    def _operator(self) -> str:
        return (self._tokens[self._at][2] or "") if self._at < len(self._tokens) else ""

    def _level(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._one()
        value = self._level(level + 1)
        while self._operator() in _LEVELS[level]:
            operator = self._operator()
            self._at += 1
            value = _applied(operator, value, self._level(level + 1))
        return value

    def _one(self) -> int:
        self._depth += 1
        if self._depth > 20 or self._at >= len(self._tokens):
            raise ValueError
        number, name, operator, other = self._tokens[self._at]
        self._at += 1
        if other is not None:
            raise ValueError
        if number is not None:
            return int(number)
        if name is not None:
            return int(self._value_of(name) or "0")
        if operator == "(":
            value = self._level(0)
            if self._operator() != ")":
                raise ValueError
            self._at += 1
            return value
        if operator in ("-", "+", "!"):
            value = self._one()
            return -value if operator == "-" else int(not value) if operator == "!" else value
        raise ValueError


def _applied(operator: str, left: int, right: int) -> int:
    if operator in ("/", "%"):
        if right == 0:
            raise ValueError
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return quotient if operator == "/" else left - quotient * right
    value = {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "==": int(left == right),
        "!=": int(left != right),
        "<": int(left < right),
        ">": int(left > right),
        "<=": int(left <= right),
        ">=": int(left >= right),
        "&&": int(bool(left) and bool(right)),
        "||": int(bool(left) or bool(right)),
    }[operator]
    if abs(value) > 1 << 40:
        raise ValueError
    return value


_MODULO = re.compile(r"(?:.*[^%])?%\s*(\d{1,2})\s*\)?\s*", re.DOTALL)
_SAME = re.compile(rf"\s*\(?\s*({COUNT}|{NODE_COUNT})\s*\)?\s*(?:[*/]\s*1\s*)?|\s*1\s*\*\s*({COUNT}|{NODE_COUNT})\s*")


def arithmetic(text: str, value_of: Callable[[str], str]) -> tuple[str, ...]:
    """The values that an expression may have: one, all remainders of something unknown, or UNKNOWN.

    Args:
        text: with what stood behind a ``$`` expanded.
        value_of: a variable by its name.
    """
    named = re.sub(r"[A-Za-z_]\w*", lambda match: value_of(match[0]) or "0", text[:200], flags=re.ASCII)
    same = _SAME.fullmatch(named)
    if same is not None:
        return (same[1] or same[2],)
    try:
        return (str(_Sum(text, value_of).result()),)
    except ValueError:
        remainder = _MODULO.fullmatch(named)
        if remainder is not None and MARKS.search(named) and 0 < int(remainder[1]) <= 16:
            return tuple(str(number) for number in range(int(remainder[1])))
        return (UNKNOWN,)


def trimmed(value: str, operator: str, pattern: str) -> str:
    """``${value%pattern}`` and its like, where the pattern is text with a ``*`` at one end; else UNKNOWN."""
    star, text = pattern.count("*"), pattern.replace("*", "")
    if MARKS.search(pattern) or re.search(r"[\[\]?\\]", pattern) or star > 1:
        return UNKNOWN
    at_end = operator[0] == "%"
    if not star:
        if at_end:
            return value[: len(value) - len(text)] if text and value.endswith(text) else value
        return value[len(text) :] if value.startswith(text) else value
    if pattern == "*":
        return "" if len(operator) == 2 else value
    if at_end and pattern.endswith("*"):
        at = value.find(text) if len(operator) == 2 else value.rfind(text)
        return value if at < 0 else value[:at]
    if not at_end and pattern.startswith("*"):
        at = value.rfind(text) if len(operator) == 2 else value.find(text)
        return value if at < 0 else value[at + len(text) :]
    return UNKNOWN


def matches(value: str, pattern: str) -> bool | None:
    """Whether a value fits a ``case``'s pattern; None: nobody knows."""
    if pattern == "*":
        return True
    if MARKS.search(value) or MARKS.search(pattern) or "[" in pattern:
        return None
    pieces = pattern.split("*")
    if len(pieces) > 4 or "?" in pattern:
        return None
    if len(pieces) == 1:
        return value == pattern
    at = 0
    for number, piece in enumerate(pieces):
        if number == len(pieces) - 1:
            return len(value) - at >= len(piece) and value.endswith(piece)
        found = value.find(piece, at)
        if found < 0 or (number == 0 and found > 0):
            return False
        at = found + len(piece)
    return None


def braces(text: str) -> list[str]:
    """``{0..7}`` and ``a{1,2}`` as the words that they stand for."""
    found = re.fullmatch(r"([^{}]*)\{([^{}]*)\}([^{}]*)", text)
    if found is None:
        return [text]
    before, inner, behind = found.groups()
    steps = re.fullmatch(r"(-?\d{1,6})\.\.(-?\d{1,6})(?:\.\.(-?\d{1,4}))?", inner, re.ASCII)
    if steps is not None:
        numbers = sequence(int(steps[1]), int(steps[2]), int(steps[3] or 0))
        return [f"{before}{number}{behind}" for number in numbers]
    if "," in inner and before[-1:] != "$":
        return [before + one + behind for one in inner.split(",")[:64]]
    return [text]


def sequence(first: int, last: int, step: int = 0) -> list[int]:
    """From one number to another, 64 of them at most."""
    step = abs(step) or 1
    numbers = range(first, last + 1, step) if last >= first else range(first, last - 1, -step)
    return list(numbers[:64])
