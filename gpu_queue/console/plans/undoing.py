"""Undoing what a plan has done, where the spool can and nobody has changed the same since; it blocks like its run."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_queue.console.models.common import Note
from gpu_queue.console.plans import rewriting
from gpu_queue.console.plans.nouns import FLAGS, Made
from gpu_queue.console.plans.progress import Moved, Progress
from gpu_queue.console.sentences import note
from gpu_queue.errors import GpuQueueError
from gpu_queue.spool import files
from gpu_queue.spool.desk import bulk, entrance, steering
from gpu_queue.spool.desk.find import Task, look
from gpu_queue.spool.desk.steering import Outcome, What
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State


def count(made: Made, moved: Moved) -> int:
    """How many things there are to undo at most."""
    if made.request.action in ("submit", "load"):
        return len(moved.submitted) + len(moved.tasks)
    if made.request.action in FLAGS or made.request.action == "policy":
        return 1
    if made.request.action in ("cancel", "stop"):
        return len(made.restorable(moved.tasks)) + sum(one.key not in made.lost for one in made.dependents)
    return len(moved.tasks)


def undo(paths: SpoolPaths, made: Made, moved: Moved, progress: Progress) -> Note | None:
    """Undo what was done; returns why it did not come to its end.

    Args:
        paths: of the spool.
        made: the plan.
        moved: what its run has done.
        progress: hears of all of it.
    """
    try:
        entrance.enter(paths)
        _undo(paths, made, moved, progress)
    except (GpuQueueError, OSError) as error:
        return note("cut_short", problem=str(error))
    return None


def _undo(paths: SpoolPaths, made: Made, moved: Moved, progress: Progress) -> None:
    action = made.request.action
    if action in FLAGS:
        _flags(paths, made, moved, progress)
    elif action == "policy":
        assert made.policy is not None
        rewriting.put_back(paths, made.policy, progress)
    elif action in ("cancel", "stop"):
        _wait_again(paths, made, moved, progress)
    elif action == "retry":
        tasks = [Task(State.PENDING, name) for _, name in moved.tasks]
        bulk.cancel_these(paths, _still_named(paths, tasks, progress), progress.told)
    elif action == "submit":
        tasks = [Task(State.PENDING, name) for name in moved.submitted]
        bulk.cancel_these(paths, tasks, progress.told)
    elif action == "load":
        _unload(paths, moved, progress)
    else:
        old = {Task(State.PENDING, name): before.priority for before, name in moved.tasks}
        bulk.set_priorities_of(paths, old, progress.told, only_as_seen=True)


def _flags(paths: SpoolPaths, made: Made, moved: Moved, progress: Progress) -> None:
    for flag, (_, after) in moved.flags.items():
        now = steering.read_flag(paths, flag)
        if now != after:
            progress.note(made.request.action, flag, What.REFUSED, why=note("flag_changed", flag=flag))
            return
    for flag, (before, after) in moved.flags.items():
        if before != after:
            steering.put_flag(paths, flag, before)
    progress.note(made.request.action, made.request.action, What.DONE)


def _wait_again(paths: SpoolPaths, made: Made, moved: Moved, progress: Progress) -> None:
    """What was cancelled waits again, then what has failed because of that: in this order, or it fails anew.

    What was stopped stays stopped, and so does what comes after it.
    """
    tasks = [Task(State.FAILED, name) for name in made.restorable(moved.tasks)]
    bulk.retry_these(paths, _not_run_since(paths, tasks, moved, progress), progress.told)
    failed = {task.id for task in look(paths, State.FAILED)} if made.dependents else set()
    fell = [
        Task(State.FAILED, one.name) for one in made.dependents if one.task.id in failed and one.key not in made.lost
    ]
    bulk.retry_these(paths, fell, progress.told)


def _not_run_since(paths: SpoolPaths, tasks: Sequence[Task], moved: Moved, progress: Progress) -> list[Task]:
    """Those that nobody has queued again meanwhile, and that have failed anew by themselves."""
    kept = []
    for task in tasks:
        mark = files.mark_of(paths.tries_index(task.id)) if task.id is not None else None
        if mark is not None and mark[1] / 1e9 > moved.finished_server_s:
            progress.note(task.id or task.name, task.plain_title, What.REFUSED, task.where, note("has_run"))
        else:
            kept.append(task)
    return kept


def _unload(paths: SpoolPaths, moved: Moved, progress: Progress) -> None:
    """What was queued is cancelled; then what was taken out for it waits again, if none of the new has started."""
    refused = 0

    def told(task: Task, outcome: Outcome) -> None:
        nonlocal refused
        refused += not outcome
        progress.told(task, outcome)

    bulk.cancel_these(paths, [Task(State.PENDING, name) for name in moved.submitted], told)
    old = [Task(State.FAILED, name) for _, name in moved.tasks]
    if not refused:
        bulk.retry_these(paths, _not_run_since(paths, old, moved, progress), progress.told)
        return
    for task in old:
        why = note("newer_began")
        progress.note(task.id or task.name, task.plain_title, What.REFUSED, task.where, why)


def _still_named(paths: SpoolPaths, tasks: Sequence[Task], progress: Progress) -> list[Task]:
    """Those whose priority nobody has changed since: whoever did means them to run."""
    names = {task.id: task.name for task in look(paths, State.PENDING)}
    kept = []
    for task in tasks:
        now = names.get(task.id)
        if now is not None and now != task.name:
            why = note("priority_changed")
            progress.note(task.id or task.name, task.plain_title, What.REFUSED, task.where, why)
        else:
            kept.append(task)
    return kept
