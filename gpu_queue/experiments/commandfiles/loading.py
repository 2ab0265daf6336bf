"""Loading command files: what is to be queued, what is taken out for it, and both of it done.

- All files are read, and all scripts looked at, before anything is changed.
- What is taken out goes first: of a changed block the old task must not start beside the new one.  A crash in between
  leaves cancelled tasks, which count for nothing, so that loading once more completes it.
- A task that starts at that moment is no longer taken out; then everything is compared anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpu_queue.errors import SpoolError
from gpu_queue.experiments.commandfiles.batches import Piece, pieces_of, stem_of, work_dir_of
from gpu_queue.experiments.commandfiles.comparing import Comparison, Known, compare
from gpu_queue.experiments.commandfiles.reading import CommandFile
from gpu_queue.experiments.commandfiles.workplaces import Workplace
from gpu_queue.spool.desk import entrance, publishing
from gpu_queue.spool.desk.find import LIFE, Finder, Task, latest, look
from gpu_queue.spool.desk.publishing import Options
from gpu_queue.spool.desk.steering import cancel
from gpu_queue.spool.paths import SpoolPaths, safe_name
from gpu_queue.spool.records import read_submission, read_tries
from gpu_queue.task import State, was_put_away

ROUNDS = 3


@dataclass(frozen=True)
class Load:
    """Files that are to be loaded, and how."""

    files: tuple[CommandFile, ...]
    work_dir: str | None = None
    """Where commands run; None: as a config.yaml says, else in the parent of the directory that holds the file."""
    said: Mapping[str, Workplace] = field(default_factory=dict)
    """What config.yaml says of each file, by its path."""
    shares_queues: bool = False
    again: bool = False
    snapshot: bool = False
    """They run in a copy of the working tree that they would run in."""

    def work_dir_of(self, file: CommandFile) -> str:
        """Where the commands of one of them run."""
        said = self.said[file.path].work_dir if file.path in self.said else None
        return work_dir_of(file.place, self.work_dir if self.work_dir is not None else said)

    def pieces(self, file: CommandFile) -> list[Piece]:
        """The blocks of one of them, as tasks."""
        work_dir = self.work_dir_of(file)
        return pieces_of(file, work_dir, shares_queues=self.shares_queues, snapshot=self.snapshot)


@dataclass(frozen=True)
class Loaded:
    """What came of it, or would."""

    comparisons: tuple[Comparison, ...]
    """Of each file."""
    tasks: tuple[Task, ...] = ()
    """What was queued, in the order of the files; none in a dry run."""

    @property
    def published(self) -> list[Piece]:
        """What is queued."""
        return [piece for one in self.comparisons for piece in one.published]


def plan(paths: SpoolPaths, load: Load, taken: Sequence[Known] = ()) -> Loaded:
    """What loading would do.

    Args:
        paths: of the spool.
        load: what is to be loaded.
        taken: what was taken out for it already.

    Raises:
        BadScript: a block can never run.
        SpoolError: the spool cannot be used or listed.
    """
    known = _known(paths, load.files) if entrance.is_made(paths) else {}
    compared = []
    for file in load.files:
        own = [one for one in taken if one.batch.file == file.path]
        compared.append(compare(load.pieces(file), known.get(file.path, []), own, again=load.again))
    loaded = Loaded(tuple(compared))
    publishing.prepare(Finder(paths), [piece.script for piece in loaded.published], Options(), lambda: 1)
    return loaded


def load_files(paths: SpoolPaths, load: Load) -> Loaded:
    """Queue what is new of the files, in their order, all at once.

    Raises:
        BadScript: a block can never run; nothing was changed.
        NotPublished: the storage did not take all.
        SpoolError: the spool cannot be used or listed, or what waits cannot be taken out.
    """
    planned = plan(paths, load)
    taken: list[Known] = []
    for _ in range(ROUNDS):
        due = [one for compared in planned.comparisons for one in compared.cancelled if one not in taken]
        outcomes = [(one, cancel(paths, one.task)) for one in due]
        taken += [one for one, outcome in outcomes if outcome]
        refusals = [outcome for _, outcome in outcomes if not outcome]
        if not refusals:
            break
        planned = plan(paths, load, taken)
    else:
        raise SpoolError(f"{refusals[0]}; load it again")
    tasks = entrance.submit(paths, [piece.script for piece in planned.published], Options())
    return Loaded(planned.comparisons, tasks)


def _known(paths: SpoolPaths, files: Sequence[CommandFile]) -> dict[str, list[Known]]:
    """The tasks that earlier loads of these files made, but for those that were cancelled before they ran."""
    begins = tuple(safe_name(os.fsencode(f"{stem_of(file.path)}-")) for file in files)
    wanted = {file.path for file in files}
    found: dict[str, list[Known]] = {}
    named = [task for state in LIFE for task in look(paths, state) if task.plain_title.startswith(begins)]
    for task in latest(named):
        if task.id is None:
            continue
        try:
            submission = read_submission(paths, task.id, None)
            was_cancelled = task.state is State.FAILED and was_put_away(read_tries(paths, task.id))
        except OSError as error:
            raise SpoolError(f"{paths.record(task.id)}: {error.strerror}; try again") from error
        if submission.batch is not None and submission.batch.file in wanted and not was_cancelled:
            queue = submission.needs.get("queue")
            one = Known(task, submission.batch, queue if isinstance(queue, str) else "")
            found.setdefault(submission.batch.file, []).append(one)
    return found
