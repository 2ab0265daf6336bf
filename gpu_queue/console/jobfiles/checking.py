"""What the text of a job file says, by the parsers that load it; what is wrong with it, with lines.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gpu_queue.console.jobfiles.boundlogs import BoundLog, path_at
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.jobfiles import TREE_TASKS_MAX, FileProblem, TreeQueue, TreeTask
from gpu_queue.errors import BadExperimentFile
from gpu_queue.experiments.commandfiles.batches import Piece, pieces_of
from gpu_queue.experiments.commandfiles.blocks import Block, Mode
from gpu_queue.experiments.commandfiles.commands import parse_commands
from gpu_queue.experiments.commandfiles.reading import CommandFile
from gpu_queue.experiments.specs.expanding import Surroundings
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.experiments.specs.parsing import parse_experiment
from gpu_queue.spool.jobfiles import JobFile
from gpu_queue.units import parse_size_bytes

PROBLEMS_MAX = 100
COMMAND_MAX = 2000
"""Characters of a line of a run's script that are shown."""
COMMANDS_MAX = 50
"""Lines of it."""
_PLACED = re.compile(r"(\d+):(\d+): (.*)", re.DOTALL)
_SHOWN = "f"


@dataclass(frozen=True)
class Where:
    """Where a file lies, and where its commands run."""

    path: str
    """Of the file, without links."""
    work_dir: str
    home: str


@dataclass(frozen=True)
class Read:
    """A text, as far as it could be read."""

    problems: tuple[FileProblem, ...] = ()
    """In the order of their lines; where there is one, nothing of it is to be loaded."""
    file: CommandFile | None = None
    work_dir: str = "/"
    """Where its commands run."""
    experiment: Experiment | None = None
    """Of an experiment file; None: it could not be read."""

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Of a command file: its blocks as tasks; made when somebody asks, for a list does not."""
        return () if self.file is None else tuple(pieces_of(self.file, self.work_dir, shares_queues=False))

    @property
    def _blocks(self) -> tuple[Block, ...]:
        return () if self.file is None else self.file.blocks

    @property
    def tasks(self) -> int:
        """How many there are."""
        return len(self._blocks) + (0 if self.experiment is None else len(self.experiment.runs))

    @property
    def gpus(self) -> int:
        """So many GPUs its largest task needs at least."""
        runs = () if self.experiment is None else self.experiment.runs
        return max([1, *(one.gpus_min for one in self._blocks), *(_least(one.gpus) for one in runs)])

    @property
    def queues(self) -> int:
        """How many serial queues they are in."""
        runs = () if self.experiment is None else self.experiment.runs
        return len({one.queue for one in self._blocks}) + len({one.queue for one in runs if one.queue is not None})


def _least(gpus: str | None) -> int:
    """How many GPUs a run needs at least, as far as that is a number."""
    text = (gpus or "1").partition("-")[0].strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1


def read(which: JobFile, content: bytes, where: Where) -> Read:
    """What a text says.

    Args:
        which: file it is, or is to be.
        content: of it.
        where: it lies.
    """
    if which.mode == "yaml":
        return _read_experiment(which, content, where)
    mode = Mode.MULTI if which.mode == "multi" else Mode.SINGLE
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = f"0x{content[error.start]:02x}"
        return Read((FileProblem(line=line, code="encoding", text=f"expected text in UTF-8, found the byte {byte}"),))
    parsed = parse_commands(content.decode(), mode)
    found = [FileProblem(line=one.line, code="parse", text=text_of(one.text, 1000)) for one in parsed.problems]
    file = CommandFile(where.path, where.path, mode, parsed.blocks)
    return Read(_bounded(found), file, where.work_dir)


def _read_experiment(which: JobFile, content: bytes, where: Where) -> Read:
    around = Surroundings(where.work_dir, which.name, where.home)
    try:
        runs = parse_experiment(content, around, _SHOWN)
    except BadExperimentFile as error:
        return Read(tuple(map(_placed, error.problems)))
    return Read((), experiment=Experiment(where.path, where.path, runs))


def _placed(text: str) -> FileProblem:
    """A line of the reader's, ``f:9:11: gpus: expected …``."""
    found = _PLACED.fullmatch(text.removeprefix(f"{_SHOWN}:"))
    if found is None:
        return FileProblem(line=0, code="parse", text=text_of(text, 1000))
    said = text_of(found[3], 1000)
    code = "encoding" if said.startswith("expected UTF-8") else "parse"
    return FileProblem(line=int(found[1]), column=int(found[2]), code=code, text=said)


def _bounded(found: Sequence[FileProblem]) -> tuple[FileProblem, ...]:
    if len(found) <= PROBLEMS_MAX:
        return tuple(found)
    more = f"and {len(found) - PROBLEMS_MAX} more problems from here on"
    return (*found[:PROBLEMS_MAX], FileProblem(line=found[PROBLEMS_MAX].line, code="parse", text=more))


# -- queues and their tasks -----------------------------------------------------------------------------------------


def tree_of(found: Read, tasks_max: int = TREE_TASKS_MAX) -> list[TreeQueue]:
    """The queues of a file in the order in which they appear, each with its tasks; tasks of none come last."""
    if found.experiment is not None:
        return _tree_of_runs(found.experiment.runs, tasks_max)
    lines: dict[str, list[Piece]] = {}
    for piece in found.pieces:
        lines.setdefault(piece.queue, []).append(piece)
    left, made = tasks_max, []
    for name, pieces in lines.items():
        shown = pieces[:left]
        left -= len(shown)
        made.append(
            TreeQueue(
                queue=str(pieces[0].block.queue),
                name=text_of(name),
                tasks=[_task_of(piece) for piece in shown],
                left_out=len(pieces) - len(shown),
            )
        )
    return made


def with_logs(tree: list[TreeQueue], bound: Sequence[BoundLog]) -> list[TreeQueue]:
    """Queues with what is bound to their places."""
    if not bound:
        return tree
    return [
        one.model_copy(
            update={
                "tasks": [
                    task.model_copy(update={"bound_log": text_of(path_at(bound, one.queue, task.position), 4096)})
                    for task in one.tasks
                ]
            }
        )
        for one in tree
    ]


def _task_of(piece: Piece) -> TreeTask:
    block = piece.block
    return TreeTask(
        position=piece.batch.position,
        title=text_of(piece.title),
        commands=list(block.commands),  # whole: who writes queues takes them from here
        gpus=block.gpus,
        memory_gb=block.memory_gb or None,
        line=block.first_line,
        last_line=block.last_line,
    )


def _tree_of_runs(runs: Sequence[Run], left: int) -> list[TreeQueue]:
    lines: dict[str | None, list[tuple[int, Run]]] = {}
    for at, run in enumerate(runs):
        lines.setdefault(run.queue, []).append((at, run))
    made = []
    for name in [*(one for one in lines if one is not None), *([None] if None in lines else [])]:
        shown = lines[name][:left]
        left -= len(shown)
        tasks = [_task_of_run(at, run) for at, run in shown]
        queue = None if name is None else text_of(name)
        made.append(TreeQueue(queue=queue, name=queue or "", tasks=tasks, left_out=len(lines[name]) - len(shown)))
    return made


def _task_of_run(at: int, run: Run) -> TreeTask:
    return TreeTask(
        position=at,
        title=text_of(run.name),
        commands=[text_of(one, COMMAND_MAX) for one in _doing(run.script)[:COMMANDS_MAX]],
        gpus=run.gpus or "",
        memory_gb=_gb(run.memory),
        line=run.place.line,
        last_line=run.place.line,
    )


def _doing(script: str) -> list[str]:
    """The lines of a script that are no comments."""
    return [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _gb(memory: str | None) -> float | None:
    try:
        return None if memory is None else round(parse_size_bytes(memory) / (1 << 30), 3)
    except ValueError:
        return None
