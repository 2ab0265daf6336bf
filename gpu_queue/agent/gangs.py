"""What an agent does about tasks over several nodes (docs/spool.md, "Tasks over several nodes").

- The storage thread looks, ``scheduling.gangs`` decides, the storage thread renames.
- A call or an offer of ours is a try that is being claimed: its GPUs are leased and its shim waits, while the
  keep-alive goes on on them.  When the gang goes it is a try like any other; its claim lies in the gang's directory.
- A try of rank 0 that has ended is moved on when all ranks have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gpu_queue.agent import stages
from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.assembling import Assembling
from gpu_queue.agent.ganged import Ganged
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.looking import Looking
from gpu_queue.agent.sightings import Sightings
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tries import Tries
from gpu_queue.agent.watching import terms_of
from gpu_queue.config import Settings
from gpu_queue.gpus.devices import Gpu
from gpu_queue.node.gangs import GangLook
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.node.transitions import Settled
from gpu_queue.scheduling.gangs import (
    Around,
    Gang,
    Terms,
    Tidy,
    agreed,
    asks,
    gather,
    tidy,
    verdict,
)
from gpu_queue.spool.paths import parse_claim
from gpu_queue.states import GangStage
from gpu_queue.task import WITHDRAWN, Claim, End, RankEnd, Waiting, Why

OTHERS_POLLS, IDLE_POLLS = 10.0, 60.0
"""So many looks at pending/ an agent makes for one at gangs in which it has no part, and where there are none."""
THOROUGH_BEATS = 1 / 3
DEAD_BEATS = 3.0
OTHERS_END_IT = "its other nodes end it"
"""In the log of a rank: whether its task goes back or fails is told in that of the rank that ended first."""
TOLD_TO_END = 143
"""The status that is said of a rank which has been told to end, and has not ended yet."""


def gang_terms(settings: Settings, *, is_local: bool) -> Terms:
    """How long what must stand still, by the settings."""
    watch = terms_of(settings, is_local=is_local)
    return Terms(
        takeover_after_s=watch.takeover_after_s,
        dead_after_s=min(watch.takeover_after_s, DEAD_BEATS * settings.beat_s),
        patience_s=2 * settings.beat_s + settings.stop_grace_s + (0.0 if is_local else settings.cache_s),
        unclaimed_after_s=max(2 * THOROUGH_BEATS * settings.beat_s, 2.0),
    )


class Gangs:
    """One agent's part in all gangs."""

    def __init__(
        self,
        around: Surroundings,
        tries: Tries,
        looking: Looking,
        agenda: Agenda,
        settings: Callable[[], Settings],
        gpus: Callable[[], Sequence[Gpu]],
        clock: Callable[[], float],
    ) -> None:
        """Have no part yet.

        Args:
            around: where gangs are, and who looks there.
            tries: those of this node.
            looking: what waits.
            agenda: when to plan.
            settings: of the moment.
            gpus: all of this node.
            clock: monotonic seconds.
        """
        self._spool = spool = around.spool
        storage, self._say = around.storage, around.say
        self._tries = tries
        self._looking = looking
        self._agenda = agenda
        self._settings = settings
        self._clock = clock
        trouble, over = "the gangs could not be looked at", "the gangs can be looked at again"
        self._looks: Errand[GangLook] = Errand(storage, "gangs", self._say, trouble=trouble, over=over)
        self._errands: Errand[object] = Errand(storage, "gang", self._say)
        self._look_at = 0.0
        self._thorough_at = self._touched_at = float("-inf")
        self._began_at = float("-inf")
        """When the last good look began."""
        self._seen = Sightings()
        self._had: set[str] = set()
        """What was in hand a step ago."""
        self._listed: Sequence[Waiting] = ()
        self._waits = False
        self.assembling = Assembling(
            spool, tries, looking, settings, gpus, clock, self._say, self._errands, self._look_soon
        )
        self.warn: Callable[[str, float], object] = lambda *_: None
        """Has a try warned, by its name, as another of its ranks was: of an end at about that time."""
        tries.gathers = self._gathers

    def _look_soon(self) -> None:
        self._look_at = 0.0

    # -- for the plan ----------------------------------------------------------------------------------------------

    @property
    def _terms(self) -> Terms:
        return gang_terms(self._settings(), is_local=self._spool.mount.is_local)

    @property
    def _verdict_terms(self) -> Terms:
        """The same; whoever gives its node back has no more time for ranks that do not end than for its own."""
        terms, leave_s = self._terms, self._settings().leave_grace_s / 2
        return replace(terms, patience_s=min(terms.patience_s, leave_s)) if self._tries.is_leaving else terms

    def _live(self) -> list[LiveTry]:
        return [one for one in self._tries.live.values() if one.gang is not None]

    def around(self) -> Around:
        """What a plan must know."""
        held = {
            one.claim.task_id: self._seen.gang(one.gang.name)
            for one in self._live()
            if one.is_assembling and one.gang is not None
        }
        return Around(self._seen.gangs, self._seen.nodes, held, self._terms)

    # -- the step --------------------------------------------------------------------------------------------------

    def due(self, now: float) -> float:  # noqa: ARG002
        """When it looks again."""
        return NEVER if self._looks.is_out() else self._look_at

    def advance(self, now: float) -> None:
        """Look, if it is due; and do what follows from the last look."""
        live = self._live()
        settings = self._settings()
        is_waiting = self._is_waiting()
        names = {one.name for one in live}
        if self._had - names:  # its shim may have said how it ended, which the next look tells
            self._look_soon()
        self._had = names
        if live or is_waiting:
            self._look_at = min(self._look_at, self._began_at + settings.poll_s)
        if self._looking.has_looked and now >= self._look_at and not self._looks.is_out():
            self._look_at = now + settings.poll_s * (OTHERS_POLLS if self._seen.gangs else IDLE_POLLS)
            is_thorough = now - self._thorough_at >= THOROUGH_BEATS * settings.beat_s
            if not is_waiting:
                self._seen.nodes = None
            asks = is_waiting and (is_thorough or self._seen.nodes is None)
            if is_thorough:
                self._thorough_at = now
            self._looks.send(
                lambda: self._spool.gangs.look(now, thorough=is_thorough, serving=asks),
                self._looked,
            )
        if live and now - self._touched_at >= THOROUGH_BEATS * settings.beat_s:
            self._touched_at = now
            for one in live:
                self._touch(one)
        for one in live:
            self._act(one, now)

    def _is_waiting(self) -> bool:
        """Whether a task over several nodes waits: asked once for a listing."""
        waiting = self._looking.view.waiting
        if waiting is not self._listed:
            self._listed, self._waits = waiting, any(task.needs.nodes > 1 for task in waiting)
        return self._waits

    def _touch(self, one: LiveTry) -> None:
        if one.gang is not None and one.is_assembling and one.gang.made_at is not None:
            claim, member = one.gang.claim, None if one.gang.rank == 0 else one.claim
            self._errands.send(lambda: self._spool.gangs.touch(claim, member), key=("touch", one.name))

    def _looked(self, look: GangLook | Failed) -> None:
        if isinstance(look, Failed):
            return
        now = self._clock()
        before = (self._seen.gangs, self._seen.nodes)
        self._began_at = look.began_at
        self._seen.take(look, now, self._terms)
        if (self._seen.gangs, self._seen.nodes) != before:
            self._agenda.want(Duty.PLAN_ANEW)
            self._agenda.want(Duty.TELL)
        for gang in self._seen.gangs:
            self._recover(gang, now)
        for one in self._live():
            self._act(one, now)

    # -- what is ours and not in hand ------------------------------------------------------------------------------

    def _recover(self, gang: Gang, now: float) -> None:
        parsed = parse_claim(gang.name)
        assert parsed is not None
        claim, node = parsed[0], self._spool.node
        for name, end in gang.members.items():
            if gang.nodes.get(name) == node and end is None and name not in self._tries.live:
                self._take_up(gang, claim, name, now)
        for name, whose in gang.offers.items():
            if whose == node and name not in self._tries.live:
                self._errand(name, partial(self._spool.gangs.leave, claim, _claim_of(name), WITHDRAWN))
        owner = self._tries.live.get(gang.name)
        if owner is not None and owner.gang is None:
            ranks = self._seen.ranks(gang.name)
            nodes = len(ranks.ranks) if ranks is not None else 1 + len(gang.members)
            owner.gang = Ganged(claim, nodes, 0, ranks, made_at=now)
        if owner is None and not any(one.gang and one.gang.name == gang.name for one in self._live()):
            done = tidy(gang, node, self._terms)
            if done is Tidy.END:
                self._errand(gang.name, lambda: self._spool.gangs.finish(claim, None))
            elif done is Tidy.REMOVE:
                self._errand(gang.name, lambda: self._spool.gangs.remove(claim))

    def _take_up(self, gang: Gang, claim: Claim, name: str, now: float) -> None:
        ranks = self._seen.ranks(gang.name)
        mine = ranks.of(name) if ranks is not None else None
        nodes = len(ranks.ranks) if ranks is not None else 1 + len(gang.members)
        ganged = Ganged(claim, nodes, mine.rank if mine else len(gang.members), ranks, made_at=now)
        self._tries.take_up(_claim_of(name), None, now, ganged)

    def _errand(self, key: object, call: Callable[[], object]) -> None:
        def done(result: object) -> None:
            if isinstance(result, Failed):
                self._say(f"{key}: {result}")
            if isinstance(result, Failed) or result is False:  # asked again, but not in a rush
                self._look_at = min(self._look_at, self._clock() + self._settings().poll_s)
            else:
                self._look_soon()

        self._errands.send(call, done, key)

    # -- what is in hand -------------------------------------------------------------------------------------------

    def _act(self, one: LiveTry, now: float) -> None:
        ganged = one.gang
        if ganged is None or self._errands.is_out(one.name):
            return
        gang = self._seen.gang(ganged.name)
        if gang is not None:
            ganged.missing_at = None
            ganged.ranks = ganged.ranks or self._seen.ranks(ganged.name)
            if gang.stage is GangStage.OFF and ganged.off_at is None:
                ganged.off_at = now
            if gang.end is not None and gang.stage is GangStage.OFF:
                ganged.by = gang.end
            if ganged.asked_at is None and asks(gang, ganged.settles):
                ganged.asked_at = now
        elif ganged.missing_at is None or self._began_at < ganged.missing_at:
            ganged.missing_at = now if ganged.missing_at is None else ganged.missing_at
        if one.is_assembling:
            is_seen = ganged.made_at is not None and self._began_at >= ganged.made_at
            if is_seen and (gang is not None or self._is_gone(ganged)):
                self.assembling.advance(one, ganged, gang, self._seen.gangs, self._terms)
        elif isinstance(one.stage, (stages.Clearing, stages.Running)):
            self._watch(one, ganged, gang, now)
        elif ganged.settles is not None and self._began_at >= ganged.settles_at:
            self._gather(one, ganged, gang, now)

    def _is_gone(self, ganged: Ganged) -> bool:
        """Whether two looks lack its directory."""
        return ganged.missing_at is not None and self._began_at > ganged.missing_at

    # -- while it runs ---------------------------------------------------------------------------------------------

    def _warn_all(self, one: LiveTry, ganged: Ganged, gang: Gang, now: float) -> None:
        """What one rank is told they all are."""
        if one.is_warned and not ganged.is_warning_said and not gang.is_warned:
            ganged.is_warning_said = True
            self._errand(("warned", one.name), lambda: self._spool.gangs.say_warned(ganged.claim))
        elif gang.is_warned and not one.is_warned and one.needs.signal is not None:
            self.warn(one.name, now + one.needs.signal.before_s)

    @staticmethod
    def _asked_s(ganged: Ganged, now: float) -> float:
        return 0.0 if ganged.asked_at is None else now - ganged.asked_at

    def _watch(self, one: LiveTry, ganged: Ganged, gang: Gang | None, now: float) -> None:
        if gang is not None:
            self._warn_all(one, ganged, gang, now)
        if ganged.rank:
            is_off = self._is_gone(ganged) if gang is None else gang.stage is GangStage.OFF
            if is_off and one.why is None:
                ganged.is_told_off = True
                self._say(f"{one.name}: the other nodes of its task end it; it is ended")
                self._tries.stop(one, Why.REQUEUE, now)
            elif not is_off and one.why is not None and not ganged.is_said and gang is not None:
                ganged.is_said = True
                by = RankEnd(ganged.rank, End(TOLD_TO_END, one.why))
                self._errand(one.name, lambda: self._spool.gangs.say_end(ganged.claim, by))
            if one.is_running and gang is not None:
                self._tries.listed(one, now, is_listed=gang.members.get(one.name, End(0)) is None)
            return
        if gang is None or (ganged.off_at is not None and one.why is not None):
            return
        blamed = verdict(
            gang, End(TOLD_TO_END, one.why) if one.why else None, self._verdict_terms, self._asked_s(ganged, now)
        )
        if blamed is None and gang.stage is not GangStage.OFF:
            return
        if blamed is not None and ganged.by is None:
            ganged.by = blamed
            self._say(f"{one.name}: {self._told(ganged, blamed)}; its other ranks are ended")
        if gang.stage is not GangStage.OFF:
            self._errand(one.name, lambda: self._spool.gangs.finish(ganged.claim, blamed))
        if one.why is None:
            self._tries.stop(one, Why.REQUEUE, now)

    @staticmethod
    def _told(ganged: Ganged, by: RankEnd) -> str:
        rank = ganged.ranks.ranks[by.rank] if ganged.ranks and by.rank < len(ganged.ranks.ranks) else None
        where = f" on {rank.part.node}" if rank is not None else ""
        how = by.end.why.value if by.end.why else f"failed({by.end.status})"
        return f"rank {by.rank}{where}: {how}"

    # -- the end ---------------------------------------------------------------------------------------------------

    def _gathers(self, one: LiveTry, end: End, note: str) -> bool:
        """Whether the end of a try is more than its own: then it is moved on later, from here."""
        if one.refusal or not (one.gang is not None or one.needs.nodes > 1 or one.is_inherited):
            return False
        if one.gang is None:
            one.gang = Ganged(one.claim, one.needs.nodes, 0)
        ganged, now = one.gang, self._clock()
        if ganged.rank:
            self._end_rank(one, ganged, end, OTHERS_END_IT if ganged.is_told_off and not note else note)
            return True
        ganged.settles, ganged.note, ganged.settles_at = end, note, now
        self._look_soon()
        return True

    def _end_rank(self, one: LiveTry, ganged: Ganged, end: End, note: str) -> None:
        log, last = self._tries.settling.log_and_last_line(one, end, note)
        rank = ganged.rank or 0

        def done(result: object) -> None:
            if isinstance(result, (Settled, Failed)):
                self._tries.answer(one, result)

        self._errands.send(
            lambda: self._spool.gangs.end_rank(ganged.claim, one.claim, rank, end, log, last),
            done,
            ("end", one.name),
        )

    def _gather(self, one: LiveTry, ganged: Ganged, gang: Gang | None, now: float) -> None:
        own = ganged.settles
        assert own is not None
        if gang is None:
            if self._is_gone(ganged) or ganged.made_at is None:
                self._move_on(one, ganged, own, now)
            return
        by = ganged.by = gang.end or ganged.by or verdict(gang, own, self._verdict_terms, self._asked_s(ganged, now))
        if by is not None and gang.stage in (GangStage.GO, GangStage.CALL):
            self._errand(one.name, lambda: self._spool.gangs.finish(ganged.claim, by))
            return
        ending_s = 0.0 if ganged.off_at is None else now - ganged.off_at
        state = gather(gang, ending_s, self._terms)
        if self._tries.is_leaving and one.named_end is None and not state.is_over:
            self._name_end(one, ganged, own if by is None else by.end)
            return
        if state.give_up:
            self._say(f"{one.name}: waits no longer for {', '.join(state.give_up)}")
            self._errand(one.name, lambda: self._spool.gangs.give_up(ganged.claim, state.give_up))
        elif state.is_over and gang.stage is not GangStage.UNKNOWN:
            self._note_ranks(one, ganged, gang, own)
            if by is None:
                self._move_on(one, ganged, agreed(gang, own), now)
            else:
                self._move_on(one, ganged, own if by.rank == 0 else by.end, now)

    def _name_end(self, one: LiveTry, ganged: Ganged, end: End) -> None:
        """Whoever goes on with it when we are gone need not wait for a sign of life of ours."""

        def done(result: object) -> None:
            if result is True:
                one.named_end = end

        self._errands.send(lambda: self._spool.gangs.name_end(ganged.claim, end), done, one.name)

    def _note_ranks(self, one: LiveTry, ganged: Ganged, gang: Gang, own: End) -> None:
        if ganged.ranks is None:
            return
        rows = []
        for rank in ganged.ranks.ranks:
            end = own if rank.rank == 0 else gang.members.get(rank.claim)
            row = {"rank": rank.rank, "node": rank.part.node, "gpus": list(rank.part.gpus)}
            row |= {"gpu_indices": list(rank.part.gpu_indices), "status": end.status if end is not None else None}
            rows.append(row | {"why": end.why.value if end is not None and end.why is not None else None})
        one.facts["ranks"] = rows
        if ganged.by is not None and ganged.by.rank:
            one.facts["reason"] = "; ".join(filter(None, (one.facts.get("reason"), self._told(ganged, ganged.by))))

    def _move_on(self, one: LiveTry, ganged: Ganged, end: End, now: float) -> None:
        by, own, ganged.settles = ganged.by, ganged.settles, None
        if by is None or not by.rank:
            self._tries.settling.settle(one, end, now, ganged.note)
        else:  # our log tells of our own end
            note, log = self._told(ganged, by), self._spool.paths.rank_log(one.claim, by.rank)
            self._tries.settling.settle(one, end, now, note, blamed_log=log, own=own)


def _claim_of(name: str) -> Claim:
    parsed = parse_claim(name)
    assert parsed is not None, name
    return parsed[0]
