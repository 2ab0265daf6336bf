"""Doing what a plan says, through the desk; it blocks on shared storage, and is called in a thread of its own.

Only what is still in the state that the plan saw is touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from gpu_queue.console.jobfiles import loading, starting
from gpu_queue.console.jobfiles.folders import CannotUse
from gpu_queue.console.jobfiles.loading import BadFile
from gpu_queue.console.jobfiles.shelf import Changed, Shelf
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Note
from gpu_queue.console.plans import rewriting
from gpu_queue.console.plans.nouns import FLAGS, Made, Target
from gpu_queue.console.plans.progress import Progress
from gpu_queue.console.plans.submitting import for_desk, given
from gpu_queue.console.sentences import note, note_of
from gpu_queue.errors import GpuQueueError, NotPublished
from gpu_queue.spool.desk import asking, bulk, clearing, entrance, explaining, steering, stopping
from gpu_queue.spool.desk.asking import Answer, Reply
from gpu_queue.spool.desk.find import Task, look, where_all
from gpu_queue.spool.desk.publishing import Options
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.paths import SpoolPaths, parse_full, title_of
from gpu_queue.task import State

_REPLIES = {Reply.ANSWERED: What.DONE, Reply.GONE: What.GONE, Reply.SILENT: What.UNKNOWN}
_LIFTING = ("resume", "keepalive_on")


def run(paths: SpoolPaths, made: Made, progress: Progress, home: str) -> Note | None:
    """Do what a plan says, and tell of each thing that is done; returns why it did not come to its end.

    Args:
        paths: of the spool.
        made: the plan.
        progress: hears of all of it.
        home: the directory in which pasted scripts run.
    """
    try:
        if made.request.action not in ("submit", "load"):
            entrance.enter(paths)
        _run(paths, made, progress, home)
    except Changed:
        return note("file_changed")
    except BadFile as error:
        return note("file_bad", problem=error.problems[0].text)
    except (CannotUse, GpuQueueError, OSError) as error:
        return note("cut_short", problem=str(error))
    return None


def _run(paths: SpoolPaths, made: Made, progress: Progress, home: str) -> None:
    action = made.request.action
    if action in FLAGS:
        _flags(paths, made, progress)
    elif action == "shutdown":
        _shut_down(paths, made, progress)
    elif action == "forget":
        _forget(paths, made, progress)
    elif action == "submit":
        _submit(paths, made, progress, home)
    elif action == "load":
        _load(paths, made, progress, home)
    elif action == "policy":
        assert made.policy is not None
        rewriting.rewrite(paths, made.policy, progress)
    elif action == "explain":
        _explain(paths, made, progress)
    elif action == "retry":
        bulk.retry_these(paths, _tasks(made.targets), progress.told)
    elif action == "priority":
        assert made.request.priority is not None
        bulk.set_priorities_of(paths, dict.fromkeys(_tasks(made.targets), made.request.priority), progress.told)
    else:
        waiting = [one for one in made.targets if one.state is State.PENDING]
        running = [one for one in made.targets if one.state is State.RUNNING]
        if waiting:
            bulk.cancel_these(paths, _tasks(waiting), progress.told)
            progress.moved.finished_server_s = asking.server_now_s(paths)
        if running:
            bulk.stop_all_of(paths, _tasks(running), progress.told, progress.answered)
        if made.ends_agent:
            _tell_agent(progress, starting.end(paths))


def _tasks(targets: Sequence[Target]) -> list[Task]:
    return [one.task for one in targets]


# -- the queue as a whole, and nodes --------------------------------------------------------------------------------


def _flags(paths: SpoolPaths, made: Made, progress: Progress) -> None:
    action = made.request.action
    before = {flag: steering.read_flag(paths, flag) for flag in FLAGS[action]}
    for flag in FLAGS[action]:
        if action in _LIFTING:
            steering.lift_flags(paths, flag)
        else:
            steering.raise_flag(paths, flag, made.request.why)
        progress.moved.flags[flag] = before[flag], steering.read_flag(paths, flag)
    progress.note(action, action, What.DONE)


def _shut_down(paths: SpoolPaths, made: Made, progress: Progress) -> None:
    heard: set[str] = set()

    def answered(answer: Answer) -> None:
        heard.add(answer.node)
        progress.answered(answer)
        said = " ".join(answer.lines)
        why = note("agent_said", said=said) if said else None
        progress.note(key_of(answer.node), answer.node, _REPLIES[answer.reply], why=why)

    stopping.shut_down(
        paths, wait=made.request.wait, nodes=made.nodes, unkeep=not made.request.nodes, answered=answered
    )
    for node in made.nodes:
        if node not in heard:
            progress.note(key_of(node), node, What.GONE, why=note("agent_gone"))


def _forget(paths: SpoolPaths, made: Made, progress: Progress) -> None:
    for node in made.nodes:
        forgotten = clearing.forget_node(paths, node, force=made.request.force)
        why = None if forgotten.why is None else note_of(forgotten.why)
        if why is None and forgotten.tasks:
            why = note("tries_lost", count=len(forgotten.tasks))
        progress.note(key_of(node), node, forgotten.what, why=why)


# -- tasks ----------------------------------------------------------------------------------------------------------


def _submit(paths: SpoolPaths, made: Made, progress: Progress, home: str) -> None:
    options = made.request.options
    scripts = [for_desk(given(one), options, home, 1) for one in made.request.scripts]
    try:
        tasks = entrance.submit(paths, scripts, Options())
    except NotPublished as error:
        for name in error.published:
            _queued(progress, name)
        raise
    for task in tasks:
        _queued(progress, str(task), " ".join(task.notes))


def _load(paths: SpoolPaths, made: Made, progress: Progress, home: str) -> None:
    order = made.order
    assert order is not None
    try:
        done = loading.load(Shelf(paths, home), order, time.time())
    except NotPublished as error:
        for name in error.published:
            _queued(progress, name)
        raise
    progress.moved.tasks += [(task, str(task)) for task in done.taken]
    for task in done.taken:
        key, why = key_of(task.id or task.name), note("taken_out")
        progress.note(key, task.plain_title, What.DONE, State.FAILED.value, why)
    for task in done.queued:
        _queued(progress, str(task), " ".join(task.notes))
    progress.moved.finished_server_s = asking.server_now_s(paths)
    for remark in done.notes:
        progress.remark(remark)
    if order.starts_agent:
        _tell_agent(progress, starting.start(paths, order.gpus, os.environ, time.time()))


def _tell_agent(progress: Progress, outcome: starting.Outcome | None) -> None:
    if outcome is not None:
        progress.agent(outcome.what, outcome.why, key_of(outcome.node))


def _queued(progress: Progress, name: str, notes: str = "") -> None:
    full = parse_full(name)
    task_id = name if full is None else full[1]
    progress.moved.submitted.append(name)
    why = note("submit_notes", said=notes) if notes else None
    progress.note(task_id, title_of(task_id), What.DONE, State.PENDING.value, why)


def _explain(paths: SpoolPaths, made: Made, progress: Progress) -> None:
    tasks = _tasks(made.targets)
    places = where_all(paths, (task.id for task in tasks if task.id is not None))
    drops = {task.name: task for task in look(paths, State.PENDING) if task.id is None}
    now = [(task, places.get(task.id) if task.id is not None else drops.get(task.name)) for task in tasks]
    there = [found for _, found in now if found is not None]
    told = dict(zip(there, explaining.explain_each(paths, there, progress.answered), strict=True))
    for task, found in now:
        if found is None:
            progress.told(task, steering.moved_on(task, None))
            continue
        lines = " · ".join(text_of(line) for line in told[found].lines)
        why = note("agent_said", said=lines) if lines else None
        progress.note(key_of(task.id or task.name), task.plain_title, What.DONE, found.where, why)
