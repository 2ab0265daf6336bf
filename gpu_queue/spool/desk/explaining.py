"""Why a task waits, where it runs, or how it ended: from what nodes have published, else from what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gpu_queue.again import RUN_AGAIN
from gpu_queue.reasons import Code, Reason
from gpu_queue.spool.commands import Command
from gpu_queue.spool.desk import asking, papers, stopping
from gpu_queue.spool.desk.asking import Answer
from gpu_queue.spool.desk.find import Task, where
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_claim
from gpu_queue.spool.records import read_submission
from gpu_queue.task import State, told_outcome
from gpu_queue.texts import printable
from gpu_queue.words import in_words

TASKS_PER_COMMAND = 200
"""A command has at most 64 KiB."""


@dataclass(frozen=True)
class Explanation:
    """Why a task waits, where it runs, or how it ended."""

    task: Task
    lines: tuple[str, ...]
    """For people."""
    answers: tuple[Answer, ...] = ()
    """Of nodes that had to be asked, since none had published its reason."""
    reasons: tuple[tuple[str, Reason], ...] = ()
    """Why it waits, as published: node and reason; ``words.in_words(reason, "zh")`` says it in Chinese."""
    code: str = ""
    """The commit and the snapshot that it was submitted with, for people; of one explanation alone."""


def explain(paths: SpoolPaths, task: Task) -> Explanation:
    """Explain a task; agents are asked only for one that waits and of which none has published why.

    Raises:
        SpoolError: the storage failed, or no command can be written.
    """
    explained = _explained(paths, task)
    return replace(explained, code=_code(paths, task))


def _code(paths: SpoolPaths, task: Task) -> str:
    if task.id is None:
        return ""
    try:
        code = read_submission(paths, task.id, None).code
    except OSError:
        return ""
    return printable(code.told, 500) if code is not None else ""


def _explained(paths: SpoolPaths, task: Task) -> Explanation:
    if task.state is State.RUNNING:
        return Explanation(task, _running(paths, task))
    if task.state is not State.PENDING:
        return Explanation(task, (_ending(paths, task),))
    pages = asking.living(paths)
    said = tuple((page.node, one.reason) for page in pages for one in page.waiting if one.name == task.name)
    if said:
        return Explanation(task, tuple(f"{node}: {in_words(why)}" for node, why in said), reasons=said)
    command = Command("", "", "explain", tasks=(task.name,))
    answers = stopping.ask(paths, command, asking.askable(paths))
    if all(answer.reply is asking.Reply.GONE for answer in answers):
        nobody = Reason(Code.NO_AGENT)
        return Explanation(task, (in_words(nobody),), answers, (("", nobody),))
    now = where(paths, task.id) if task.id is not None else None
    if now is not None and now.state is not State.PENDING:  # it began while they were asked
        return _explained(paths, now)
    return Explanation(task, tuple(f"{answer.node}: {line}" for answer in answers for line in answer.lines), answers)


def ask_about(
    paths: SpoolPaths, tasks: Sequence[Task], answered: Callable[[Answer], None] = lambda _: None
) -> tuple[Answer, ...]:
    """Ask all agents why tasks wait, by one command for each 200 of them.

    A line of an answer begins with the name in pending/ that it is about.

    Args:
        paths: of the spool.
        tasks: that wait, as they were found.
        answered: hears each answer as it comes; an agent answers each command.

    Raises:
        SpoolError: the storage failed, or no command can be written.
    """
    told: list[Answer] = []
    pages = asking.askable(paths) if tasks else []
    for start in range(0, len(tasks), TASKS_PER_COMMAND):
        names = tuple(task.name for task in tasks[start : start + TASKS_PER_COMMAND])
        told += stopping.ask(paths, Command("", "", "explain", tasks=names), pages, answered)
        away = {one.node for one in told if one.reply is not asking.Reply.ANSWERED}
        pages = [page for page in pages if page.node not in away]
    return tuple(told)


def explain_each(
    paths: SpoolPaths, tasks: Sequence[Task], answered: Callable[[Answer], None] = lambda _: None
) -> tuple[Explanation, ...]:
    """Explain many tasks: all agents are asked about those that wait, whatever they have published.

    Args:
        paths: of the spool.
        tasks: as they were found.
        answered: hears each answer as it comes.

    Raises:
        SpoolError: the storage failed, or no command can be written.
    """
    waiting = [task for task in tasks if task.state is State.PENDING]
    answers = ask_about(paths, waiting, answered)
    lines: dict[str, list[str]] = {task.name: [] for task in waiting}
    for answer in answers:
        for line in answer.lines:
            name, is_one, why = line.partition(": ")
            if is_one and name in lines:
                lines[name].append(f"{answer.node}: {why}")
    nobody = Reason(Code.NO_AGENT) if all(answer.reply is asking.Reply.GONE for answer in answers) else None
    found = []
    for task in tasks:
        if task.state is State.RUNNING:
            found.append(Explanation(task, _running(paths, task)))
        elif task.state is not State.PENDING:
            found.append(Explanation(task, (_ending(paths, task),)))
        elif nobody is not None:
            found.append(Explanation(task, (in_words(nobody),), answers, (("", nobody),)))
        else:
            found.append(Explanation(task, tuple(lines[task.name]), answers))
    return tuple(found)


def _running(paths: SpoolPaths, task: Task) -> tuple[str, ...]:
    parsed = parse_claim(task.name)
    number = parsed[0].number if parsed is not None else 1
    has_ended = ", and has ended" if parsed is not None and parsed[1] is not None else ""
    noted = [
        one.reason for one in papers.tries(paths, task) if parsed is not None and one.claim.token == parsed[0].token
    ]
    pages = [] if parsed is None else asking.living(paths)
    parts = sorted(
        (one.rank, page.node) for page in pages for one in page.running if parsed and one.of == claim_name(parsed[0])
    )
    told = (f"rank {rank} runs on {printable(node)}" for rank, node in parts)
    again = sum(one.why in RUN_AGAIN for one in papers.tries(paths, task))
    if again:
        noted.append(f"it was run again {again} times, because it asked for that or had saved")
    return (f"it runs on {printable(task.node)}, try {number}{has_ended}", *told, *filter(None, noted))


def _ending(paths: SpoolPaths, task: Task) -> str:
    tries = papers.tries(paths, task)
    if not tries:
        return f"it is in {task.where}; " + (
            "it was cancelled before it ran" if task.state is State.FAILED else "nothing is noted of its tries"
        )
    last = tries[-1]
    words = told_outcome(last.outcome, last.error_type)
    words = words or ("it was ended" if last.status is None else f"status {last.status}")
    return f"{words} on {last.node or 'a node that nobody noted'}, try {last.claim.number}" + (
        f": {last.problem or last.reason}" if last.problem or last.reason else ""
    )
