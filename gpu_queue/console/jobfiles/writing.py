"""Queues and their processes as the text of a command file, as the document of its users writes one.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_queue.console.models.jobfiles import FileProblem
from gpu_queue.console.models.seed import QueueIn
from gpu_queue.experiments.commandfiles.blocks import Mode, shown
from gpu_queue.experiments.commandfiles.commands import parse_commands
from gpu_queue.experiments.commandfiles.numbers import gpus_of, is_last, is_number
from gpu_queue.spool.jobfiles import JobMode

Block = tuple[int, tuple[str, ...], tuple[int, int], float]


class CannotWrite(ValueError):
    """What no command file can say; a problem for each."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__("; ".join(one.text for one in problems))
        self.problems = tuple(problems)


def text_of_queues(mode: JobMode, queues: Sequence[QueueIn]) -> str:
    """A text that reads back to the same.

    Args:
        mode: ``single`` or ``multi``.
        queues: in their order, each with its processes.

    Raises:
        CannotWrite: a command cannot stand in a line, a number is none.
    """
    problems: list[FileProblem] = []
    meant: list[Block] = []
    parts = [
        "# queue\n# command\n# number of GPUs\n# memory of each in GB\n"
        if mode == "multi"
        else "# queue\n# command\n# memory in GB\n"
    ]
    for queue in queues:
        for at, process in enumerate(queue.processes):
            place = f"queues: queue {queue.queue}, process {at + 1}"
            commands = process.commands if process.commands is not None else [process.command or ""]
            gpus = (1, 1)
            if mode == "multi" or process.gpus not in (None, "1", 1):
                try:
                    gpus = gpus_of(str(1 if process.gpus is None else process.gpus))
                except ValueError as error:
                    problems.append(_problem(f"{place}: gpus: {error}"))
            if mode == "single" and gpus != (1, 1):
                problems.append(
                    _problem(f"{place}: gpus: expected 1 in mode single, found {shown(str(process.gpus))}")
                )
            wrong = [why for one in commands if (why := _why_no_line(one))]
            problems += [_problem(f"{place}: {why}") for why in wrong]
            if not commands:
                problems.append(_problem(f"{place}: expected a command, found none"))
            if wrong:
                continue
            memory = 0.0 if process.memory_gb is None else process.memory_gb
            written = f"{memory:f}".rstrip("0").rstrip(".")
            meant.append((queue.queue, tuple(one.strip() for one in commands), gpus, float(written)))
            lines = [str(queue.queue), *map(_line, commands)]
            if mode == "multi":
                lines.append(str(gpus[0]) if gpus[0] == gpus[1] else f"{gpus[0]}-{gpus[1]}")
            parts.append("\n".join([*lines, written]) + "\n")
    if problems:
        raise CannotWrite(problems)
    text = "\n".join(parts)
    parsed = parse_commands(text, Mode.MULTI if mode == "multi" else Mode.SINGLE)
    read = [(one.queue, one.commands, (one.gpus_min, one.gpus_max), one.memory_gb) for one in parsed.blocks]
    if meant and (parsed.problems or read != meant):
        told = [FileProblem(line=one.line, code="parse", text=one.text) for one in parsed.problems]
        raise CannotWrite(told or [_problem("these queues cannot be written as a command file that says the same")])
    return text


def _problem(text: str) -> FileProblem:
    return FileProblem(line=0, code="queues", text=text)


def _why_no_line(command: str) -> str:
    if not command.strip():
        return "expected a command, found none"
    if any(one in command for one in "\n\r\0"):
        return f"expected a command of one line, found {shown(command)}"
    return ""


def _line(command: str) -> str:
    """A command as a line that reads back as it; in quotes where it would be taken for something else."""
    command = command.strip()
    looks_odd = command[0] in "\"'#[" or command.endswith("\\") or is_number(command) or is_last(command)
    if not looks_odd:
        return command
    return '"' + command.replace("\\", "\\\\").replace('"', '\\"') + '"'
