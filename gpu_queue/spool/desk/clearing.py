"""Clearing away nodes that are dead.

- A node is forgotten on a person's word; where it or a task of it gave a sign of life lately, only by force.
- Its claims become lost tries by one rename each: whoever settles them counts them so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpu_queue import PROTOCOL
from gpu_queue.sayings import Say, Saying, say
from gpu_queue.spool import files, store
from gpu_queue.spool.desk.asking import ALIVE_S, beat_age_s, node_names, page_of, server_now_s
from gpu_queue.spool.desk.find import Task, listed, look
from gpu_queue.spool.desk.people import signature
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.paths import SpoolPaths, ended_name, parse_claim
from gpu_queue.spool.store import Moved
from gpu_queue.states import AgentState
from gpu_queue.task import End, State, Why, short_name
from gpu_queue.texts import printable

LOST = End(255, Why.LOST)


@dataclass(frozen=True)
class Forgotten:
    """What came of the word that a node is dead."""

    what: What
    node: str
    reason: str = ""
    """Why it was not done."""
    tasks: tuple[Task, ...] = ()
    """The tries that it had; agents move them on."""
    why: Saying | None = None
    """The reason as data; ``why.chinese`` says it in Chinese."""

    def __bool__(self) -> bool:
        return self.what is What.DONE


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
        return _not(node, say(Say.NODE_PROTOCOL, protocol=page.protocol))
    now_s = server_now_s(paths)
    if not force and page is not None and page.state is not AgentState.STOPPED:
        age_s = beat_age_s(paths, node, now_s)
        if age_s <= ALIVE_S:
            return _not(node, say(Say.NODE_LIVES, age_s=age_s))
    tries = [task for task in look(paths, State.RUNNING) if task.node == node]
    for task in tries:
        alive = None if force or _has_ended(task) else _sign_of_life(paths, task, now_s)
        if alive is not None:
            return _not(node, alive)
    forgotten = []
    for task in tries:
        now = task if _has_ended(task) else _lose(paths, task)
        if now is None:
            return _not(node, say(Say.NOT_RENAMED, place=printable(f"{task.where}/{task.name}")))
        forgotten.append(now)
    problem = _put_away(paths, node)
    if problem is not None:
        return _not(node, problem)
    if not forgotten:  # else the agents put the directory away when it is empty
        files.remove(paths.running_keeper(node))
        try:
            os.rmdir(paths.running(node))
        except OSError:
            pass  # something is in it after all: a peer sees to it
    return Forgotten(What.DONE, node, tasks=tuple(forgotten))


def _not(node: str, why: Saying, what: What = What.REFUSED) -> Forgotten:
    return Forgotten(what, node, why.english, why=why)


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
        return _not(text, say(Say.FITS_NODES, count=len(fitting), nodes=printable(" ".join(fitting))))
    if f"{text}.json" in listed(paths.gone):
        return _not(text, say(Say.PUT_AWAY), What.GONE)
    return _not(text, say(Say.NO_NODE))


def _has_ended(task: Task) -> bool:
    parsed = parse_claim(task.name)
    return parsed is not None and parsed[1] is not None


def _sign_of_life(paths: SpoolPaths, task: Task, now_s: float) -> Saying | None:
    """Its shim touches a claim every 30 s; before the first time only the rename that claimed it tells."""
    try:
        facts = os.lstat(task.path(paths))
    except OSError:
        return None
    age_s = now_s - max(facts.st_mtime, facts.st_ctime)
    if age_s > ALIVE_S:
        return None
    return say(Say.TASK_LIVES, task=short_name(task.id or task.name), age_s=age_s)


def _lose(paths: SpoolPaths, task: Task) -> Task | None:
    """Lost, says its name from now on; a shim that lives after all ends its task.  None: it could not be renamed."""
    parsed = parse_claim(task.name)
    if parsed is None:
        return task
    lost = Task(State.RUNNING, ended_name(parsed[0], LOST), task.node)
    won = store.move(task.path(paths), lost.path(paths)).moved is Moved.WON
    return lost if won or task.name not in listed(paths.running(task.node)) else None


def _put_away(paths: SpoolPaths, node: str) -> Saying | None:
    """Its files go to nodes/gone/; returns what could not be put away."""
    try:
        files.write_whole(paths.forgotten(node), f"{signature()}\n".encode("utf-8", "replace"))
    except OSError:
        pass  # it is for people
    present = set(listed(paths.nodes))
    for path in (paths.node_json(node), paths.node_lines(node)):
        name = os.path.basename(path)
        if name in present and store.move(path, f"{paths.gone}/{name}").moved is Moved.UNKNOWN:
            return say(Say.NOT_PUT_AWAY, place=f"nodes/{name}")
    return None
