"""What the agent knows of its spool, by looks that the storage thread makes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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
from gpu_queue.spool.paths import parse_full
from gpu_queue.spool.queues import parse_token
from gpu_queue.spool.records import told_title
from gpu_queue.spool.tallies import Tally
from gpu_queue.task import State, Waiting

BUSY_FOR_S = 10.0
"""So long after something ran here, or was commanded, it looks around more often."""
GATHER_S = 0.005
"""What ends on other nodes within so long is looked at together."""
REST_TIMES = 4.0
"""For so many times what a look took, no end on another node causes the next: others may settle hundreds a second."""


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
        watch_ends: Callable[[list[str]], str],
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
            watch_ends: has file events tell of ends in these directories; returns why they do not.
        """
        self._spool = spool
        self._tries = tries
        self._agenda = agenda
        self._current = current
        self._say = say
        self._seen = seen
        self._watch_ends = watch_ends
        self._watches: Errand[str] = Errand(storage, "watch", say)
        self._heard_of: set[str] = set()
        """Those of ``NodeSide.ends`` of which file events are to tell."""
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
        self.tallies: Mapping[str, Tally] = {}
        self._titles: Mapping[str, str] = {}
        self._waiters: dict[str, list[int]] = {}
        """The places in ``view`` of the tasks that wait for a task."""
        self._asked_at: float | None = None
        self._rests_until = now
        self._has_heard = False
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
        live = [one for one in self._tries.live.values() if not one.refusal and not one.is_assembling]
        return {**self._busy_queues, **{one.needs.queue: one.claim.task_id for one in live if one.needs.queue}}

    @property
    def titles(self) -> dict[str, str]:
        """What those are called that others wait for, where no id can carry it: by the last look, or running here."""
        live = ((one.claim.task_id, one.title) for one in self._tries.live.values())
        return {**self._titles, **{one: title for one, name in live if (title := told_title(one, name))}}

    def advance(self, now: float, questions: tuple[Command, ...], *, is_busy: bool) -> frozenset[str]:
        """Look, if it is due.

        Args:
            now: monotonic seconds.
            questions: what is asked of what waits: its tasks are read in any case.
            is_busy: a command is being obeyed.

        Returns:
            What else than pending/ is due (:class:`Cadence`).
        """
        if self._asked_at is not None and not self.is_out:
            self._rests_until = now + REST_TIMES * (now - self._asked_at)
            self._asked_at = None
        if self._has_heard:
            self._has_heard = False
            self._agenda.want(Duty.LOOK, max(now + GATHER_S, self._rests_until))
        self._take_ended()
        if self.is_out or not self._agenda.take(Duty.LOOK, now):
            return frozenset()
        # A try that is settling may be back in pending/ by the time that the listing is made.
        live = [one for one in self._tries.live.values() if one.holds_gpus and not one.is_assembling]
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
            queued={one.claim.task_id: one.needs.queue for one in live if one.needs.queue and not one.refusal},
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
                self._tries.in_doubt -= taken_before
                self._take(result, request)
                self._seen(Seen(result, questions))

        self._asked_at = now
        self._looks.send(lambda: self._spool.look(request), done)
        return due

    def hear_of_end(self, directory: str, name: str) -> None:
        """A file event: something has ended for which somebody waits.  What we end ourselves is known without a look.

        Args:
            directory: one of :attr:`NodeSide.ends`.
            name: of the file that arrived there.
        """
        paths, live = self._spool.paths, self._tries.live.values()
        if directory == paths.queues:
            token = parse_token(name)
            if token is None or token[0] in {one.needs.queue for one in live if not one.refusal}:
                return
        else:
            full = parse_full(name)
            if full is None or full[1] in {one.claim.task_id for one in live}:
                return
            self._spool.reader.arrived(State.DONE if directory == paths.directory(State.DONE) else State.FAILED, name)
        self._has_heard = True

    def _take_ended(self) -> None:
        """What was settled here has freed its queue, and whoever waits for it waits no longer."""
        for one in self._tries.tally.take():
            if one.queue is not None or one.task_id in self._busy_queues.values():
                self._busy_queues = {queue: by for queue, by in self._busy_queues.items() if by != one.task_id}
                self._agenda.want(Duty.PLAN)
            if one.task_id in self._waiters:
                waiting = list(self.view.waiting)
                for position in self._waiters[one.task_id]:
                    waiting[position] = _told(waiting[position], one.task_id, one.state)
                self.view = replace(self.view, waiting=tuple(waiting))
                self._agenda.want(Duty.PLAN_ANEW)

    def _take(self, look: Look, request: LookRequest) -> None:
        if look.titles != self._titles:
            self._titles = look.titles
            self._agenda.want(Duty.TELL)
        if look.pending.waiting != self.view.waiting:
            self._agenda.want(Duty.TELL)
            self._waiters = {}
            for position, task in enumerate(look.pending.waiting):
                for task_id in task.needs.after:
                    self._waiters.setdefault(task_id, []).append(position)
        if look.tallies is not self.tallies:
            self.tallies = look.tallies
            self._agenda.want(Duty.TELL)
        self.view = look.pending
        self.without_gpu = positions_without_gpu(self.view.waiting)
        self.has_looked = True
        if look.pending.next_look_s is not None:
            self._agenda.want(Duty.LOOK, request.now + look.pending.next_look_s)
        self._busy_queues = look.busy_queues
        reader = self._spool.reader
        self._heard_of.difference_update(look.made)
        unheard = [directory for directory in self._spool.ends if directory not in self._heard_of]
        if unheard and (reader.awaited_ids or reader.awaited_queues):
            self._begin_to_hear(unheard)
        if look.runs_somewhere is not None:
            self.runs_somewhere = look.runs_somewhere
        if look.root is not None:
            self._take_root(look.root)

    def _begin_to_hear(self, directories: list[str]) -> None:
        """Not sooner than something waits for an end: on a busy spool events cost more than they are worth."""

        def call() -> str:
            problem = self._watch_ends(directories)
            self._spool.reader.ask_again()  # for what has ended meanwhile
            return problem

        def done(result: str | Failed) -> None:
            self._agenda.want(Duty.LOOK)
            if result:
                self._say(str(result))

        if self._watches.send(call, done):
            self._heard_of.update(directories)

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


def _told(task: Waiting, task_id: str, state: State) -> Waiting:
    """A task that knows how one that it waits for has ended."""
    return replace(task, upstream=tuple((one, state if one == task_id else was) for one, was in task.upstream))
