"""Commands as a list in Python: ``[(["command", …], queue, memory), …]``.  It is parsed, never executed.  Pure."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import TypeVar

from gpu_queue.experiments.commandfiles.blocks import Block, Dialect, Mode, Parsed, Problem
from gpu_queue.experiments.commandfiles.numbers import gpus_of, memory_gb_of, queue_of

T = TypeVar("T")

NAME = "command_tasks"
_BEGINS = re.compile(
    r"(?:\s|#[^\n]*\n)*(?:[A-Za-z_]\w*\s*(?::[^=\n]*)?=\s*)?\[\s*(?:#[^\n]*\n\s*)*(?:\(|\]\s*\Z)", re.ASCII
)


def begins_like_one(text: str) -> bool:
    """Whether it is a list of tuples in Python, with or without a name, and no shell."""
    return _BEGINS.match(text) is not None


def parse_triples(text: str, mode: Mode) -> Parsed:
    """Read the list that is called ``command_tasks``, else the first one of tuples.

    Args:
        text: a Python file.
        mode: for one GPU each, or for several, with their number before the memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a text: it is the shell's
            tree = ast.parse(text)
    except SyntaxError as error:
        return Parsed((), (Problem(error.lineno or 1, f"expected a list in Python: {error.msg}"),))
    except (ValueError, RecursionError, MemoryError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        return Parsed((), (Problem(1, f"expected a list in Python: {why}"),))
    found = _list_of(tree)
    if found is None:
        return Parsed((), (Problem(1, f'expected a list {NAME} = [(["command"], queue, memory), …], found none'),))
    problems: list[Problem] = []
    blocks = [_Reader(element, mode, problems).block() for element in found.elts]
    if not found.elts:
        problems.append(Problem(found.lineno, 'expected (["command"], queue, memory), found an empty list'))
    return Parsed(tuple(filter(None, blocks)), tuple(sorted(problems, key=lambda one: one.line)))


def _list_of(tree: ast.Module) -> ast.List | None:
    lists: list[tuple[bool, ast.List]] = []
    for statement in tree.body:
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) else None
        if not isinstance(value, ast.List):
            continue
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        is_named = any(isinstance(one, ast.Name) and one.id == NAME for one in targets)
        if is_named or not value.elts or isinstance(value.elts[0], ast.Tuple):
            lists.append((is_named, value))
    named = [value for is_named, value in lists if is_named]
    return named[-1] if named else lists[0][1] if lists else None


class _Reader:
    """One tuple on its way."""

    def __init__(self, element: ast.expr, mode: Mode, problems: list[Problem]) -> None:
        self._element, self._mode, self._problems = element, mode, problems
        self._fine = True

    def block(self) -> Block | None:
        """The block; None where something is wrong with it."""
        element, multi = self._element, self._mode is Mode.MULTI
        form = '(["command"], queue, GPUs, memory)' if multi else '(["command"], queue, memory)'
        if not isinstance(element, ast.Tuple) or len(element.elts) != (4 if multi else 3):
            more = "; with a number of GPUs it needs --multi" if _count(element) == 4 else ""
            self._tell(element, f"expected {form}{more}")
            return None
        commands, lines = self._commands(element.elts[0])
        queue = self._number(element.elts[1], queue_of)
        gpus = self._number(element.elts[2], gpus_of) if multi else (1, 1)
        memory_gb = self._number(element.elts[-1], memory_gb_of)
        if not self._fine or queue is None or gpus is None or memory_gb is None:
            return None
        last = element.end_lineno or element.lineno
        return Block(commands, queue, memory_gb, *gpus, element.lineno, last, lines, Dialect.PYTHON)

    def _commands(self, given: ast.expr) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if not isinstance(given, (ast.List, ast.Tuple)) or not given.elts:
            self._tell(given, "expected a list of commands")
            return (), ()
        for one in given.elts:
            if not isinstance(one, ast.Constant) or not isinstance(one.value, str):
                self._tell(one, "expected a command as a plain text: nothing in a file is executed by loading it")
            elif not one.value.strip() or "\0" in one.value:
                self._tell(one, "expected a command, found an empty text or one with a NUL")
            elif any("\ud800" <= char <= "\udfff" for char in one.value):
                self._tell(one, "expected a command, found what is no character")
        texts = [one for one in given.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return tuple(str(one.value) for one in texts), tuple(one.lineno for one in texts)

    def _number(self, given: ast.expr, read: Callable[[str], T]) -> T | None:
        value = given.value if isinstance(given, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            self._tell(given, "expected a number that is written out")
            return None
        try:
            return read(str(value))
        except ValueError as problem:
            self._tell(given, str(problem))
            return None

    def _tell(self, where: ast.expr, text: str) -> None:
        self._fine = False
        self._problems.append(Problem(where.lineno, text))


def _count(element: ast.expr) -> int:
    return len(element.elts) if isinstance(element, ast.Tuple) else 0
