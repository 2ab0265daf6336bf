"""Clearing away: nodes that are dead, and tasks that nobody asks for any more.

- A node is forgotten on a person's word; where it or a task of it gave a sign of life lately, only by force.
- Its claims become lost tries by one rename each: whoever settles them counts them so.
- A settled task is forgotten with all that is known of it, itself last: what was cut off can be repeated.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_queue import PROTOCOL
from gpu_queue.errors import SpoolError
from gpu_queue.spool import files, store
from gpu_queue.spool.desk.asking import ALIVE_S, beat_age_s, node_names, page_of, server_now_s
from gpu_queue.spool.desk.find import Task, is_script, listed, look
from gpu_queue.spool.desk.people import signature
from gpu_queue.spool.desk.steering import Outcome, What, done, refused
from gpu_queue.spool.paths import SpoolPaths, ended_name, is_id, parse_claim, parse_try_file, same_submission
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.store import Moved
from gpu_queue.states import AgentState
from gpu_queue.task import End, State, Why, short_name
from gpu_queue.texts import printable
from gpu_queue.units import format_duration

LOST = End(255, Why.LOST)
RELIST_S = 1.0
"""How old the listing of what waits may be by which a task is kept."""


@dataclass(frozen=True)
class Forgotten:
    """What came of the word that a node is dead."""

    what: What
    node: str
    reason: str = ""
    """Why it was not done."""
    tasks: tuple[Task, ...] = ()
    """The tries that it had; agents move them on."""

    def __bool__(self) -> bool:
        return self.what is What.DONE


# -- nodes ----------------------------------------------------------------------------------------------------------


def forget_node(paths: SpoolPaths, text: str, *, force: bool) -> Forgotten:
    """A person says that a node is dead: its tasks go on elsewhere, and it is put away.

    Args:
        paths: of the spool.
        text: its name, or a part of it that fits no other.
        force: also where it or a task of it gave a sign of life within 90 s.

    Raises:
        SpoolError: the spool cannot be listed.
    """
    node = _node_called(paths, text)
    if isinstance(node, Forgotten):
        return node
    page = page_of(paths, node)
    if page is not None and page.protocol != PROTOCOL:
        return _not(node, f"it speaks protocol {page.protocol}; use what came with it")
    now_s = server_now_s(paths)
    if not force and page is not None and page.state is not AgentState.STOPPED:
        age_s = beat_age_s(paths, node, now_s)
        if age_s <= ALIVE_S:
            return _not(node, f"it gave a sign of life {format_duration(age_s)} ago; shutdown ends agents{_FORCE}")
    tries = [task for task in look(paths, State.RUNNING) if task.node == node]
    for task in tries:
        alive = "" if force or _has_ended(task) else _sign_of_life(paths, task, now_s)
        if alive:
            return _not(node, alive)
    forgotten = []
    for task in tries:
        now = task if _has_ended(task) else _lose(paths, task)
        if now is None:
            return _not(node, f"{task.where}/{task.name} could not be renamed; check that you may write there")
        forgotten.append(now)
    problem = _put_away(paths, node)
    if problem:
        return _not(node, problem)
    if not forgotten:  # else the agents put the directory away when it is empty
        files.remove(paths.running_keeper(node))
        try:
            os.rmdir(paths.running(node))
        except OSError:
            pass  # something is in it after all: a peer sees to it
    return Forgotten(What.DONE, node, tasks=tuple(forgotten))


_FORCE = "; if you know that it is dead, forget it by force"


def _not(node: str, reason: str) -> Forgotten:
    return Forgotten(What.REFUSED, node, reason)


def _node_called(paths: SpoolPaths, text: str) -> str | Forgotten:
    running = [node for node in listed(paths.all_running) if not node.startswith(".")]
    running = [node for node in running if os.path.isdir(paths.running(node))]
    known = sorted({*node_names(paths), *running})
    if text in known:
        return text
    fitting = [node for node in known if text and text in node]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return _not(text, f"it fits {len(fitting)} nodes, and nothing was done: {printable(' '.join(fitting))}")
    if f"{text}.json" in listed(paths.gone):
        return Forgotten(What.GONE, text, "it was put away already")
    return _not(text, "no node is called so")


def _has_ended(task: Task) -> bool:
    parsed = parse_claim(task.name)
    return parsed is not None and parsed[1] is not None


def _sign_of_life(paths: SpoolPaths, task: Task, now_s: float) -> str:
    """Its shim touches a claim every 30 s; before the first time only the rename that claimed it tells."""
    try:
        facts = os.lstat(task.path(paths))
    except OSError:
        return ""
    age_s = now_s - max(facts.st_mtime, facts.st_ctime)
    if age_s > ALIVE_S:
        return ""
    return f"{short_name(task.id or task.name)} gave a sign of life there {format_duration(age_s)} ago{_FORCE}"


def _lose(paths: SpoolPaths, task: Task) -> Task | None:
    """Lost, says its name from now on; a shim that lives after all ends its task.  None: it could not be renamed."""
    parsed = parse_claim(task.name)
    if parsed is None:
        return task
    lost = Task(State.RUNNING, ended_name(parsed[0], LOST), task.node)
    won = store.move(task.path(paths), lost.path(paths)).moved is Moved.WON
    return lost if won or task.name not in listed(paths.running(task.node)) else None


def _put_away(paths: SpoolPaths, node: str) -> str:
    """Its files go to nodes/gone/; returns what could not be put away."""
    try:
        files.write_whole(paths.forgotten(node), f"{signature()}\n".encode("utf-8", "replace"))
    except OSError:
        pass  # it is for people
    present = set(listed(paths.nodes))
    for path in (paths.node_json(node), paths.node_lines(node)):
        name = os.path.basename(path)
        if name in present and store.move(path, f"{paths.gone}/{name}").moved is Moved.UNKNOWN:
            return f"nodes/{name} could not be put away; check that you may write there"
    return ""


# -- settled tasks --------------------------------------------------------------------------------------------------


def clean(paths: SpoolPaths, older_than_s: float, *, dry_run: bool) -> Iterator[Outcome]:
    """Forget settled tasks with their records and logs; what a waiting or running task still names is kept.

    Each task is judged once more in the moment of its removal: it may have been retried, or asked for.

    Args:
        paths: of the spool.
        older_than_s: since it was settled, by the server's clock.
        dry_run: only tell which.

    Raises:
        SpoolError: the spool cannot be listed.
    """
    now_s = server_now_s(paths)
    wanted = _Wanted(paths)
    belongings: _Belongings | None = None
    for state in (State.DONE, State.FAILED):
        for task in look(paths, state):
            if not _is_old(paths, task, now_s - older_than_s) or (task.id or "") in wanted.ids():
                continue
            if not dry_run:
                belongings = belongings or _Belongings(paths)
                if not all(files.remove(path) for path in belongings.of(task.id or "")):
                    yield refused(task, f"what belongs to {task} cannot be removed; check that you may write there")
                    continue
                if not files.remove(task.path(paths)):
                    yield refused(task, f"{task.where}/{task} cannot be removed; check that you may write there")
                    continue
            yield done(task)


def _is_old(paths: SpoolPaths, task: Task, before_s: float) -> bool:
    """By its ctime, which changed at the rename that settled it; its mtime is the script's own."""
    path = task.path(paths)
    try:
        return is_script(path) and os.lstat(path).st_ctime <= before_s
    except OSError:
        return False


class _Wanted:
    """The ids that tasks which wait or run name in ``after``."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._named: dict[str, tuple[str, ...]] = {}
        self._ids: set[str] = set()
        self._seen: tuple[float, int] | None = None

    def ids(self) -> set[str]:
        """As they are now: listed anew where pending/ has changed, and each second."""
        now_s = time.monotonic()
        try:
            changed_ns = os.stat(self._paths.directory(State.PENDING)).st_mtime_ns
        except OSError:
            changed_ns = 0
        if self._seen is None or self._seen[1] != changed_ns or now_s - self._seen[0] > RELIST_S:
            self._seen = now_s, changed_ns
            tasks = [task for state in (State.PENDING, State.RUNNING) for task in look(self._paths, state)]
            ids = [task.id for task in tasks if task.id is not None]
            self._named = {one: self._named[one] if one in self._named else self._after(one) for one in ids}
            self._ids = {one for after in self._named.values() for one in after}
        return self._ids

    def _after(self, task_id: str) -> tuple[str, ...]:
        try:
            named = read_submission(self._paths, task_id, None).needs.get("after")
        except OSError as error:
            raise SpoolError(f"{self._paths.record(task_id)}: cannot be read: {error.strerror}; try again") from error
        return tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else ()


class _Belongings:
    """The records and logs of all tasks, listed once."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._files: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for directory, ending in ((paths.records, ".json"), (paths.logs, ".log")):
            for name in listed(directory):
                if name.endswith(ending):
                    self._files[same_submission(name)].append((f"{directory}/{name}", ending))

    def of(self, task_id: str) -> list[str]:
        """All that belongs to one task."""
        found = []
        for path, ending in self._files.get(same_submission(task_id), ()) if is_id(task_id) else ():
            name = os.path.basename(path)
            claim = parse_try_file(name, ending)
            plain = {f"{task_id}{ending}", f"{task_id}.tries{ending}"}
            if name in plain or (claim is not None and claim.task_id == task_id):
                found.append(path)
        return found
