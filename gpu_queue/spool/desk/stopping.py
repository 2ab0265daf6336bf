"""Stopping what runs: agents are asked; where none is alive, whoever asks moves the claim himself.

- A task that was requeued meanwhile is cancelled, one that runs again is stopped again: three rounds.
- A claim that is moved away is lost to its shim, which ends the task at its next beat.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from gpu_queue import PROTOCOL
from gpu_queue.errors import SpoolError
from gpu_queue.sayings import Say, say
from gpu_queue.spool import keeping, store
from gpu_queue.spool.commands import Command
from gpu_queue.spool.desk.asking import Answer, Reply, answers, askable, living, page_of, patience_s, post, see_off
from gpu_queue.spool.desk.find import WAITING_FIRST, Finder, Task, Unclear, listed, look, where, where_all
from gpu_queue.spool.desk.steering import (
    Outcome,
    What,
    Wish,
    cancel,
    done,
    each,
    moved_on,
    refused,
    release_queues,
    unclear,
)
from gpu_queue.spool.pages import NodePage
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_claim
from gpu_queue.spool.store import Moved
from gpu_queue.task import State, Why
from gpu_queue.texts import printable

ROUNDS = 3
LEAVES_S = 2.0
"""So long an agent that answered may take to leave before nobody waits for it: it gives back what runs there."""
CLAIMS_PER_COMMAND = 200
"""A command has at most 64 KiB."""


@dataclass(frozen=True)
class Stopped:
    """What came of a stop."""

    tasks: tuple[Outcome, ...]
    """Of each task that was meant."""
    answers: tuple[Answer, ...]
    """Of each node that was asked, in each round."""


def stop(paths: SpoolPaths, wish: Wish) -> Stopped:
    """End tasks, wherever they are: what waits is cancelled, what runs is ended.

    Args:
        paths: of the spool.
        wish: which; ``all``: everything that waits or runs, and dedicated nodes sweep.

    Raises:
        SpoolError: the spool cannot be listed, or no command can be written.
    """
    named = replace(wish, tasks=tuple(one for one in wish.tasks if one != "all"))
    everything = len(named.tasks) < len(wish.tasks)
    work = _Stop(paths)
    for text, found in each(Finder(paths), named, WAITING_FIRST[0], *WAITING_FIRST):
        if isinstance(found, Unclear):
            work.tell(unclear(text, found))
        elif found.state in (State.DONE, State.FAILED):
            work.tell(moved_on(found, found))
        else:
            work.add(found)
    if everything:
        work.add_all()
    work.run(living(paths) if everything else [])
    return Stopped(tuple(work.outcomes), tuple(work.answers))


def stop_these(
    paths: SpoolPaths,
    tasks: Iterable[Task],
    told: Callable[[Outcome], None],
    answered: Callable[[Answer], None] = lambda _: None,
) -> None:
    """End tasks that were found running, and tell of each as soon as it is known.

    One that is requeued meanwhile is cancelled, as in ``stop``.

    Args:
        paths: of the spool.
        tasks: as they were found.
        told: hears what became of each of them, once.
        answered: hears each answer of a node.

    Raises:
        SpoolError: the spool cannot be listed, or no command can be written; what was told was done.
    """
    work = _Stop(paths, told, answered)
    for task in tasks:
        work.add(task)
    work.run([])


class _Stop:
    """One stop on its way."""

    def __init__(
        self,
        paths: SpoolPaths,
        told: Callable[[Outcome], None] = lambda _: None,
        answered: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self._paths = paths
        self._ids: dict[str, Task] = {}
        self._told = told
        self._answered = answered
        self.outcomes: list[Outcome] = []
        self.answers: list[Answer] = []

    def tell(self, outcome: Outcome) -> None:
        """Nothing is left to be done about it."""
        if outcome.task_id is not None:
            self._ids.pop(outcome.task_id, None)
        self.outcomes.append(outcome)
        self._told(outcome)

    def add(self, task: Task, *, release: bool = True) -> None:
        """One that is to end: one that waits is cancelled, one that started in this moment is stopped."""
        if task.state is State.PENDING:
            outcome = cancel(self._paths, task, release=release)
            if outcome or task.id is None or outcome.what is not What.GONE:
                self.tell(outcome)
                return
        if task.id is not None:
            self._ids[task.id] = task

    def add_all(self) -> None:
        """Everything that waits, then everything that runs."""
        for task in look(self._paths, State.PENDING):
            self.add(task, release=False)
        release_queues(self._paths)
        for task in look(self._paths, State.RUNNING):
            self.add(task)

    def run(self, pages: list[NodePage]) -> None:
        """The rounds.

        Args:
            pages: of nodes that are asked in the first round in any case.
        """
        for last in (False,) * ROUNDS + (True,):
            claims = [task for task in look(self._paths, State.RUNNING) if task.id in self._ids]
            asked = {page.node: page for page in pages}
            for node in {task.node for task in claims} - set(asked):
                page = page_of(self._paths, node) or NodePage(node)
                if page.protocol == PROTOCOL:
                    asked[node] = page
                    continue
                why = say(Say.OTHER_PROTOCOL, node=printable(node), protocol=page.protocol)
                for task in claims:
                    if task.node == node:
                        self.tell(refused(task, why))
            claims = [task for task in claims if task.node in asked]
            seen = {task.id for task in claims}
            for task in look(self._paths, State.PENDING):
                if task.id in self._ids:
                    outcome = cancel(self._paths, task)
                    if outcome:
                        self.tell(outcome)
                    seen.add(task.id)
            self._have_ended(set(self._ids) - seen)
            if last or not asked:
                break
            self._round(asked, claims)
            pages = []
        for task in list(self._ids.values()):
            now = where(self._paths, task.id or "") or task
            self.tell(refused(now, say(Say.NOT_STOPPED, rounds=ROUNDS)))

    def _have_ended(self, ids: Collection[str]) -> None:
        """They neither wait nor run: one listing of all directories tells of all of them."""
        places = where_all(self._paths, ids)
        for task_id in ids:
            now = places.get(task_id)
            if now is None:
                self.tell(moved_on(self._ids[task_id], None))
            elif now.state in (State.DONE, State.FAILED):
                self.tell(done(now))

    def _round(self, asked: dict[str, NodePage], claims: list[Task]) -> None:
        names = [claim_name(parsed[0]) for task in claims if (parsed := parse_claim(task.name)) is not None]
        entries: dict[str, str] = {}
        for start in range(0, max(1, len(names)), CLAIMS_PER_COMMAND):
            command = Command("", "", "stop", claims=tuple(names[start : start + CLAIMS_PER_COMMAND]))
            entries |= post(self._paths, command, asked.values())
        gone = set()
        for answer in answers(self._paths, entries, patience_s(self._paths)):
            self.answers.append(answer)
            self._answered(answer)
            if answer.reply is Reply.GONE:
                gone.add(answer.node)
        for task in claims:
            if task.node in gone:
                self._take_off(task)

    def _take_off(self, task: Task) -> None:
        """Where no agent is alive: the claim goes where its name says, and its shim ends what may still run."""
        parsed = parse_claim(task.name)
        end = parsed[1] if parsed is not None else None
        is_done = end is not None and end.status == 0 and end.why is not Why.NOSTART
        target = Task(State.DONE if is_done else State.FAILED, str(task))
        source = task.path(self._paths)
        if store.move(source, target.path(self._paths)).moved is Moved.WON:
            if task.id is not None:
                release_queues(self._paths, task.id)
            self.tell(done(target, say(Say.NO_AGENT_THERE, node=printable(task.node))))
        elif task.name in listed(self._paths.running(task.node)):
            self.tell(refused(task, say(Say.NOT_MOVED_TO, place=f"{target.where}/")))


# -- other commands -------------------------------------------------------------------------------------------------


def shut_down(
    paths: SpoolPaths,
    *,
    wait: bool,
    nodes: Mapping[str, str] | None = None,
    unkeep: bool = True,
    answered: Callable[[Answer], None] = lambda _: None,
) -> tuple[Answer, ...]:
    """End the agents that are there, and have no allocation submitted any more (``submit.sh --keep``).

    Agents that start later are not meant.

    Args:
        paths: of the spool.
        wait: after the running tasks have ended; else these go back to pending/, and agents that leave at once have
            left when this returns.
        nodes: only of these, the agents of these incarnations; an empty one stands for any.  None: all.
        unkeep: have no allocation submitted any more.
        answered: hears each answer as it comes.

    Raises:
        SpoolError: the command cannot be written.
    """
    if unkeep:
        try:
            keeping.unkeep(paths)  # first, so that nothing succeeds what is ended
        except OSError as error:
            raise SpoolError(
                f"{paths.keep}: {error.strerror}; agents would have their successors submitted"
            ) from error
    pages = askable(paths)
    if nodes is not None:
        pages = [one for one in pages if one.node in nodes and nodes[one.node] in ("", one.incarnation)]
    told = ask(paths, Command("", "", "shutdown", wait=wait), pages, answered)
    if not wait:
        left = {answer.node for answer in told if answer.reply is Reply.ANSWERED}
        see_off(paths, {page.node: page.incarnation for page in pages if page.node in left}, LEAVES_S)
    return told


def sweep(paths: SpoolPaths) -> tuple[Answer, ...]:
    """Have the dedicated nodes that are alive end what is left over of tasks.

    Raises:
        SpoolError: the command cannot be written.
    """
    return ask(paths, Command("", "", "sweep"), living(paths))


def ask(
    paths: SpoolPaths,
    command: Command,
    pages: list[NodePage],
    answered: Callable[[Answer], None] = lambda _: None,
) -> tuple[Answer, ...]:
    """Post a command and wait for all answers.

    Args:
        paths: of the spool.
        command: without entry, nonce, sender and addressees.
        pages: of the nodes that are asked.
        answered: hears each answer as it comes.

    Raises:
        SpoolError: the command cannot be written.
    """
    if not pages:
        return ()
    meant = {page.node: page.incarnation for page in pages} if command.verb == "shutdown" else None
    told = []
    for answer in answers(paths, post(paths, command, pages), patience_s(paths), meant):
        answered(answer)
        told.append(answer)
    return tuple(told)
