"""Who is told of what happens in a spool: the settings ``notify``, and the kinds of their values.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue import notices
from gpu_queue.config.kinds import ListOf, Plain, Scalar, blanks, text_of
from gpu_queue.notices import Wish


@dataclass(frozen=True)
class Notify:
    """Who is told."""

    tasks: tuple[Wish, ...] = ()
    """Of the end of each task, beside whom the task itself names."""
    queues: tuple[Wish, ...] = ()
    """When the last waiting task of a serial queue has ended."""
    groups: tuple[Wish, ...] = ()
    """When all tasks of an experiment, a command file or an array have ended."""
    agents: tuple[Wish, ...] = ()
    """When an agent is near its end."""
    before_end_s: float = 1800.0
    """So long before it."""


def _wish(events: tuple[str, ...]) -> Scalar:
    expected = notices.expected(events)

    def parse(value: Plain) -> Wish:
        return notices.parse_wish(text_of(value, expected), events)

    schema = {"type": "string", "pattern": blanks(notices.pattern(events))}
    return Scalar(parse, expected, schema, noun="labels")


def _wishes(events: tuple[str, ...]) -> ListOf:
    return ListOf(_wish(events), separator=",", least=0)


OF_TASKS = _wishes((notices.ENDED, notices.DONE, notices.FAILED))
OF_OTHERS = _wishes(notices.OF_OTHERS)
OF_AGENTS = _wishes(())
