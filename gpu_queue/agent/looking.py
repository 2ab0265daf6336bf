"""What the agent knows of its spool, by looks that the storage thread makes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.current import Current
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Config
from gpu_queue.node.pending import PendingView
from gpu_queue.node.side import Look, LookRequest, NodeSide, RootView
from gpu_queue.node.storage import Errand, Failed, Storage
from gpu_queue.scheduling.cadence import Cadence
from gpu_queue.scheduling.plan import positions_without_gpu
from gpu_queue.spool.commands import Command

BUSY_FOR_S = 10.0
"""So long after something ran here, or was commanded, it looks around more often."""


@dataclass(frozen=True)
class Seen:
    """A look that went well, and what had been asked before it."""

    look: Look
    questions: tuple[Command, ...]


class Looking:
    """One agent's looks at its spool."""

    def __init__(
        self,
        spool: NodeSide,
        storage: Storage,
        tries: Tries,
        agenda: Agenda,
        current: Current,
        now: float,
        say: Callable[[str], None],
        seen: Callable[[Seen], None],
    ) -> None:
        """Look at nothing yet.

        Args:
            spool: what is looked at.
            storage: makes the looks.
            tries: what runs here.
            agenda: when to look.
            current: the settings of the moment.
            now: monotonic seconds.
            say: tells people.
            seen: is told of every look that went well.
        """
        self._spool = spool
        self._tries = tries
        self._agenda = agenda
        self._current = current
        self._say = say
        self._seen = seen
        self._looks: Errand[Look] = Errand(
            storage,
            "look",
            say,
            trouble="the spool could not be looked at",
            over="the spool can be looked at again",
        )
        self._cadence = Cadence(current.settings.poll_s)
        self._busy_until = now
        self.view = PendingView((), 0, None)
        self.without_gpu: tuple[int, ...] = ()
        self.has_looked = False
        self.root = RootView(None, None, None, Config())
        self.runs_somewhere = True
        """Something may run on some node."""
        self._busy_queues: Mapping[str, str] = {}
        agenda.want(Duty.LOOK, now)

    @property
    def problem(self) -> str:
        """Why the spool cannot be looked at, for people."""
        return self._looks.problem

    @property
    def is_out(self) -> bool:
        """Whether a look is being made."""
        return self._looks.is_out()

    def due(self, now: float) -> float:  # noqa: ARG002
        """When the next look is."""
        return NEVER if self.is_out else self._agenda.at(Duty.LOOK)

    @property
    def busy_queues(self) -> dict[str, str]:
        """Busy queues as the last look found them, and those of the tasks that were taken since."""
        live = [one for one in self._tries.live.values() if not one.refusal]
        return {**self._busy_queues, **{one.needs.queue: one.claim.task_id for one in live if one.needs.queue}}

    def advance(self, now: float, questions: tuple[Command, ...], *, is_busy: bool) -> frozenset[str]:
        """Look, if it is due.

        Args:
            now: monotonic seconds.
            questions: what is asked of what waits: its tasks are read in any case.
            is_busy: a command is being obeyed.

        Returns:
            What else than pending/ is due (:class:`Cadence`).
        """
        if self.is_out or not self._agenda.take(Duty.LOOK, now):
            return frozenset()
        # A try that is settling may be back in pending/ by the time that the listing is made.
        live = [one for one in self._tries.live.values() if one.holds_gpus]
        if self._tries.live or is_busy:
            self._busy_until = now + BUSY_FOR_S
        everything = self._agenda.take(Duty.LOOK_AROUND, now)
        due = self._cadence.due(now, is_busy=now < self._busy_until, everything=everything)
        settings = self._current.settings
        request = LookRequest(
            now,
            frozenset(one.claim.task_id for one in live),
            own="own" in due,
            commands="commands" in due,
            root="root" in due,
            everywhere=settings.until_empty and not self._tries.live and not self.view.waiting,
            default_gpus=settings.default_gpus,
            asked_for=frozenset(one for question in questions for one in question.tasks),
        )
        self._agenda.put_off(Duty.LOOK, now + settings.poll_s)
        taken_before = frozenset(self._tries.claimed_names)
        had_problem = bool(self._looks.problem)

        def done(result: Look | Failed) -> None:
            if had_problem != bool(self._looks.problem):
                self._agenda.want(Duty.TELL)
            if not isinstance(result, Failed):
                # What was taken before this look was asked for is no longer in its listing, unless it came back.
                self._tries.claimed_names -= taken_before
                self._take(result, request)
                self._seen(Seen(result, questions))

        self._looks.send(lambda: self._spool.look(request), done)
        return due

    def _take(self, look: Look, request: LookRequest) -> None:
        if look.pending.waiting != self.view.waiting:
            self._agenda.want(Duty.TELL)
        self.view = look.pending
        self.without_gpu = positions_without_gpu(self.view.waiting)
        self.has_looked = True
        if look.pending.next_look_s is not None:
            self._agenda.want(Duty.LOOK, request.now + look.pending.next_look_s)
        self._busy_queues = look.busy_queues
        if look.runs_somewhere is not None:
            self.runs_somewhere = look.runs_somewhere
        if look.root is not None:
            self._take_root(look.root)

    def _take_root(self, root: RootView) -> None:
        before = (self.root.paused, self.root.draining, self.root.keepalive_off)
        if (root.paused, root.draining, root.keepalive_off) != before:
            self._agenda.want(Duty.TELL)
            self._agenda.want(Duty.KEEP)
        if root.damage != self.root.damage:
            self._say(root.damage or "the directories of the spool are whole again")
            self._agenda.want(Duty.TELL)
            self._agenda.want(Duty.PLAN_ANEW)
        self.root = root
        if self._current.take(root):
            self._agenda.want(Duty.TELL)
