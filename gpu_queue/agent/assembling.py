"""A task over several nodes is put together: our own calls and offers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gpu_queue.agent.ganged import Ganged
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.looking import Looking
from gpu_queue.agent.tries import Tries
from gpu_queue.config import Settings
from gpu_queue.execution.ports import free_port, own_address
from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.leases import Room
from gpu_queue.node.gangs import Began
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.node.transitions import Claimed, NotClaimed
from gpu_queue.scheduling.gangs import Act, Commit, Gang, Terms, of_call, of_offer
from gpu_queue.scheduling.plan import Assemble
from gpu_queue.spool.gangs import Part
from gpu_queue.spool.paths import parse_claim
from gpu_queue.spool.store import Moved
from gpu_queue.states import GangStage
from gpu_queue.task import WITHDRAWN


class Assembling:
    """One agent's."""

    def __init__(
        self,
        spool: NodeSide,
        tries: Tries,
        looking: Looking,
        settings: Callable[[], Settings],
        gpus: Callable[[], Sequence[Gpu]],
        clock: Callable[[], float],
        say: Callable[[str], None],
        errands: Errand[object],
        look_soon: Callable[[], None],
    ) -> None:
        """Hold nothing ready yet.

        Args:
            spool: where gangs are.
            tries: those of this node.
            looking: what waits.
            settings: of the moment.
            gpus: all of this node.
            clock: monotonic seconds.
            say: tells people.
            errands: to the storage, one of a try at a time.
            look_soon: has the gangs looked at.
        """
        self._spool = spool
        self._tries = tries
        self._looking = looking
        self._settings = settings
        self._gpus = gpus
        self._clock = clock
        self._say = say
        self._errands = errands
        self._look_soon = look_soon
        self._address = ""
        self.is_serving = False
        """Whether the agent takes what is new, as the last plan says."""
        self.unwanted: frozenset[str] = frozenset()
        """Tasks for which GPUs are held ready and should not be, as the last plan says."""

    def start(self, what: Assemble, now: float, rooms: Mapping[str, Room] | None = None) -> bool:
        """Hold GPUs ready for a task over several nodes; False where they are not to be had."""
        task = what.task
        join = None if what.join is None else parse_claim(what.join.name)
        number = None if join is None else join[0].number
        one = self._tries.hold(task, what.gpus, what.reserve_bytes, now, rooms, number)
        if one is None:
            return False
        claim = one.claim if join is None else join[0]
        one.gang = Ganged(claim, task.needs.nodes, 0 if join is None else None, task=task)
        if join is not None:  # the queue is rank 0's to hold
            one.needs = replace(one.needs, queue=None)
            one.claim_path = self._spool.paths.gang_member(claim, one.claim)
        self._tries.live[one.name] = one
        part = self._part(one)

        def call() -> object:
            if join is None:
                self._spool.gangs.call(claim, part)
            else:
                self._spool.gangs.offer(claim, one.claim, part)
            return None

        def done(result: object) -> None:
            assert one.gang is not None
            one.gang.made_at = self._clock()
            if isinstance(result, Failed):
                self._say(f"{one.name}: could not be held ready ({result})")
                self._leave(one, "it could not be written", is_made=False)
            self._look_soon()

        self._errands.send(call, done, one.name)
        return True

    def _part(self, one: LiveTry) -> Part:
        if not self._address:
            self._address = self._settings().address or own_address()
        indices = tuple(gpu.index for gpu in self._gpus() if gpu.uuid in one.gpus)
        return Part(self._spool.node, socket.gethostname(), self._address, one.gpus, indices)

    def advance(self, one: LiveTry, ganged: Ganged, gang: Gang | None, gangs: Sequence[Gang], terms: Terms) -> None:
        """Go on with a call or an offer of ours.

        Args:
            one: its try.
            ganged: the try's part.
            gang: as the last look found it; None: it is gone.
            gangs: all that it found.
            terms: how long what must stand still.
        """
        is_wanted = one.why is None and one.claim.task_id not in self.unwanted
        if ganged.rank == 0:
            waits = any(task.name == one.waited_as for task in self._looking.view.waiting)
            own = gang or Gang(ganged.name, one.claim.priority, one.claim.task_id, GangStage.OFF)
            act = of_call(own, gangs, ganged.nodes, terms, is_wanted=is_wanted and waits)
            if isinstance(act, Commit):
                self._commit(one, ganged, act)
            elif act is Act.LEAVE:
                self._leave(one, "its nodes are not put together any more")
            return
        may_begin = one.why is None and self.is_serving
        done = of_offer(one.name, gang, terms, is_wanted=is_wanted, may_begin=may_begin)
        if done is Act.LEAVE:
            self._leave(one, "its nodes are not put together any more")
        elif done is Act.OVER:
            self._tries.answer(one, NotClaimed(Moved.LOST, "it was put together without this node"))
        elif done is Act.JOIN and gang is not None:
            self._join(one, ganged)

    def _commit(self, one: LiveTry, ganged: Ganged, act: Commit) -> None:
        task = ganged.task
        assert task is not None
        part, taken = self._part(one), {other.port for other in self._tries.live.values()}
        one.port = free_port(ganged.name, taken)
        self._tries.claimed_names.add(task.name)
        self._tries.in_doubt.add(task.name)

        def call() -> object:
            return self._spool.gangs.commit(task, ganged.claim, act.offers, ganged.nodes, part, one.port)

        def done(result: object) -> None:
            self._look_soon()
            if isinstance(result, Began):
                ganged.ranks = result.ranks
                self._tries.answer(one, result.claimed)
            elif isinstance(result, Failed):
                self._tries.answer(one, result)
            elif isinstance(result, NotClaimed):
                self._leave(one, result.reason, result)
            else:
                self._tries.claimed_names.discard(task.name)
                self._tries.in_doubt.discard(task.name)

        self._errands.send(call, done, one.name)

    def _leave(self, one: LiveTry, why: str, answer: NotClaimed | None = None, *, is_made: bool = True) -> None:
        assert one.gang is not None
        claim, member = one.gang.claim, None if one.gang.rank == 0 else one.claim

        def done(result: object) -> None:
            # Where it could not be done, or nobody knows, it is asked again: what is held is ours until then.
            if result is True or not is_made:
                self._tries.answer(one, answer or NotClaimed(Moved.LOST, why))
            elif isinstance(result, Failed):
                self._say(f"{one.name}: {result}")

        self._errands.send(lambda: self._spool.gangs.leave(claim, member, WITHDRAWN), done, one.name)

    def _join(self, one: LiveTry, ganged: Ganged) -> None:
        ranks = ganged.ranks
        mine = ranks.of(one.name) if ranks is not None else None
        if ranks is None or mine is None:
            return
        ganged.rank = mine.rank
        leader, rank = ranks.ranks[0].part.node, mine.rank

        def done(result: object) -> None:
            if isinstance(result, (Claimed, NotClaimed, Failed)):
                self._tries.answer(one, result)

        self._errands.send(lambda: self._spool.gangs.join(ganged.claim, one.claim, rank, leader), done, one.name)
