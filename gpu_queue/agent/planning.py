"""What waits, and what is done about it: the facts of this node at one moment, the plan, and what it starts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.beat import Beat
from gpu_queue.agent.cards import Cards
from gpu_queue.agent.fillers import Fillers
from gpu_queue.agent.gangs import Gangs
from gpu_queue.agent.looking import Looking
from gpu_queue.agent.place import Place
from gpu_queue.agent.rests import limits
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Settings
from gpu_queue.reasons import Reason
from gpu_queue.scheduling.admission import Terms, dedicated, shared
from gpu_queue.scheduling.facts import Demand, Facts, Phase
from gpu_queue.scheduling.order import in_turn
from gpu_queue.scheduling.plan import LOOK_AHEAD, Assemble, Start, plan, positions_without_gpu
from gpu_queue.scheduling.selecting import turn_after
from gpu_queue.sharing import Mode
from gpu_queue.task import Waiting
from gpu_queue.words import in_words


class Planning:
    """One agent's."""

    def __init__(
        self,
        cards: Cards,
        tries: Tries,
        looking: Looking,
        gangs: Gangs,
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
            gangs: our part in tasks over several nodes.
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
        self._gangs = gangs
        self._fillers = fillers
        self._beat = beat
        self._place = place
        self._agenda = agenda
        self._settings = settings
        self._ends_at = ends_at
        self.phase = Phase.SERVING
        """What the agent is up to."""
        self.phase_reason: Reason | None = None
        self._lottery = secrets.token_hex(8)
        """Drawn once, so that a plan that is made anew is the same plan."""
        self._listed: Sequence[Waiting] = ()
        self._in_turn: tuple[Waiting, ...] = ()
        """What was listed so, in the order in which it has its turn on a shared server."""
        self._without_gpu: tuple[int, ...] = ()
        self._turn = 0
        self._ready_since: Mapping[str, float] = {}
        self._kept_since: Mapping[Demand, float] = {}
        self._serving_since: float | None = None

    @property
    def _is_shared(self) -> bool:
        return self._settings().mode is Mode.SHARED

    def left_s(self, now: float) -> float | None:
        """In how many seconds a task that says its time must be over; None: there is no end."""
        left_s = self._ends_at - now
        return None if left_s == float("inf") else left_s

    def facts(self, now: float) -> Facts:
        """This node at this moment."""
        settings, is_shared = self._settings(), self._is_shared
        tries, looking = self._tries, self._looking
        server_now = time.time() + self._beat.ahead_s
        waiting, without_gpu = self._waiting() if is_shared else (looking.view.waiting, looking.without_gpu)
        has = [bool(one.gpus) for one in tries.live.values() if one.holds_gpus and not one.refusal]
        return Facts(
            now=now,
            server_now=server_now,
            phase=self.phase,
            phase_reason=self.phase_reason,
            gpus=self._cards.facts(now, tries.holdings.gpus()),
            waiting=waiting,
            without_gpu=without_gpu,
            cpu_tasks=has.count(False),
            gpu_tasks=has.count(True) + (self._cards.tasks_elsewhere if is_shared else 0),
            lifetime_left_s=self.left_s(now),
            waits_at_end=settings.at_end == "wait",
            resting=tries.rests.until,
            claiming=frozenset(tries.claimed_names),
            in_doubt=frozenset(tries.in_doubt),
            busy_queues=looking.busy_queues,
            titles=looking.titles,
            limits=limits(settings),
            turn=self._turn,
            serving_since=server_now if self._serving_since is None else self._serving_since,
            ready_since=self._ready_since,
            kept_since=self._kept_since,
            gangs=self._gangs.around(),
            policy=shared if is_shared else dedicated,
            terms=Terms(settings.foreign_memory_bytes, settings.sharing),
        )

    def _waiting(self) -> tuple[Sequence[Waiting], Sequence[int]]:
        """What waits in the order in which it has its turn, and what of it needs no GPU: asked once for a listing."""
        listed = self._looking.view.waiting
        if listed is not self._listed:
            self._listed, self._in_turn = listed, in_turn(listed, self._lottery)
            self._without_gpu = positions_without_gpu(self._in_turn)
        return self._in_turn, self._without_gpu

    def advance(self, now: float) -> None:
        """Plan, if that is due, and start what may start."""
        # What can never run is found when it was listed, not again each time that a GPU becomes free.
        agenda, looking = self._agenda, self._looking
        if self.phase is not Phase.SERVING:
            self._serving_since = None
        is_anew, is_due = agenda.take(Duty.PLAN_ANEW, now), agenda.take(Duty.PLAN, now)
        if not (is_anew or is_due) or not looking.has_looked or looking.root.damage or self._place.problem:
            return
        facts = self.facts(now)
        if self.phase is Phase.SERVING:
            self._serving_since = facts.serving_since
        decided = plan(facts, LOOK_AHEAD if is_anew else 0)
        self._ready_since, self._kept_since = decided.ready_since, decided.kept_since
        self._gangs.assembling.unwanted = decided.unwanted
        self._gangs.assembling.is_serving = facts.phase is Phase.SERVING
        if decided.actions and not self._fillers.is_empty:
            agenda.want(Duty.KEEP)  # a worker may have to go
        for action in decided.actions:
            if isinstance(action, Assemble):
                if not (self._cards.may_be_given(action.gpus, now, agenda) and self._assemble(action, facts)):
                    break
            elif isinstance(action, Start):
                if not (self._cards.may_be_given(action.gpus, now, agenda) and self._start(action, facts)):
                    break  # their answer, or the next look, plans again
            else:
                self._tries.refuse(action.task, in_words(action.reason), now)
            agenda.want(Duty.TELL)
        if decided.needs_reading and not looking.is_out:
            agenda.want(Duty.LOOK)
        if facts.waiting:
            self._cards.watch_foreign(facts.states(), now, agenda)
            if facts.is_shared:
                agenda.want(Duty.PLAN_ANEW, now + facts.terms.sharing.check_time_s)

    def _assemble(self, what: Assemble, facts: Facts) -> bool:
        if what.task.task_id is None:
            self._tries.give_id(what.task, facts.now)
            return True
        rooms = None if what.reserve_bytes is None else self._cards.rooms(what.gpus, facts.now)
        return self._gangs.assembling.start(what, facts.now, rooms)

    def _start(self, what: Start, facts: Facts) -> bool:
        rooms = None if what.reserve_bytes is None else self._cards.rooms(what.gpus, facts.now)
        if not self._tries.start(what, facts.now, rooms):
            return False
        self._turn = turn_after([card.index for card in facts.gpus if card.uuid in what.gpus], self._turn)
        return True
