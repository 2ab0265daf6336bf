"""Command files from the disk: what they say, or everything that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from gpu_queue.errors import BadCommandFile
from gpu_queue.experiments.commandfiles.blocks import Block, Mode, Parsed, Problem, mode_of
from gpu_queue.experiments.commandfiles.commands import parse_commands
from gpu_queue.experiments.handed import read_handed
from gpu_queue.spool.desk.sources import working_directory
from gpu_queue.texts import printable

FILE_MAX_BYTES = 4 << 20
PROBLEMS_MAX = 100
"""Of one file: more of them tell that it is no command file."""


@dataclass(frozen=True)
class CommandFile:
    """One that was read."""

    path: str
    """Without links: what it is known by."""
    place: str
    """As its user spells it, from the root: another host may know the place by that name only."""
    mode: Mode
    blocks: tuple[Block, ...]


def parse_command_file(
    path: str | os.PathLike[str], *, multi: bool | None = None
) -> list[tuple[list[str], int, float]]:
    """The blocks of a command file: ``[(commands, queue_id, memory_gb), …]``.

    Args:
        path: of the file; nothing of it is executed.
        multi: its blocks say how many GPUs they want (``read_command_file`` tells how many); None: as its name says.

    Raises:
        BadCommandFile: it cannot be read, or something is wrong with it; the message has a line for each problem.
    """
    return [
        (list(block.commands), block.queue, int(block.memory_gb) if block.memory_gb.is_integer() else block.memory_gb)
        for block in read_command_file(path, multi=multi)
    ]


def read_command_file(path: str | os.PathLike[str], *, multi: bool | None = None) -> tuple[Block, ...]:
    """The blocks of a command file, with their GPUs and lines.

    Args:
        path: of the file.
        multi: as in ``parse_command_file``.

    Raises:
        BadCommandFile: as in ``parse_command_file``.
    """
    mode = None if multi is None else Mode.MULTI if multi else Mode.SINGLE
    return read_command_files([os.fspath(path)], mode)[0].blocks


def read_command_files(paths: Iterable[str], mode: Mode | None = None) -> list[CommandFile]:
    """Read several; where something is wrong with one of them there are none.

    Args:
        paths: of the files.
        mode: of all of them; None: as their names say.

    Raises:
        BadCommandFile: with the problems of all of them.
    """
    found: list[CommandFile] = []
    problems: list[str] = []
    for path in paths:
        shown = printable(path)
        if not path or "\0" in path:
            problems.append(f"{shown!r}: expected the path of a command file")
            continue
        real = os.path.realpath(path)
        meant = mode or mode_of(os.path.basename(path))
        if any(one.path == real for one in found):
            problems.append(f"{shown}: expected each file once, found it twice")
            continue
        try:
            content = read_handed(real, "a command file", FILE_MAX_BYTES)
        except ValueError as problem:
            problems.append(f"{shown}: {problem}")
            continue
        text = content.decode("utf-8", "surrogateescape")
        parsed = parse_commands(text, meant, is_python=path.endswith(".py"))
        problems += _told(shown, parsed)
        found.append(
            CommandFile(real, os.path.normpath(os.path.join(working_directory(), path)), meant, parsed.blocks)
        )
    if problems:
        raise BadCommandFile(*problems)
    return found


def _told(shown: str, parsed: Parsed) -> list[str]:
    problems = parsed.problems
    if len(problems) > PROBLEMS_MAX:
        more = Problem(problems[PROBLEMS_MAX].line, f"and {len(problems) - PROBLEMS_MAX} more problems from here on")
        problems = (*problems[:PROBLEMS_MAX], more)
    return [f"{shown}:{one.line}: {one.text}" for one in problems]
