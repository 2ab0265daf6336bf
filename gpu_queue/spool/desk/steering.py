"""What a person may do with tasks and with a queue as a whole, without any agent (docs/spool.md, "Commands").

- Each step of a task is one rename.  What came of it is data: a task that moved on meanwhile is no error.
- Whoever settles a task by hand frees the serial queues that it holds, after the rename.
- Files that are no regular files stay where they are.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from gpu_queue.errors import SpoolError
from gpu_queue.sayings import Say, Saying, say
from gpu_queue.spool import files, store
from gpu_queue.spool.desk.asking import place
from gpu_queue.spool.desk.find import (
    LIFE,
    WAITING_FIRST,
    Finder,
    Task,
    TaskLike,
    Unclear,
    is_pattern,
    is_script,
    is_strange,
    listed,
    look,
    unclear_as,
    where,
)
from gpu_queue.spool.desk.people import signature
from gpu_queue.spool.desk.stamps import next_stamp_s
from gpu_queue.spool.paths import SpoolPaths, full_name, make_id, parse_drop
from gpu_queue.spool.queues import Queues
from gpu_queue.spool.records import write_submission
from gpu_queue.spool.store import Moved
from gpu_queue.task import State, Submission
from gpu_queue.texts import printable
from gpu_queue.units import format_utc

FLAGS = ("paused", "draining", "keepalive-off")
FLAG_MAX_BYTES = 500


class What(str, Enum):
    """What became of a wish."""

    DONE = "done"
    GONE = "gone"
    """The task is elsewhere by now: it runs, it has ended, it was taken away."""
    REFUSED = "refused"
    """Nothing was changed."""
    UNKNOWN = "unknown"
    """The storage does not tell whether it was done; ask again."""


@dataclass(frozen=True)
class Wish:
    """Which tasks are meant.

    Raises:
        ValueError: ``all`` and a serial queue: both together would be all, and may not be what was meant.
    """

    tasks: tuple[TaskLike, ...] = ()
    """By names and patterns; ``all``: all."""
    queue: str | None = None
    """All of this serial queue as well."""

    def __post_init__(self) -> None:
        if self.queue is not None and "all" in self.tasks:
            raise ValueError(
                f"'all' and queue={self.queue!r} do not go together; pass queue={self.queue!r} alone, or 'all'"
            )


@dataclass(frozen=True)
class Outcome:
    """What became of a wish about one task."""

    what: What
    name: str
    """``PPP-<id>``, or a hand drop's file; as it was asked for, where no task or several fit."""
    task_id: str | None = None
    """None where it has none."""
    where: str = ""
    """``pending``, ``running/<node>``, ``done`` or ``failed``; empty where it is nowhere or not known."""
    reason: str = ""
    """Why it was not done, in a sentence for people."""
    why: Saying | None = None
    """The same as data; ``why.chinese`` says it in Chinese."""

    def __bool__(self) -> bool:
        return self.what is What.DONE

    def __str__(self) -> str:
        now = f", in {self.where}" if self.where else ""
        return printable(self.name) + f": {self.what.value}{now}" + (f": {self.reason}" if self.reason else "")


def outcome(what: What, task: Task, why: Saying | None = None) -> Outcome:
    """What became of a wish; ``task`` is where it is now."""
    return Outcome(what, str(task), task.id, task.where, "" if why is None else why.english, why)


def done(task: Task, why: Saying | None = None) -> Outcome:
    """It was done; ``task`` is where it is now."""
    return outcome(What.DONE, task, why)


def refused(task: Task, why: Saying) -> Outcome:
    """Nothing was changed."""
    return outcome(What.REFUSED, task, why)


def unknown(task: Task, error: SpoolError) -> Outcome:
    """The storage does not tell."""
    why = say(Say.STORAGE, problem=str(error))
    return Outcome(What.UNKNOWN, str(task), task.id, reason=str(error), why=why)


def nowhere(task: Task) -> Outcome:
    """No directory of the queue has it."""
    why = say(Say.NOWHERE)
    return Outcome(What.GONE, str(task), task.id, "", why.english, why)


def moved_on(task: Task, now: Task | None) -> Outcome:
    """It is not where it would have to be."""
    if now is None:
        return nowhere(task)
    if now.state is State.RUNNING:
        return outcome(What.GONE, now, say(Say.RUNS, node=printable(now.node)))
    if now.state is State.PENDING:
        return refused(now, say(Say.NOT_MOVED, place=f"{now.where}/{printable(now.name)}"))
    return outcome(What.GONE, now, say(Say.ENDED, place=f"{now.where}/{now}"))


def unclear(text: str, found: Unclear) -> Outcome:
    """A name that names no one task."""
    return Outcome(What.REFUSED, text, reason=found.reason, why=found.why)


# -- one rename -----------------------------------------------------------------------------------------------------


def transfer(paths: SpoolPaths, task: Task, target: Task) -> Outcome:
    """Move a task by one rename, and say what came of it."""
    source = task.path(paths)
    if is_strange(source):
        return refused(task, say(Say.NO_FILE, place=f"{task.where}/{printable(task.name)}"))
    if store.move(source, target.path(paths)).moved is Moved.WON:
        return done(target)
    try:
        now = where(paths, target.id) if target.id else None
        is_left = task.name in listed(os.path.dirname(source))
    except SpoolError as error:
        return unknown(task, error)
    if now is not None and (now.name == target.name or now.state is not task.state) and now.state is target.state:
        return done(now)  # somebody else did the same
    return moved_on(task, task if now is None and is_left else now)


# -- what waits -----------------------------------------------------------------------------------------------------


def cancel(paths: SpoolPaths, task: Task, *, release: bool = True) -> Outcome:
    """Take a waiting task out of the queue: it goes to failed/.

    Args:
        paths: of the spool.
        task: as it was found.
        release: free the serial queues that it holds; False where the caller frees those of many tasks at once.
    """
    if task.state is not State.PENDING:
        return moved_on(task, task)
    source = task.path(paths)
    if task.id is None and is_script(source):
        # A hand drop gets its id now, as at a claim: names in failed/ must not collide.
        priority, raw_name = parse_drop(task.name)
        now_s = next_stamp_s()
        task_id = make_id(now_s, secrets.token_hex(3), raw_name)
        submission = Submission(
            task_id, name=os.fsdecode(raw_name), dropped_as=task.name, submitted_at=format_utc(now_s)
        )
        target = Task(State.FAILED, full_name(priority, task_id))
        try:
            write_submission(paths, submission)
        except OSError:
            pass  # it is for people; a later retry runs without it
        moved = transfer(paths, task, target)
        if moved.what in (What.GONE, What.REFUSED):
            files.remove(paths.record(task_id))
        return moved
    moved = transfer(paths, task, Task(State.FAILED, str(task)))
    if moved and release and task.id is not None:
        release_queues(paths, task.id)
    return moved


def retry(paths: SpoolPaths, task: Task) -> Outcome:
    """Queue a failed task again."""
    if task.state is not State.FAILED:
        return outcome(What.GONE, task, say(Say.NOT_FAILED, place=f"{task.where}/{task}"))
    moved = transfer(paths, task, Task(State.PENDING, task.name))
    if moved.what is What.GONE and moved.where.startswith(State.RUNNING.value):
        why = say(Say.RUNS_AGAIN)
        return replace(moved, what=What.DONE, reason=why.english, why=why)  # an agent was faster than our look
    return moved


def set_priority(
    paths: SpoolPaths, task: Task, priority: int, is_taken: Callable[[str], bool] | None = None
) -> Outcome:
    """Have a waiting task run earlier or later.

    Args:
        paths: of the spool.
        task: as it was found.
        priority: 0 to 999, smaller runs first.
        is_taken: whether there is such a name in pending/; None: it is listed.
    """
    if task.state is not State.PENDING:
        return moved_on(task, task)
    bare = re.sub(r"\A[0-9]{3}[-_]", "", task.name) if task.id is None else ""
    file = full_name(priority, task.id) if task.id is not None else f"{priority:03d}_{bare}"
    target = Task(State.PENDING, file)
    if file == task.name:
        return done(task)
    if is_taken(file) if is_taken is not None else file in listed(paths.directory(State.PENDING)):
        return refused(task, say(Say.NAME_TAKEN, place=f"pending/{printable(file)}"))
    return transfer(paths, task, target)


def each(
    finder: Finder, wish: Wish, everything: tuple[State, ...], *groups: tuple[State, ...]
) -> Iterator[tuple[str, Task | Unclear]]:
    """The tasks that are meant, one by one.

    Args:
        finder: of the spool.
        wish: which.
        everything: the states that ``all``, patterns and a queue mean.
        groups: where to look for one that is named.
    """
    asked = " ".join(everything)
    if wish.queue is not None:
        found = finder.in_queue(wish.queue, everything)
        yield from ((str(task), task) for task in found)
        if not found:
            yield wish.queue, unclear_as(Say.NO_QUEUE, states=asked, queue=printable(wish.queue))
    for one in wish.tasks:
        text = one if isinstance(one, str) else one.id or one.name
        if text == "all":
            yield from ((str(task), task) for state in everything for task in list(finder.tasks(state)))
        elif is_pattern(text):
            found = finder.fitting(text, everything)
            yield from ((str(task), task) for task in found)
            if not found:
                yield text, unclear_as(Say.NO_PATTERN, states=asked, name=repr(printable(text)))
        else:
            yield text, finder.one(text, *groups)


def cancel_each(paths: SpoolPaths, wish: Wish) -> tuple[Outcome, ...]:
    """Take waiting tasks out of the queue; ``all``: all that wait.

    Raises:
        SpoolError: a directory cannot be listed now.
    """
    many = wish.queue is not None or any(one == "all" or is_pattern(str(one)) for one in wish.tasks)
    wished = each(Finder(paths), wish, (State.PENDING,), *WAITING_FIRST)
    outcomes = _grant(wished, lambda task: cancel(paths, task, release=not many))
    if many:
        release_queues(paths)
    return outcomes


def retry_each(paths: SpoolPaths, wish: Wish) -> tuple[Outcome, ...]:
    """Queue failed tasks again; ``all``: all that have failed.

    Raises:
        SpoolError: a directory cannot be listed now.
    """
    wished = each(Finder(paths), wish, (State.FAILED,), (State.FAILED,))
    return _grant(wished, lambda task: retry(paths, task))


def set_priorities(paths: SpoolPaths, wish: Wish, priority: int) -> tuple[Outcome, ...]:
    """Have waiting tasks run earlier or later; ``all``: all that wait.

    Raises:
        SpoolError: a directory cannot be listed now.
    """
    wished = each(Finder(paths), wish, (State.PENDING,), *WAITING_FIRST)
    return _grant(wished, lambda task: set_priority(paths, task, priority))


def _grant(wished: Iterable[tuple[str, Task | Unclear]], do: Callable[[Task], Outcome]) -> tuple[Outcome, ...]:
    return tuple(unclear(text, found) if isinstance(found, Unclear) else do(found) for text, found in wished)


# -- serial queues --------------------------------------------------------------------------------------------------


def release_queues(paths: SpoolPaths, task_id: str | None = None) -> None:
    """Free the serial queues of a settled task, or of all that are settled, when no agent settled them.

    One that cannot be freed now is broken by an agent in time.
    """
    queues = Queues(paths, float("inf"))
    try:
        tokens = queues.tokens() if task_id is None else queues.tokens_of(task_id)
        if not tokens:
            return
        # In this order: a token that was read before its task was found settled is of a claim that is over.
        first: dict[str, State] = {}
        for state in LIFE:
            for task in look(paths, state):
                if task.id is not None:
                    first.setdefault(task.id, state)
    except (OSError, SpoolError):
        return
    queues.free(*(one for one in tokens if first.get(one.holder) in (State.DONE, State.FAILED)))


# -- flags ----------------------------------------------------------------------------------------------------------


def raise_flag(paths: SpoolPaths, flag: str, why: str = "") -> None:
    """Make one of ``FLAGS``, which agents obey while it exists; it says who and why.

    Raises:
        SpoolError: it cannot be written.
    """
    said = printable(f"{signature()}: {why}" if why else signature(), FLAG_MAX_BYTES)
    content = said.encode("utf-8", "replace")[: FLAG_MAX_BYTES - 1].decode("utf-8", "ignore")
    place(paths.flag(flag), f"{content}\n".encode())


def read_flag(paths: SpoolPaths, flag: str) -> bytes | None:
    """What stands in a flag, cut at ``FLAG_MAX_BYTES``; None: there is none.

    Raises:
        SpoolError: nobody can tell.
    """
    if flag not in listed(paths.root):
        return None
    try:
        return files.read_regular(paths.flag(flag), FLAG_MAX_BYTES)[0]
    except files.Vanished:
        return None
    except files.FileProblem:
        return b""  # it counts, whatever it is
    except OSError as error:
        raise SpoolError(f"{paths.flag(flag)}: {error.strerror}; try again") from error


def put_flag(paths: SpoolPaths, flag: str, content: bytes | None) -> None:
    """Have a flag be as it was: with these bytes; None: without it.

    Raises:
        SpoolError: it cannot be done.
    """
    if content is None:
        _lift_flag(paths, flag)
    else:
        place(paths.flag(flag), content)


def lift_flags(paths: SpoolPaths, *flags: str) -> None:
    """Take such files away.

    Raises:
        SpoolError: one is still there.
    """
    for flag in flags:
        _lift_flag(paths, flag)


def _lift_flag(paths: SpoolPaths, flag: str) -> None:
    path = paths.flag(flag)
    files.remove(path)
    if flag not in listed(paths.root):
        return
    # NFS may remember for a minute that there is no such file, and then removes none; a new one in its place is seen.
    try:
        raise_flag(paths, flag)
    except SpoolError:
        pass
    files.remove(path)
    if flag in listed(paths.root):
        raise SpoolError(f"cannot remove {path}; check that you may write there")
