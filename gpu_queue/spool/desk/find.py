"""Which task is meant: by its full name, its id, its nonce, its script's name, or a part of that.

- Truth is a listing: directories are listed in the order of a task's life, so that one which moves on meanwhile is
  seen twice rather than never; of two places the later one counts.
- ``client.sh`` finds by the same rules; ``tests/doors`` holds both to them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

from gpu_queue.errors import BadScript, SpoolError
from gpu_queue.reasons import Param
from gpu_queue.sayings import Say, Saying, say
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files
from gpu_queue.spool import paths as names
from gpu_queue.spool.fields import is_argument
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission, read_title
from gpu_queue.spool.store import listing
from gpu_queue.task import Needs, State
from gpu_queue.texts import printable

LIFE = (State.PENDING, State.RUNNING, State.DONE, State.FAILED)
"""The order in which a task moves on."""
WAITING_FIRST = (LIFE[:2], LIFE[2:])
"""Whoever names a task means one that waits or runs, if there is one."""
LISTED_MAX = 20
"""Of tasks that a name fits, in a message."""
_SET = r"\[(?:[!^].|[^!^])[^\]]*\]"
"""Characters of a pattern: ``[a-z]``, ``[!a-z]``, ``[^a-z]``; a ``]`` in front is one of them, and a ``[`` without a
later ``]`` stands for itself."""
_PATTERN = re.compile(rf"[*?]|{_SET}", re.DOTALL)
_BRACKET = re.compile(rf"{_SET}|\[", re.DOTALL)


@dataclass(frozen=True)
class Task:
    """A task as it was found: one file in one directory.  It may have moved on since."""

    state: State
    name: str
    """The file's name; of a claim with its end, where it has one."""
    node: str = ""
    """Where it is claimed."""
    needs: Needs | None = field(default=None, compare=False)
    """What it asks for; only known of one that was just submitted."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What its submitter should know, of one that was just submitted: a line each."""
    root: str = field(default="", compare=False, repr=False)
    """Of the spool that it was found in."""

    @cached_property
    def full(self) -> tuple[int, str] | None:
        """Priority and id; None for a file that was dropped by hand and has no id yet."""
        return names.parse_full(names.strip_claim(self.name))

    @property
    def id(self) -> str | None:
        """What names it for ever; None for a hand drop."""
        return None if self.full is None else self.full[1]

    @property
    def priority(self) -> int:
        """000 to 999, smaller first."""
        return names.parse_drop(self.name)[0] if self.full is None else self.full[0]

    @cached_property
    def title(self) -> str:
        """The script's name as it was submitted, read where an id cannot carry it; of a hand drop the file's."""
        if self.full is None or not self.root:
            return self.plain_title
        return read_title(SpoolPaths(self.root), self.full[1])

    @property
    def plain_title(self) -> str:
        """The same as the id carries it: what is in no safe name became ``_``."""
        return os.fsdecode(names.parse_drop(self.name)[1]) if self.full is None else names.title_of(self.full[1])

    @property
    def where(self) -> str:
        """``pending``, ``running/<node>``, ``done`` or ``failed``."""
        return f"{self.state.value}/{self.node}" if self.node else self.state.value

    def path(self, paths: SpoolPaths) -> str:
        """Its file."""
        return f"{paths.root}/{self.where}/{self.name}"

    def __str__(self) -> str:
        return self.name if self.full is None else names.full_name(*self.full)


TaskLike = str | Task
"""A task, or what people call it: its full name, its id, its six digits, its script's name or a part of that.

Where several may be meant, also a pattern of names: ``seed*``."""


@dataclass(frozen=True)
class Unclear:
    """A name that does not name one task."""

    why: Saying
    tasks: tuple[Task, ...] = ()
    """Those that it fits; none or several."""

    @property
    def reason(self) -> str:
        """Why, in a sentence for people."""
        return self.why.english


def unclear_as(code: Say, tasks: tuple[Task, ...] = (), **params: Param) -> Unclear:
    """A name that does not name one task, and why."""
    return Unclear(say(code, **params), tasks)


# -- looking --------------------------------------------------------------------------------------------------------


def listed(directory: str) -> list[str]:
    """The names in a directory of the spool, in order; none where it is missing.

    Raises:
        SpoolError: it cannot be listed now.
    """
    try:
        return sorted(listing(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []  # put away in this moment, or removed by somebody who tidied up
    except OSError as error:
        raise SpoolError(f"{directory}: cannot be listed: {error.strerror}; try again") from error


def is_script(path: str) -> bool:
    """Whether a regular file stands there: directories, links, pipes and sockets are never touched."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def is_strange(path: str) -> bool:
    """Whether something stands there that is no regular file; one look, for it may be taken away in this moment."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def look(paths: SpoolPaths, state: State) -> list[Task]:
    """The tasks of a state, in run order; in pending/ also those that were dropped by hand.

    Raises:
        SpoolError: the directory cannot be listed now.
    """
    directory = paths.directory(state)
    if state is State.RUNNING:
        nodes = [node for node in listed(directory) if not node.startswith(".")]
        found = [Task(state, name, node, root=paths.root) for node in nodes for name in listed(paths.running(node))]
        return [task for task in found if task.full is not None]
    found = [Task(state, name, root=paths.root) for name in listed(directory)]
    if state is State.PENDING:
        return [task for task in found if task.full is not None or _is_drop(directory, task.name)]
    return [task for task in found if names.parse_full(task.name) is not None]


def _is_drop(directory: str, name: str) -> bool:
    return not names.is_skipped(name) and is_script(f"{directory}/{name}")


def where(paths: SpoolPaths, task_id: str) -> Task | None:
    """Where a task is; None where no directory has it.

    Raises:
        SpoolError: a directory cannot be listed now.
    """
    for state in LIFE:
        for task in look(paths, state):
            if task.id == task_id:
                return task
    return None


def where_all(paths: SpoolPaths, ids: Iterable[str]) -> dict[str, Task]:
    """Where each of many tasks is, by one listing of each directory; those that no directory has are not among them.

    Raises:
        SpoolError: a directory cannot be listed now.
    """
    wanted = frozenset(ids)
    if not wanted:
        return {}
    return {
        task.id: task for state in LIFE for task in look(paths, state) if task.id is not None and task.id in wanted
    }


# -- what fits ------------------------------------------------------------------------------------------------------


def latest(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Of each task the last place: it may have moved on while it was looked for."""
    last = {task.id or f"/{task.name}": task for task in tasks}
    return tuple(last.values())


def fit_name(tasks: Iterable[Task], text: str, title_of: Callable[[Task], str | None]) -> tuple[list[Task], bool]:
    """The tasks whose script's name is, or begins like, or holds a text, and whether it is only a part of it.

    The very name, with or without its ending, is meant before a part of another's.

    Args:
        tasks: among these.
        text: as a person says it.
        title_of: the name as it was submitted, for texts that no id can hold; None where nobody knows.
    """
    plain = names.plain(os.fsencode(text))
    exact, bare, part = [], [], []
    for task in tasks:
        if task.id is None:
            title: str | None = task.name
        elif plain not in task.plain_title:
            continue
        else:
            title = task.plain_title if plain == text else title_of(task)
        if title is None:
            continue
        has_number = len(title) > 3 and title[:3].isascii() and title[:3].isdigit() and title[3] == "_"
        name = title[4:] if has_number else title
        if text in (name, title):
            exact.append(task)
        if (name.rpartition(".")[0] if "." in name else name) == text:
            bare.append(task)
        if text in title:
            part.append(task)
    meant = exact or bare
    return (meant, False) if meant and text else (part, True)


class Finder:
    """Finds tasks of one spool by what people call them; what was listed serves all questions asked of it."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = self.paths = paths
        self._seen: dict[State, list[Task]] = {}
        self._by_id: dict[State, dict[str, Task]] = {}

    def tasks(self, state: State) -> list[Task]:
        """All of a state.

        Raises:
            SpoolError: it cannot be listed now.
        """
        if state not in self._seen:
            self._seen[state] = look(self._paths, state)
            self._by_id[state] = {task.id: task for task in self._seen[state] if task.id is not None}
        return self._seen[state]

    def fit(self, text: str, states: Iterable[State]) -> tuple[tuple[Task, ...], bool]:
        """The tasks that a text names, each once, and whether by a part of their names only.

        Raises:
            SpoolError: a directory cannot be listed now.
        """
        if not is_argument(text):
            return (), True
        states = tuple(states)
        bare = names.strip_claim(text)
        full = names.parse_full(bare)
        task_id = full[1] if full else bare
        if names.is_id(task_id):
            for state in states:
                self.tasks(state)
            return latest(self._by_id[state][task_id] for state in states if task_id in self._by_id[state]), False
        tasks = [task for state in states for task in self.tasks(state)]
        found = [task for task in tasks if task.id is not None and task.id[19:25] == text]
        is_part = False
        if not found:
            found, is_part = fit_name(tasks, text, self._title_of)
        return latest(found), is_part

    def _title_of(self, task: Task) -> str | None:
        try:
            return read_submission(self._paths, task.id or "", None).name or None
        except OSError:
            return None

    def fitting(self, pattern: str, states: Iterable[State]) -> tuple[Task, ...]:
        """The tasks whose titles a shell's pattern fits; where a script is called like the pattern, that one.

        Raises:
            SpoolError: a directory cannot be listed now.
        """
        states = tuple(states)
        called, is_part = self.fit(pattern, states)
        if len(called) == 1 and not is_part:
            return called
        return self.fitting_titles(pattern, states)

    def fitting_titles(self, pattern: str, states: Iterable[State]) -> tuple[Task, ...]:
        """The tasks whose titles a shell's pattern fits.

        Raises:
            SpoolError: a directory cannot be listed now.
        """
        tasks = [task for state in states for task in self.tasks(state)]
        meant = _BRACKET.sub(_as_fnmatch, pattern)
        return latest(task for task in tasks if fnmatchcase(task.title, meant))

    def in_queue(self, queue: str, states: Iterable[State]) -> tuple[Task, ...]:
        """The tasks of a serial queue, as their records or their scripts say.

        Raises:
            SpoolError: a directory cannot be listed now.
        """
        return latest(task for state in states for task in self.tasks(state) if self._queue_of(task) == queue)

    def _queue_of(self, task: Task) -> str | None:
        try:
            said = read_submission(self._paths, task.id, None).needs if task.id is not None else {}
            script = b"" if "queue" in said else files.read_regular(task.path(self._paths), HEAD_BYTES)[0]
            return read_needs(script, said, 1, file_name=task.name).queue
        except (OSError, files.FileProblem, BadScript):
            return None

    def one(self, text: str, *groups: tuple[State, ...], newest: bool = False) -> Task | Unclear:
        """The one task that is meant; a later group is asked if nothing in the first fits.

        Args:
            text: what it is called.
            groups: where to look.
            newest: of several that are called just so, the last that was submitted is meant.

        Raises:
            SpoolError: a directory cannot be listed now.
        """
        if not text:
            return unclear_as(Say.NAMELESS)
        for _ in range(2):  # one that moves on while it is looked for is found the second time
            for states in groups:
                tasks, is_part = self.fit(text, states)
                if is_part and tasks:
                    # Another group may hold the very name: a part of a waiting one's is not what was meant then.
                    very, is_part_too = self.fit(text, LIFE)
                    tasks, is_part = (tasks, True) if is_part_too else (very, False)
                if len(tasks) == 1 or (newest and tasks and not is_part):
                    return max(tasks, key=lambda task: task.id or "")
                if tasks:
                    name, more = repr(printable(text)), len(tasks) - LISTED_MAX
                    shown = tuple(printable(f"{task.where}/{task.name}") for task in tasks[:LISTED_MAX])
                    if more > 0:
                        return unclear_as(
                            Say.FITS_MANY, tasks, name=name, count=len(tasks), tasks_shown=shown, more=more
                        )
                    return unclear_as(Say.FITS_SEVERAL, tasks, name=name, count=len(tasks), tasks_shown=shown)
            self._seen.clear()
        asked = " ".join(state.value for states in groups for state in states)
        return unclear_as(Say.FITS_NONE, states=asked, name=repr(printable(text)))


def _as_fnmatch(bracket: re.Match[str]) -> str:
    """A shell's bracket as ``fnmatch`` has it, which knows only one sign of negation."""
    found = bracket[0]
    if found == "[":
        return "[[]"
    return f"[!{found[2:]}" if found[1] == "^" else found


def is_pattern(text: str) -> bool:
    """Whether a text may be meant as a shell's pattern."""
    return _PATTERN.search(text) is not None


def several(given: TaskLike | Iterable[TaskLike]) -> tuple[TaskLike, ...]:
    """One, or each of many."""
    return (given,) if isinstance(given, (str, Task)) else tuple(given)


def each_of(given: Iterable[TaskLike | Iterable[TaskLike]]) -> tuple[TaskLike, ...]:
    """Tasks that stand beside each other, or several in one, as ``publish`` hands them out."""
    return tuple(one for some in given for one in several(some))


def the_one(paths: SpoolPaths, task: TaskLike) -> Task:
    """The one task that is meant, as it is now; of equal names the newest.

    Raises:
        SpoolError: no one task is called so, or a directory cannot be listed now.
    """
    found = Finder(paths).one(task if isinstance(task, str) else task.id or task.name, *WAITING_FIRST, newest=True)
    if isinstance(found, Unclear):
        raise SpoolError(found.reason)
    return found
