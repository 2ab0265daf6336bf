"""Loading a job file: what that does, said beforehand, and done.  It blocks on shared storage.

The same rules as ``gpu-queue load``: what was loaded before and is unchanged is not queued twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_queue.console.jobfiles.boundlogs import path_at
from gpu_queue.console.jobfiles.checking import Read
from gpu_queue.console.jobfiles.ledgers import Loads
from gpu_queue.console.jobfiles.shelf import Changed, Shelf
from gpu_queue.console.jobfiles.telling import sentence
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.logs.bindings import Bound, bind
from gpu_queue.console.models.jobfiles import (
    TREE_TASKS_MAX,
    FileProblem,
    LoadTaken,
    LoadTask,
    PlannedLoad,
    WorkDir,
)
from gpu_queue.console.schedulers.grouping import load_pid
from gpu_queue.errors import BadExperimentFile, BadScript
from gpu_queue.experiments.commandfiles import loading
from gpu_queue.experiments.commandfiles.batches import Piece
from gpu_queue.experiments.commandfiles.comparing import Comparison
from gpu_queue.experiments.commandfiles.reading import CommandFile
from gpu_queue.experiments.courtesy import alone
from gpu_queue.experiments.plans import Plan
from gpu_queue.experiments.queueing import load_experiment, plan_experiment
from gpu_queue.experiments.specs.nouns import Experiment
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.people import me
from gpu_queue.spool.desk.publishing import Options
from gpu_queue.spool.jobfiles import JobFile
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

TAKEN_SHOWN_MAX = 200
QUEUED = ("new", "changed", "again", "moved", "retried")
"""News of what is queued."""
UNFINISHED = ("waits", "runs", "moved", "later")
"""News of what is still to be done of an earlier load."""
_PLACED = re.compile(r"(\d+):(\d+): (.*)", re.DOTALL)


class BadFile(ValueError):
    """Something is wrong with a file, so that it cannot be loaded."""

    def __init__(self, which: JobFile, problems: Sequence[FileProblem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.which = which
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Wish:
    """What somebody wants."""

    which: JobFile
    again: bool = False
    work_dir: str | None = None


@dataclass(frozen=True)
class Order:
    """What is to be loaded, as it was when that was said."""

    which: JobFile
    etag: str
    work_dir: WorkDir
    directory: str
    """Where commands run, as the storage spells it."""
    again: bool
    gpus: tuple[int, ...] = (1,)
    """For so many GPUs an agent is asked for: the first number that it can be started with."""
    starts_agent: bool = False


@dataclass(frozen=True)
class Done:
    """What was done."""

    queued: tuple[Task, ...]
    taken: tuple[Task, ...]
    """Waiting ones that were taken out, as they were before."""
    notes: tuple[str, ...] = ()
    places: tuple[tuple[str | None, int], ...] = ()
    """Of what was queued: its queue as the file calls it, and its position there."""


def plan(shelf: Shelf, wish: Wish, agents: int, *, starts_agents: bool) -> tuple[PlannedLoad, Order]:
    """What loading a file would do; nothing is changed.

    Args:
        shelf: of the queue.
        wish: what is wanted.
        agents: so many serve the queue now.
        starts_agents: the console starts one where none does.

    Raises:
        FileNotFoundError: it is not there.
        CannotUse: it cannot be read, or nobody knows where its commands would run.
        BadFile: something is wrong with it.
        GpuQueueError: the queue cannot be used.
    """
    text = shelf.text(wish.which)
    found_dir, directory = shelf.work_dir(wish.which, wish.work_dir)
    read = shelf.parsed(wish.which, text.content, directory)
    if read.problems:
        raise BadFile(wish.which, read.problems)
    if read.experiment is not None:
        tasks, taken, gone = _plan_experiment(shelf.paths, wish, read.experiment)
    else:
        tasks, taken, gone = _plan_commands(shelf.paths, wish, read, directory)
    counts: dict[str, int] = dict(Counter(one.news for one in tasks))
    starts = starts_agents and agents == 0
    told = PlannedLoad(
        mode=wish.which.mode,
        index=wish.which.index if isinstance(wish.which.index, int) else key_of(wish.which.index),
        file=text_of(wish.which.name, 400),
        etag=text.etag,
        again=wish.again,
        pid=load_pid(shelf.path_of(wish.which)),
        work_dir=found_dir,
        counts=counts,
        queues=read.queues,
        tasks=tasks[:TREE_TASKS_MAX],
        taken=taken[:TAKEN_SHOWN_MAX],
        taken_count=len(taken),
        gone=gone,
        starts_agent=starts,
        agents=agents,
        text=sentence(counts, read.queues, len(taken), found_dir, starts_agent=starts, agents=agents),
    )
    # The agent also serves what is loaded from other files later, if this machine has so many.
    gpus = max([read.gpus, *(one.gpus for one in shelf.listed()[0])]) if starts else 1
    counts_to_try = tuple(dict.fromkeys((gpus, read.gpus)))
    return told, Order(wish.which, text.etag, found_dir, directory, wish.again, counts_to_try, starts)


def queued_of(counts: dict[str, int]) -> int:
    """How many tasks are queued."""
    return sum(counts.get(news, 0) for news in QUEUED)


def _plan_commands(
    paths: SpoolPaths, wish: Wish, read: Read, directory: str
) -> tuple[list[LoadTask], list[LoadTaken], int]:
    assert read.file is not None
    load = loading.Load((read.file,), directory, again=wish.again)
    try:
        (compared,) = loading.plan(paths, load).comparisons
    except BadScript as error:
        raise BadFile(wish.which, _never_run(paths, read.pieces) or [_whole(str(error))]) from error
    tasks = [
        LoadTask.model_validate(
            {
                "position": piece.batch.position,
                "title": text_of(piece.title),
                "queue": text_of(piece.queue),
                "line": piece.block.first_line,
                "news": news.value,
            }
        )
        for piece, news in compared.news
    ]
    taken = [_taken(one.task, is_gone=one in compared.gone) for one in compared.cancelled]
    return tasks, taken, len([one for one in compared.gone if one not in compared.cancelled])


def _never_run(paths: SpoolPaths, pieces: Sequence[Piece]) -> list[FileProblem]:
    """Which of them can never run."""
    found = []
    for piece in pieces[:1000]:
        try:
            entrance.look_at(paths, [piece.script], Options())
        except BadScript as error:
            text = text_of(str(error), 1000)
            found.append(FileProblem(line=piece.block.first_line, code="never_runs", text=text))
    return found[:100]


def _whole(text: str) -> FileProblem:
    return FileProblem(line=0, code="never_runs", text=text_of(text, 1000))


def _plan_experiment(
    paths: SpoolPaths, wish: Wish, experiment: Experiment
) -> tuple[list[LoadTask], list[LoadTaken], int]:
    try:
        made = plan_experiment(paths, experiment, again=wish.again)
    except BadExperimentFile as error:
        raise BadFile(wish.which, [_placed(one, experiment.place) for one in error.problems]) from error
    tasks = [
        LoadTask.model_validate(
            {
                "position": at,
                "title": text_of(one.run.name),
                "queue": None if one.run.queue is None else text_of(one.run.queue),
                "line": one.run.place.line,
                "news": one.news.value,
                "key": "" if one.member is None else key_of(one.member.id),
            }
        )
        for at, one in enumerate(made.items)
    ]
    gone = {one.id for one in made.gone}
    taken = [_taken(one.task, is_gone=one.id in gone) for one in made.cancelled]
    return tasks, taken, len(gone - {one.id for one in made.cancelled}) + len(made.past)


def _placed(text: str, place: str) -> FileProblem:
    found = _PLACED.fullmatch(text.removeprefix(f"{printable(place)}:"))
    if found is None:
        return _whole(text.removeprefix(f"{printable(place)}: "))
    said = text_of(found[3], 1000)
    return FileProblem(line=int(found[1]), column=int(found[2]), code="never_runs", text=said)


def _taken(task: Task, *, is_gone: bool) -> LoadTaken:
    return LoadTaken(key=key_of(task.id or task.name), title=text_of(task.plain_title), is_gone=is_gone)


# -- doing it -------------------------------------------------------------------------------------------------------


def load(shelf: Shelf, order: Order, now_s: float) -> Done:
    """Load a file, if it still says what it said.

    Args:
        shelf: of the queue.
        order: what is to be loaded.
        now_s: epoch seconds.

    Raises:
        Changed: the file was changed since that was said.
        BadFile: something is wrong with it.
        NotPublished: the storage did not take all.
        GpuQueueError: the queue cannot be used.
        OSError: the storage failed.
    """
    text = shelf.text(order.which)
    if text.etag != order.etag:
        raise Changed(text.etag)
    read = shelf.parsed(order.which, text.content, order.directory)
    if read.problems:
        raise BadFile(order.which, read.problems)
    if read.experiment is not None:
        done = _load_experiment(shelf.paths, read.experiment, again=order.again)
    else:
        assert read.file is not None
        done = _load_commands(shelf.paths, read.file, order)
    return replace(done, notes=(*done.notes, *_noted(shelf, order, done, now_s), *_bound(shelf, order, done, now_s)))


def _load_commands(paths: SpoolPaths, file: CommandFile, order: Order) -> Done:
    with alone(paths.root):
        loaded = loading.load_files(paths, loading.Load((file,), order.directory, again=order.again))
    compared: Comparison = loaded.comparisons[0]
    notes = dict.fromkeys(note for task in loaded.tasks for note in task.notes)
    places = tuple((str(piece.block.queue), piece.batch.position) for piece in compared.published)
    return Done(loaded.tasks, tuple(one.task for one in compared.cancelled), tuple(notes), places)


def _load_experiment(paths: SpoolPaths, experiment: Experiment, *, again: bool) -> Done:
    loaded = load_experiment(paths, experiment, again=again)
    made: Plan = loaded.plan
    notes = (*loaded.notes, *(f"{one.part.name} runs as it was" for one in made.outdated))
    at = {run.name: position for position, run in enumerate(experiment.runs)}
    places = tuple((run.queue, at.get(run.name, -1)) for run, _ in loaded.queued)
    return Done(tuple(task for _, task in loaded.queued), tuple(one.task for one in loaded.cancelled), notes, places)


def _noted(shelf: Shelf, order: Order, done: Done, now_s: float) -> tuple[str, ...]:
    """What was loaded is noted, so that the list can tell what became of it; that it cannot be is no fault."""
    ids = [task.id for task in done.queued if task.id is not None]
    out = {task.id for task in done.taken}
    try:
        shelf.note_load(order.which, lambda before: _joined(before, ids, out, now_s))
    except OSError as error:
        return (f"what was loaded could not be noted: {error.strerror or error}",)
    return ()


def _bound(shelf: Shelf, order: Order, done: Done, now_s: float) -> tuple[str, ...]:
    """Logs that are bound to places of the file are bound to the new tasks; that they cannot be is no fault."""
    try:
        known = shelf.bound(order.which)
        for task, (queue, position) in zip(done.queued, done.places, strict=False) if known else ():
            path = path_at(known, queue, position)
            if path and task.id is not None:
                bind(shelf.paths, Bound(task.id, path), now_s)
    except OSError as error:
        return (f"logs could not be bound to the new tasks: {error.strerror or error}",)
    return ()


def _joined(before: Loads, ids: Sequence[str], out: set[str | None], now_s: float) -> Loads:
    kept = [one for one in before.ids if one not in out]
    return Loads(now_s, me()[0], tuple(dict.fromkeys([*kept, *ids])))
