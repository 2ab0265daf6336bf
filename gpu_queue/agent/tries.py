"""The tries of this node: what becomes of them is seen here, and what :mod:`gpu_queue.agent.life` says is done.

The main thread does only local things; whatever touches shared storage is an errand of the storage thread.
"""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gpu_queue.agent import life, shimseen, stages
from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.ganged import Ganged
from gpu_queue.agent.holdings import Holdings
from gpu_queue.agent.livetry import LiveTry, recalled, remember
from gpu_queue.agent.preparing import Preparing
from gpu_queue.agent.rests import Rests
from gpu_queue.agent.settling import Settling
from gpu_queue.agent.tally import Tally
from gpu_queue.execution import leftword, processes
from gpu_queue.execution.local import AgentDirectory
from gpu_queue.execution.shims import Shims
from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.leases import Leases, Room
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Failed, Storage
from gpu_queue.node.transitions import Claimed, NotClaimed, Recalled
from gpu_queue.scheduling.plan import Start
from gpu_queue.scheduling.recovery import ClaimFacts, Step, recover
from gpu_queue.signals import number_of
from gpu_queue.spool.paths import claim_name, full_name, make_id, parse_claim, parse_drop
from gpu_queue.task import Claim, End, Waiting, Why

STOP_REMEMBERED_S = 600.0
LEFTOVER_PATIENCE_S = 0.2
"""So long what outlives its script may end by itself: pools of workers, a resource tracker."""


class Tries:
    """All tries of this node."""

    def __init__(
        self,
        spool: NodeSide,
        storage: Storage,
        home: AgentDirectory,
        leases: Leases,
        shims: Shims,
        preparing: Preparing,
        agenda: Agenda,
        say: Callable[[str], None],
        clock: Callable[[], float],
        are_clear: Callable[[tuple[str, ...], float], bool],
        restore: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._home = home
        self._leases = leases
        self._shims = shims
        self._preparing = preparing
        self._settings = preparing.settings
        self._agenda = agenda
        self._say = say
        self._clock = clock
        self._are_clear = are_clear
        self._restore = restore
        self._claims: Errand[Claimed | NotClaimed] = Errand(storage, "claim", say)
        forgot = "what this node has forgotten of a try could not be read"
        self._recalls: Errand[Recalled] = Errand(storage, "recall", say, trouble=forgot, over="it was read")
        self.live: dict[str, LiveTry] = {}
        self.holdings = Holdings(leases, self.live, say)
        self.rests = Rests(agenda, say)
        self.claimed_names: set[str] = set()
        """Names taken from pending/ that an older listing may still show."""
        self.in_doubt: set[str] = set()
        """Those of them that were not won, as far as is known: they may be where they were."""
        self.stop_wanted: dict[str, float] = {}
        """Claims that a stop command named before we knew them, and when; most of them are other nodes'."""
        self.stories: dict[str, tuple[str, str]] = {}
        """Claims that were taken over: from which node, and how they came to be lost."""
        self.tally = Tally()
        self.settling = Settling(spool, storage, preparing.settings, agenda, self.tally, say, self.answer)
        self.is_leaving = False
        self.gathers: Callable[[LiveTry, End, str], bool] = lambda *_: False
        """Whether the end of a try is not its own alone: whoever says so has it moved on."""
        self.heard: dict[int, float] = {}
        """When the agent was sent TERM, USR1 and USR2 last, in monotonic seconds."""

    def note_usage(self, gpus: Iterable[Gpu]) -> None:
        """One look at the GPUs of those that run."""
        by_uuid = {gpu.uuid: gpu for gpu in gpus}
        for one in self.live.values():
            if one.is_running:
                one.usage.add([by_uuid[uuid] for uuid in one.gpus if uuid in by_uuid])

    def due(self, now: float) -> float:
        """When something is to be done although nothing has happened."""
        return min((self.rests.due(now), *(one.stage.due for one in self.live.values())))

    # -- starting --------------------------------------------------------------------------------------------------

    def start(self, what: Start, now: float, rooms: Mapping[str, Room] | None = None) -> bool:
        """Take a waiting task: lock and GPUs here, then the claim.

        Args:
            what: the task and its GPUs.
            now: monotonic seconds.
            rooms: what there is of the memory of these, where it gets a part of them.

        Returns:
            False where a GPU or the local disk is not to be had: the task waits.
        """
        one = self.hold(what.task, what.gpus, what.reserve_bytes, now, rooms)
        if one is None:
            return False
        self._submit_claim(one, what.task)
        return True

    def hold(
        self,
        task: Waiting,
        gpus: tuple[str, ...],
        reserve_bytes: int | None,
        now: float,
        rooms: Mapping[str, Room] | None = None,
        number: int | None = None,
    ) -> LiveTry | None:
        """Lock and GPUs for a task that is about to be claimed; None where they are not to be had.

        Args:
            task: it.
            gpus: UUIDs.
            reserve_bytes: of the memory of each; None: whole cards.
            now: monotonic seconds.
            rooms: as of :meth:`start`.
            number: which try of the task it is; None: as the task tells.
        """
        if self.rests.node_rests(now):
            return None
        one = self._new_try(task, stages.Claiming(), now, number)
        one.gpus, one.reserve_bytes = gpus, reserve_bytes
        submitted_as = task.submission.name if task.submission is not None else ""
        one.title = submitted_as or parse_drop(task.name)[1].decode("utf-8", "replace")
        try:
            one.shim = self._shims.take(one.name)
            granted = not gpus or self._leases.take(gpus, one.directory.path, reserve_bytes, rooms)
        except OSError as error:
            self.rests.rest_node(error, now)
            granted = False
        if not granted:
            self._let_shim_go(one, to_spares=True)
            return None
        return one

    def give_id(self, task: Waiting, now: float) -> None:
        """Take a hand drop, only to put it back under a name that all nodes know it by."""
        one = self._new_try(task, stages.Claiming(why=Why.REQUEUE), now)
        one.title = parse_drop(task.name)[1].decode("utf-8", "replace")
        self._submit_claim(one, task)

    def refuse(self, task: Waiting, reason: str, now: float) -> None:
        """Take a task that can never run, only to move it to failed/ with its reason."""
        one = self._new_try(task, stages.Claiming(to_run=False), now)
        one.refusal, one.title = reason, task.name
        self._submit_claim(one, task)

    def _new_try(self, task: Waiting, stage: stages.Stage, now: float, number: int | None = None) -> LiveTry:
        task_id = task.task_id
        if task_id is None:
            task_id = make_id(time.time(), secrets.token_hex(3), parse_drop(task.name)[1])
        number = task.tries + 1 if number is None else number
        one = self._try_of(Claim(task.priority, task_id, number, secrets.token_hex(3)), stage, now)
        one.needs, one.waited_as = task.needs, task.name
        return one

    def _try_of(self, claim: Claim, stage: stages.Stage, now: float) -> LiveTry:
        path = self._spool.paths.claim(self._spool.node, claim)
        return LiveTry(claim, path, self._home.try_directory(claim_name(claim)), stage, started_at=now)

    def _submit_claim(self, one: LiveTry, task: Waiting) -> None:
        self.live[one.name] = one
        self.claimed_names.add(task.name)
        self.in_doubt.add(task.name)

        def call() -> Claimed | NotClaimed:
            return self._spool.transitions.claim(task, one.claim, to_run=not one.refusal)

        def done(result: Claimed | NotClaimed | Failed) -> None:
            now = self._clock()
            if isinstance(result, Claimed):
                one.log = result.log
                self.in_doubt.discard(task.name)
            if isinstance(result, Claimed) and not one.refusal:
                one.title = result.submission.name or one.title
                if self.stop_wanted.pop(one.name, None) is not None:
                    self.stop(one, Why.STOPPED, now)
            self._go_on(one, now, stages.Facts(answer=result))

        self._claims.send(call, done, key=one.name)

    def keep_spares(self, now: float, *, serves: bool) -> None:
        """Have shims ready for the next tasks, as long as this agent takes any."""
        self._shims.reap()
        if not serves:
            self._shims.drop_spares()
        elif not self.rests.node_rests(now) and not any(
            isinstance(one.stage, stages.Claiming) and not one.is_assembling for one in self.live.values()
        ):
            try:
                self._shims.refill()
                self.rests.node_is_well()
            except OSError as error:
                self.rests.rest_node(error, now)

    # -- a step of a life ------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """See what has become of each try, and do what follows."""
        self.stop_wanted = {name: at for name, at in self.stop_wanted.items() if now - at < STOP_REMEMBERED_S}
        for one in list(self.live.values()):
            self._go_on(one, now, self._seen(one, now))

    def stop(self, one: LiveTry, why: Why, now: float, grace_s: float | None = None) -> None:
        """End a try: the reason is durable before the first signal."""
        self._go_on(one, now, stages.Facts(wish=stages.Wish(why, grace_s)))

    def answer(self, one: LiveTry, result: stages.Answer) -> None:
        """Go on with what came of an errand that others sent for a try."""
        if isinstance(result, Claimed):
            one.log = result.log
            one.title = result.submission.name or one.title
        self._go_on(one, self._clock(), stages.Facts(answer=result))

    def listed(self, one: LiveTry, now: float, *, is_listed: bool) -> None:
        """Notice whether the claim of a try was there, by a good listing."""
        if one.is_running:
            self._go_on(one, now, stages.Facts(is_listed=is_listed))

    def _go_on(self, one: LiveTry, now: float, facts: stages.Facts) -> None:
        """Do what follows from what was seen, and from what is seen then, as long as its stage changes."""
        while True:
            before = one.stage
            one.stage, effects = life.advance(before, facts, now)
            if one.stage is before and not effects:
                return
            launched = self._do(one, effects, now)
            if isinstance(one.stage, stages.Over):
                self.live.pop(one.name, None)
                return
            if launched is not None:
                facts = stages.Facts(launched=launched)
            elif type(one.stage) is not type(before):
                facts = self._seen(one, now)
            else:
                return

    def _seen(self, one: LiveTry, now: float) -> stages.Facts:
        stage = one.stage
        if isinstance(stage, stages.Running):
            seen = shimseen.of(one, now, self._children)
            if seen is not stages.NOTHING:
                return seen
            if stage.is_ending and one.ending is not None and one.ending.step(now):
                return stages.Facts(is_bare=True)
            if now >= stage.begins_by:
                return stages.Facts(has_begun=one.directory.has_begun())
        elif isinstance(stage, stages.Cleaning):
            is_bare = one.ending is None or one.ending.step(now)
            is_signalled = shimseen.is_signalled(one, self.heard)
            return stages.Facts(is_bare=is_bare, is_leaving=self.is_leaving, is_signalled=is_signalled)
        elif isinstance(stage, stages.Clearing) and stage.why is None:
            return stages.Facts(is_clear=self._are_clear(one.gpus, stage.since))
        return stages.NOTHING

    def _children(self) -> set[int]:
        """Shims that have a try, wait for one, or belong to none; and what else we started."""
        pids = {one.pid for one in self.live.values() if one.pid is not None}
        return pids | {one.shim.pid for one in self.live.values() if one.shim is not None} | self._shims.pids

    # -- effects ---------------------------------------------------------------------------------------------------

    def _do(self, one: LiveTry, effects: tuple[stages.Effect, ...], now: float) -> stages.Launched | None:
        launched = None
        for effect in effects:
            match effect:
                case stages.Say(text):
                    self._say(f"{one.name}: {text}")
                case stages.Launch(claimed):
                    launched = self._launch(one, claimed, now)
                case stages.Began():
                    self.rests.began(full_name(one.claim.priority, one.claim.task_id))
                case stages.Record():
                    self.settling.record(one)
                case stages.Recall():
                    self._recall(one)
                case stages.WriteWhy(why):
                    self._write_why(one, why)
                case stages.EndProcesses(grace_s):
                    grace_s = self._settings().stop_grace_s if grace_s is None else grace_s
                    one.begin_ending(processes.Ending(one.claim_path, one.pid or 0, grace_s)).step(now)
                case stages.EndLeftovers():
                    self._end_leftovers(one, now)
                case stages.ContinueShim():
                    shimseen.signal_shim(one, signal.SIGCONT)
                case stages.KillShim():
                    shimseen.signal_shim(one, signal.SIGKILL)
                case stages.Dismiss(to_spares):
                    self._let_shim_go(one, to_spares=to_spares)
                case stages.Rest(first_s, max_s, as_it_was):
                    name = one.waited_as if as_it_was else full_name(one.claim.priority, one.claim.task_id)
                    self.rests.rest(name, now, first_s, max_s)
                case stages.RestNode(trouble):
                    self.rests.rest_node(trouble, now)
                case stages.Settle(end, problem, note):
                    if problem:
                        one.facts["problem"] = problem
                    if not self.gathers(one, end, note):
                        self.settling.settle(one, end, now, note)
                case stages.Tell():
                    self._agenda.want(Duty.TELL)
                case stages.Free():
                    self.holdings.leave(one)
                    self._agenda.want(Duty.PLAN)
                case stages.Look():
                    self._agenda.want(Duty.LOOK)
                case stages.Forget():
                    one.directory.remove()
                    self.stop_wanted.pop(one.name, None)
                case stages.Tally(settlement, error_type):
                    self.settling.count(one, settlement, error_type)
        return launched

    def _launch(self, one: LiveTry, claimed: Claimed, now: float) -> stages.Launched:
        try:
            self._preparing.launch(one, claimed, now, {other.port for other in self.live.values()})
        except ValueError as error:
            return stages.Launched(problem=str(error))
        except OSError as error:
            return stages.Launched(trouble=error)
        return stages.Launched(one.needs.time_s, self._preparing.begins_within_s)

    def _recall(self, one: LiveTry) -> None:
        def done(result: Recalled | Failed) -> None:
            if not one.is_running:
                return  # whoever settles it asks for himself
            now = self._clock()
            began_at = recalled(one, result, now) if isinstance(result, Recalled) else None
            self.holdings.try_to_restore(one)
            self._go_on(one, now, stages.Facts(answer=result, began_at=began_at))

        self._recalls.send(lambda: self._spool.transitions.recall(one.claim), done, key=one.name)

    def _write_why(self, one: LiveTry, why: Why) -> None:
        try:
            one.directory.write_why(why)
        except OSError as error:
            problem = f"the reason of its end could not be written ({error.strerror})"
            self._say(f"{one.name}: {problem}; it is ended all the same")

    def _end_leftovers(self, one: LiveTry, now: float) -> None:
        # Of an adopted shim nobody knows the pid, and its try may have run for long.
        ran_s = now - one.started_at if one.shim_pid else float("inf")
        ending = processes.Ending(one.claim_path, one.shim_pid, life.LEFTOVER_GRACE_S, ran_s, LEFTOVER_PATIENCE_S)
        one.begin_ending(ending)

    def _let_shim_go(self, one: LiveTry, *, to_spares: bool) -> None:
        if one.shim is not None:
            (self._shims.give_back if to_spares else self._shims.dismiss)(one.shim)
            one.shim = None

    # -- recovery --------------------------------------------------------------------------------------------------

    def recover(self, own_claims: Iterable[str], now: float) -> None:
        """Take up the claims in our directory that are not in hand; notice those in hand that are no longer there."""
        present = set()
        for name in own_claims:
            parsed = parse_claim(name)
            if parsed is None:
                continue
            claim, named_end = parsed
            present.add(claim_name(claim))
            if claim_name(claim) not in self.live:
                self.take_up(claim, named_end, now)
        for one in list(self.live.values()):
            if not one.is_other_rank:
                self.listed(one, now, is_listed=one.name in present)

    def tidy(self, own_claims: Iterable[str]) -> None:
        """Remove what killed agents left on this node: directories of tries that are over or never began."""
        kept = self.live.keys() | {claim_name(parsed[0]) for parsed in map(parse_claim, own_claims) if parsed}
        self._home.tidy(kept)
        self._preparing.copies.tidy(kept | {one.name for one in self._home.tries()})

    def take_up(self, claim: Claim, named_end: End | None, now: float, gang: Ganged | None = None) -> None:
        """Have a claim in hand that was found.

        Args:
            claim: it.
            named_end: what its name says of its end.
            now: monotonic seconds.
            gang: of which it is another rank; None: it is in our own directory.
        """
        one = self._try_of(claim, stages.Over(), now)
        if gang is not None:
            one.gang, one.claim_path = gang, self._spool.paths.gang_member(gang.claim, claim)
        one.named_end, one.is_recorded = named_end, True
        local = one.directory
        if named_end is None and not local.has_lock():
            self._try_to_restore()  # before it is said to have died
        found = ClaimFacts(claim, named_end, local.is_alive(), local.status(), local.why(), local.never_began())
        from_node, one.because = self.stories.pop(one.name, ("", ""))
        remember(one, local.facts() or {}, now)
        number, is_warned = number_of(one.needs.signal), leftword.is_warned(local)
        decision = recover(replace(found, asks=leftword.asks(local), signal=number, is_warned=is_warned))
        if from_node:
            one.facts["node"] = from_node
        self.live[one.name] = one
        self._agenda.want(Duty.TELL)
        if decision.step is Step.ADOPT:
            self._try_to_restore()  # its leases may have been removed while nobody was here
            self._say(f"{one.name}: taken up again, its shim lives")
            wanted = Why.STOPPED if self.stop_wanted.pop(one.name, None) is not None else found.why
            began_at, begins_within_s = None if one.is_inherited else one.started_at, self._preparing.begins_within_s
            self._enter(one, life.adopt(wanted, began_at, one.needs.time_s, now, begins_within_s), now)
            return
        assert decision.end is not None
        why = decision.end.why.value if decision.end.why else "by itself"
        self._say(f"{one.name}: found ended ({why}, status {decision.end.status})")
        if decision.step is Step.SETTLE:
            self._enter(one, life.settle(decision.end), now)
        else:
            self._enter(one, life.clean(decision.end, now), now)

    def _try_to_restore(self) -> None:
        try:
            self._restore()
        except OSError as error:
            self._say(f"the node's own directory: {error}")

    def _enter(self, one: LiveTry, into: life.Next, now: float) -> None:
        one.stage, effects = into
        self._do(one, effects, now)
        self._go_on(one, now, self._seen(one, now))
