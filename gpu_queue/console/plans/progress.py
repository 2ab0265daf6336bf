"""How far the run of a plan is, and what came of it; written by one thread, read by others."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Note
from gpu_queue.console.models.living import StreamNote
from gpu_queue.console.models.plans import AgentOutcome, NodeAnswer, PlanOutcome, TaskOutcome
from gpu_queue.console.sentences import note_of
from gpu_queue.spool.desk.asking import Answer
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.steering import Outcome, What

TOLD_ABOVE = 200
"""Tasks: from there on the stream tells how far it is."""
TOLD_EVERY_S = 0.25
SHOWN_MAX = 200
ANSWERS_MAX = 300
LINES_MAX = 200
NOTES_MAX = 20
LINE_MAX = 500


@dataclass
class Moved:
    """What was done, for whoever undoes it."""

    tasks: list[tuple[Task, str]] = field(default_factory=list)
    """Each as it was before, and its name now."""
    flags: dict[str, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """What stood in each flag before and after; None: there was none."""
    finished_server_s: float = float("inf")
    """When the run was over, by the server's clock; tries that are noted later were made since."""
    submitted: list[str] = field(default_factory=list)
    """Names in pending/ of new tasks."""
    is_rewritten: bool = False
    """A file was saved."""


class Progress:
    """The run of one plan."""

    def __init__(self, plan: str, total: int, say: Callable[[StreamNote], None], clock: Callable[[], float]) -> None:
        """Nothing has happened yet.

        Args:
            plan: its id.
            total: so many things are to be done.
            say: tells those who look on.
            clock: monotonic seconds.
        """
        self._plan = plan
        self._total = total
        self._heard = say
        self._clock = clock
        self._said_at = float("-inf")
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._shown: list[TaskOutcome] = []
        self._others: list[TaskOutcome] = []
        self._answers: list[NodeAnswer] = []
        self._problem: Note | None = None
        self._notes: list[str] = []
        self._agent: AgentOutcome | None = None
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.is_finished = False
        self.moved = Moved()

    # -- what the run tells ------------------------------------------------------------------------------------------

    def told(self, task: Task, outcome: Outcome) -> None:
        """What became of a task.

        Args:
            task: as it was meant.
            outcome: what was made of it.
        """
        if outcome.what is What.DONE:
            self.moved.tasks.append((task, outcome.name))
        key = key_of(task.id or task.name)
        why = None if outcome.why is None else note_of(outcome.why)
        self.note(key, task.plain_title, outcome.what, outcome.where, why)

    def note(self, key: str, title: str, what: What, where: str = "", why: Note | None = None) -> None:
        """What became of anything that has a key."""
        outcome = TaskOutcome(key=key, title=text_of(title), what=what.value, where=text_of(where), why=why)
        with self._lock:
            self._counts[outcome.what] += 1
            into = self._shown if what is What.DONE else self._others
            if len(into) < SHOWN_MAX:
                into.append(outcome)
        self._say_now_and_then()

    def answered(self, answer: Answer) -> None:
        """What a node said."""
        lines = [text_of(line, LINE_MAX) for line in answer.lines[:LINES_MAX]]
        told = NodeAnswer(node=key_of(answer.node), reply=answer.reply.value, lines=lines)
        with self._lock:
            if len(self._answers) < ANSWERS_MAX:
                self._answers.append(told)
            done = sum(self._counts.values())
        self._say(
            StreamNote(
                plan=self._plan, done=done, total=self._total, node=told.node, reply=told.reply, lines=told.lines
            )
        )

    def remark(self, text: str) -> None:
        """What else is to be said."""
        with self._lock:
            if len(self._notes) < NOTES_MAX:
                self._notes.append(text_of(text))

    def agent(self, what: What, why: Note, node: str) -> None:
        """What became of the agent that a console starts, or has started."""
        told = AgentOutcome(what=what.value, text=why.text.en, why=why, node=node)
        with self._lock:
            self._agent = told

    def finish(self, problem: Note | None = None) -> None:
        """Nothing more comes.

        Args:
            problem: why it did not come to its end.
        """
        with self._lock:
            self._problem = problem
            self.is_finished = True
            done = sum(self._counts.values())
            waiters, self._waiters = self._waiters, []
        for loop, event in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
        if self._total > TOLD_ABOVE:
            self._say(StreamNote(plan=self._plan, done=done, total=self._total))

    def _say(self, note: StreamNote) -> None:
        try:
            self._heard(note)
        except RuntimeError:
            pass  # the console ends meanwhile: what was begun is done all the same

    def _say_now_and_then(self) -> None:
        now = self._clock()
        if self._total > TOLD_ABOVE and now - self._said_at >= TOLD_EVERY_S:
            self._said_at = now
            self._say(StreamNote(plan=self._plan, done=sum(self._counts.values()), total=self._total))

    async def finished(self) -> None:
        """Wait until it is over."""
        event = asyncio.Event()
        with self._lock:
            if self.is_finished:
                return
            self._waiters.append((asyncio.get_running_loop(), event))
        await event.wait()

    # -- what others see ---------------------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[str, int]:
        """By what."""
        with self._lock:
            return dict(self._counts)

    @property
    def problem(self) -> Note | None:
        """Why it did not come to its end."""
        return self._problem

    def view(self, undo_until_s: float | None) -> PlanOutcome:
        """What is known so far.

        Args:
            undo_until_s: until when what was done can be undone; None: it cannot.
        """
        with self._lock:
            return PlanOutcome(
                id=self._plan,
                state="finished" if self.is_finished else "running",
                done=sum(self._counts.values()),
                total=self._total,
                counts=dict(self._counts),
                outcomes=[*self._others, *self._shown],
                answers=list(self._answers),
                submitted=[key_of(one.partition("-")[2]) for one in self.moved.submitted[:SHOWN_MAX]],
                undo_until_s=undo_until_s if self.is_finished else None,
                problem=self._problem,
                notes=list(self._notes),
                agent=self._agent,
            )
