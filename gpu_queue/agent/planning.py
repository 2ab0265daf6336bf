"""What waits, and what is done about it: the facts of this node at one moment, the plan, and what it starts."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.beat import Beat
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.fillers import Fillers
from gpu_queue.agent.looking import Looking
from gpu_queue.agent.place import Place
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Settings
from gpu_queue.reasons import Reason
from gpu_queue.scheduling.admission import Terms
from gpu_queue.scheduling.facts import Facts, Limits, Phase
from gpu_queue.scheduling.plan import LOOK_AHEAD, Start, plan
from gpu_queue.words import in_words


class Planning:
    """One agent's."""

    def __init__(
        self,
        cards: Cards,
        tries: Tries,
        looking: Looking,
        fillers: Fillers,
        beat: Beat,
        place: Place,
        agenda: Agenda,
        settings: Callable[[], Settings],
        ends_at: float,
    ) -> None:
        """Plan nothing yet.

        Args:
            cards: what may be given.
            tries: what runs, and starts what is planned.
            looking: what waits.
            fillers: a worker may have to go for what starts.
            beat: knows the server's clock.
            place: nothing is started without it.
            agenda: says when to plan.
            settings: of the moment.
            ends_at: when a task that says its time must be over, in monotonic seconds; infinite: there is no end.
        """
        self._cards = cards
        self._tries = tries
        self._looking = looking
        self._fillers = fillers
        self._beat = beat
        self._place = place
        self._agenda = agenda
        self._settings = settings
        self._ends_at = ends_at
        self.phase = Phase.SERVING
        """What the agent is up to."""
        self.phase_reason: Reason | None = None

    def left_s(self, now: float) -> float | None:
        """In how many seconds a task that says its time must be over; None: there is no end."""
        left_s = self._ends_at - now
        return None if left_s == float("inf") else left_s

    def facts(self, now: float) -> Facts:
        """This node at this moment."""
        settings = self._settings()
        tries, looking = self._tries, self._looking
        return Facts(
            now=now,
            server_now=time.time() + self._beat.ahead_s,
            phase=self.phase,
            phase_reason=self.phase_reason,
            gpus=self._cards.facts(now, tries.holdings.gpus()),
            waiting=looking.view.waiting,
            without_gpu=looking.without_gpu,
            cpu_tasks=sum(not one.gpus and not one.refusal and one.holds_gpus for one in tries.live.values()),
            lifetime_left_s=self.left_s(now),
            waits_at_end=settings.at_end == "wait",
            resting=tries.rests.until,
            claiming=frozenset(tries.claimed_names),
            busy_queues=looking.busy_queues,
            titles=looking.titles,
            limits=Limits(settings.cpu_slots, settings.retry_delay_s, infeasible=settings.infeasible),
            terms=Terms(settings.foreign_memory_bytes),
        )

    def advance(self, now: float) -> None:
        """Plan, if that is due, and start what may start."""
        # What can never run is found when it was listed, not again each time that a GPU becomes free.
        agenda, looking = self._agenda, self._looking
        is_anew, is_due = agenda.take(Duty.PLAN_ANEW, now), agenda.take(Duty.PLAN, now)
        if not (is_anew or is_due) or not looking.has_looked or looking.root.damage or self._place.problem:
            return
        facts = self.facts(now)
        decided = plan(facts, LOOK_AHEAD if is_anew else 0)
        if decided.actions and not self._fillers.is_empty:
            agenda.want(Duty.KEEP)  # a worker may have to go
        for action in decided.actions:
            if isinstance(action, Start):
                if not (self._cards.may_be_given(action.gpus, now, agenda) and self._start(action, now)):
                    break  # their answer, or the next look, plans again
            else:
                self._tries.refuse(action.task, in_words(action.reason), now)
            agenda.want(Duty.TELL)
        if decided.needs_reading and not looking.is_out:
            agenda.want(Duty.LOOK)
        if facts.waiting:
            self._cards.watch_foreign(facts.states(), now, agenda)

    def _start(self, what: Start, now: float) -> bool:
        rooms = None if what.reserve_bytes is None else self._cards.rooms(what.gpus, now)
        return self._tries.start(what, now, rooms)
