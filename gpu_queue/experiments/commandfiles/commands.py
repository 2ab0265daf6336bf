"""The parser of command files: one for all dialects of docs/experiments.md.  Pure; nothing of a file is executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gpu_queue.experiments.commandfiles import triples
from gpu_queue.experiments.commandfiles.blocks import Block, Dialect, Mode, Parsed, Problem, shown
from gpu_queue.experiments.commandfiles.numbers import (
    FULL_COMMA,
    gpus_of,
    is_last,
    is_number,
    memory_gb_of,
    queue_of,
    without_comment,
)

T = TypeVar("T")

_SEVERAL = "a block for several GPUs needs --multi, or a file called command_gpus.txt or command_gpus_1.txt"


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


def parse_commands(text: str, mode: Mode, *, is_python: bool = False) -> Parsed:
    """Read a command file.

    Args:
        text: its content.
        mode: for one GPU a block, or for several.
        is_python: it is a Python file; else it is taken for one where it begins with a list.

    Returns:
        Its blocks in their order, and everything that is wrong with it.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return Parsed((), (Problem(line, "expected text in UTF-8, found a NUL byte"),))
    if is_python or triples.begins_like_one(text):
        return triples.parse_triples(text, mode)
    problems: list[Problem] = []
    groups = list(_groups(text))
    found = [_Reader(group, mode, problems).block() for group in groups]
    if not groups:
        problems.append(Problem(1, "expected a block: commands, then a line queue,memory; found none"))
    return Parsed(tuple(filter(None, found)), tuple(sorted(problems, key=lambda one: one.line)))


def _groups(text: str) -> Iterator[list[_Line]]:
    """The lines of each block; an empty line ends one, and so does ``queue,memory``."""
    group: list[_Line] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = _Line(number, raw.strip())
        if line.text.startswith("#"):
            continue
        if line.text:
            group.append(line)
        if group and (not line.text or is_last(line.text)):
            yield group
            group = []
    if group:
        yield group


class _Reader:
    """One block on its way."""

    def __init__(self, lines: Sequence[_Line], mode: Mode, problems: list[Problem]) -> None:
        self._lines, self._mode, self._problems = lines, mode, problems
        self._fine = True

    def block(self) -> Block | None:
        """The block; None where something is wrong with it."""
        first, last = self._lines[0], self._lines[-1]
        if is_last(last.text):
            return self._queue_last(last)
        if is_number(first.text):
            return self._queue_first(first)
        if is_number(last.text):
            self._tell(
                first.number, f"expected the number of a queue in the block's first line, found {shown(first.text)}"
            )
        else:
            self._tell(last.number, f"expected queue,memory at the block's end, as in 1,20; found {shown(last.text)}")
        return None

    def _queue_last(self, last: _Line) -> Block | None:
        fields = [one.strip() for one in without_comment(last.text).replace(FULL_COMMA, ",").split(",")]
        expected = "queue,memory, as in 1,20" if self._mode is Mode.SINGLE else "queue,GPUs,memory, as in 1,2,20"
        if len(fields) != (2 if self._mode is Mode.SINGLE else 3):
            more = f"; {_SEVERAL}" if len(fields) == 3 else ""
            self._tell(last.number, f"expected {expected}, found {shown(last.text)}{more}")
            return None
        queue = self._number(last.number, queue_of, fields[0])
        gpus = self._number(last.number, gpus_of, fields[1]) if self._mode is Mode.MULTI else (1, 1)
        memory_gb = self._number(last.number, memory_gb_of, fields[-1])
        return self._made(self._lines[:-1], queue, gpus, memory_gb, Dialect.QUEUE_LAST)

    def _queue_first(self, first: _Line) -> Block | None:
        queue = self._number(first.number, queue_of, without_comment(first.text))
        rest = list(self._lines[1:])
        memory_gb: float | None = None
        gpus: tuple[int, int] | None = (1, 1)
        last = rest[-1] if rest else first
        if not rest or not is_number(last.text):
            self._tell(last.number, f"expected the memory in GB in the block's last line, found {shown(last.text)}")
        else:
            memory_gb = self._number(last.number, memory_gb_of, without_comment(last.text))
            rest.pop()
            if self._mode is Mode.MULTI:
                gpus = self._gpus(rest, last)
        return self._made(rest, queue, gpus, memory_gb, Dialect.QUEUE_FIRST)

    def _gpus(self, rest: list[_Line], memory: _Line) -> tuple[int, int] | None:
        if rest and is_number(rest[-1].text):
            line = rest.pop()
            return self._number(line.number, gpus_of, without_comment(line.text))
        self._tell(
            memory.number,
            "expected a line with the number of GPUs, as in 2 or 1-4, before the memory; with --single each has one",
        )
        return None

    def _made(
        self,
        lines: Sequence[_Line],
        queue: int | None,
        gpus: tuple[int, int] | None,
        memory_gb: float | None,
        dialect: Dialect,
    ) -> Block | None:
        numbers = [line for line in lines if is_number(line.text)]
        is_several = dialect is Dialect.QUEUE_FIRST and self._mode is Mode.SINGLE and numbers == [*lines[-1:]]
        read = (self._command(line, dialect, is_several=is_several) for line in lines)
        commands = [command for command in read if command is not None]
        if not lines and self._fine:
            self._tell(self._lines[-1].number, "expected commands in the block, found none")
        if not self._fine or queue is None or gpus is None or memory_gb is None:
            return None
        first, last = self._lines[0].number, self._lines[-1].number
        return Block(
            tuple(commands), queue, memory_gb, *gpus, first, last, tuple(line.number for line in lines), dialect
        )

    def _command(self, line: _Line, dialect: Dialect, *, is_several: bool) -> str | None:
        if is_number(line.text):
            advice = "an empty line ends a block"
            if dialect is Dialect.QUEUE_LAST:
                advice = "the queue stands in the block's last line"
            elif is_several:
                advice = _SEVERAL
            self._tell(line.number, f"expected a command, found the number {shown(line.text)}; {advice}")
            return None
        try:
            return unquoted(line.text)
        except ValueError as problem:
            self._tell(line.number, str(problem))
            return None

    def _number(self, line: int, read: Callable[[str], T], text: str) -> T | None:
        try:
            return read(text)
        except ValueError as problem:
            self._tell(line, str(problem))
            return None

    def _tell(self, line: int, text: str) -> None:
        self._fine = False
        self._problems.append(Problem(line, text))


def unquoted(line: str) -> str:
    r"""A command without the quotes that may stand around the whole of it; within ``"`` are ``\"`` and ``\\``.

    What only begins with a quoted word is a command as it is.

    Raises:
        ValueError: nobody can tell what is meant; the message says what was expected.
    """
    quote = line[0]
    if quote not in "\"'":
        if (len(line) - len(line.rstrip("\\"))) % 2:
            raise ValueError("expected the whole command in one line, found a backslash at its end")
        return line
    inside: list[str] = []
    position = 1
    while position < len(line) and line[position] != quote:
        if quote == '"' and line[position] == "\\" and line[position + 1 : position + 2] in ('"', "\\"):
            position += 1
        inside.append(line[position])
        position += 1
    if position == len(line):
        raise ValueError(f"expected a {quote} at the end of the command, found {shown(line)}")
    command, rest = "".join(inside), line[position + 1 :].strip()
    if not rest or (rest.startswith("#") and line[position + 1].isspace()):
        if not command.strip():
            raise ValueError(f"expected a command between the quotes, found {shown(line)}")
        return command
    if rest.endswith(quote):
        escaped = '\\"' if quote == '"' else "other quotes"
        raise ValueError(
            f"expected a command without quotes around it, or with {escaped} within them, found {shown(line)}"
        )
    return line
