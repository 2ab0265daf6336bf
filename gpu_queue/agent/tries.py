"""The tries of this node: started, watched, stopped and settled.

A try goes through these stages, each left when a fact says so:

- CLAIMING: a shim that waits, its lock and its GPUs are taken here, and the storage thread renames the task into our
  directory.
- CLEARING: it is claimed, and the keep-alive leaves its GPUs; it is started when they are empty.
- RUNNING: its shim lives (our child, or adopted from our predecessor: its lock is held).
- CLEANING: its shim has gone; what is left of its processes is ended, and only then are its GPUs free.
- SETTLING: the storage thread moves it on; asked again until it is done.

The main thread does only local things here; whatever touches shared storage is handed to ``storage``.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gpu_queue.agent.launching import Launching
from gpu_queue.agent.livetry import LiveTry, Stage
from gpu_queue.execution import processes
from gpu_queue.execution.local import AgentDirectory
from gpu_queue.execution.shims import Shims
from gpu_queue.gpus.leases import Leases
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Failed, Storage
from gpu_queue.node.transitions import Claimed, NotClaimed, Settled
from gpu_queue.scheduling.recovery import NOBODY_KNOWS, ClaimFacts, Recovery, Step, recover
from gpu_queue.spool.paths import claim_name, full_name, make_id, parse_claim, parse_drop
from gpu_queue.spool.store import Moved
from gpu_queue.task import Claim, End, Needs, RetryPolicy, State, Waiting, Why
from gpu_queue.units import format_utc

LEFTOVER_GRACE_S = 5.0
STOP_REMEMBERED_S = 600.0
JUDGE_AFTER_S = 2.0
"""So long a scheduler may take between telling a task's processes and telling the agent to end."""
STUCK_AFTER_S = 10.0
"""A shim that is still there so long after nothing else of its try is left does not end by itself."""
NODE_REST_S = 60.0
"""A node that could not start a task for its own reasons (a full local disk) starts none for so long."""
SETTLE_AGAIN_S = 1.0
LOST_AFTER_S = 2.0
"""Two good listings so far apart that lack a claim say that it is lost; one listing may be behind."""
REST_S = 60.0
"""A task that could not be started here rests so long on this node, doubled each time."""
REST_MAX_S = 3600.0
RECORD_AFTER_S = 0.3
"""A try that ended within so long has one record, that of its end, which tells all that the first would have told."""
CLAIM_AGAIN_S = 2.0
CLAIM_AGAIN_MAX_S = 60.0
"""The same where storage refused the claim: a full disk or a moment's trouble.  When it is over nobody waits long."""


class Tries:
    """All tries of this node."""

    def __init__(
        self,
        spool: NodeSide,
        storage: Storage,
        home: AgentDirectory,
        leases: Leases,
        shims: Shims,
        launching: Launching,
        say: Callable[[str], None],
        clock: Callable[[], float],
        are_clear: Callable[[tuple[str, ...], float], bool],
    ) -> None:
        self._spool = spool
        self._storage = storage
        self._home = home
        self._leases = leases
        self._shims = shims
        self._launching = launching
        self._settings = launching.settings
        self._say = say
        self._clock = clock
        self._are_clear = are_clear
        self.live: dict[str, LiveTry] = {}
        self.resting: dict[str, float] = {}
        self._rests: dict[str, int] = {}
        self.claimed_names: set[str] = set()
        """Names taken from pending/ that an older listing may still show."""
        self.stop_wanted: dict[str, float] = {}
        """Claims that a stop command named before we knew them, and when; most of them are other nodes'."""
        self.stories: dict[str, tuple[str, str]] = {}
        """Claims that were taken over: from which node, and how they came to be lost."""
        self.settled_counts = {State.DONE: 0, State.FAILED: 0}
        self.look_is_wanted = False
        self.is_leaving = False
        self._node_rests_until = float("-inf")
        self.node_problem = ""
        """Why this node starts nothing at present, for people."""
        self.has_changed = False
        """Something that people look for in the node file."""
        self.plan_is_wanted = False
        """Something became free, or may be tried elsewhere."""

    def held_gpus(self, *, settling_too: bool = False) -> set[str]:
        """GPUs that our tries hold."""
        return {uuid for one in self.live.values() if one.holds_gpus or settling_too for uuid in one.gpus}

    # -- starting --------------------------------------------------------------------------------------------------

    def start(self, task: Waiting, gpus: tuple[str, ...], now: float) -> bool:
        """Take a waiting task: lock and GPUs here, then the claim.

        Returns:
            False where a GPU or the local disk is not to be had: the task waits.
        """
        if now < self._node_rests_until:
            return False
        claim = self._new_claim(task)
        one = LiveTry(
            claim,
            self._spool.paths.claim(self._spool.node, claim),
            self._home.try_directory(claim_name(claim)),
            Stage.CLAIMING,
            gpus,
            task.needs,
            parse_drop(task.name)[1].decode("utf-8", "replace"),
            started_at=now,
        )
        try:
            one.shim = self._shims.take(one.name)
            granted = not gpus or self._leases.take(gpus, one.directory.path)
        except OSError as error:
            self._rest_node(error, now)
            granted = False
        if not granted:
            self._drop_local(one)
            return False
        self._submit_claim(one, task)
        return True

    def refuse(self, task: Waiting, reason: str, now: float) -> None:
        """Take a task that can never run, only to move it to failed/ with its reason."""
        claim = self._new_claim(task)
        directory = self._home.try_directory(claim_name(claim))
        path = self._spool.paths.claim(self._spool.node, claim)
        one = LiveTry(
            claim, path, directory, Stage.CLAIMING, needs=task.needs, refusal=reason, started_at=now, title=task.name
        )
        self._submit_claim(one, task)

    def _new_claim(self, task: Waiting) -> Claim:
        task_id = task.task_id
        if task_id is None:
            task_id = make_id(time.time(), secrets.token_hex(3), parse_drop(task.name)[1])
        return Claim(task.priority, task_id, task.tries + 1, secrets.token_hex(3))

    def _submit_claim(self, one: LiveTry, task: Waiting) -> None:
        self.live[one.name] = one
        self.claimed_names.add(task.name)

        def done(result: Claimed | NotClaimed | Failed) -> None:
            self._claim_ended(one, task, result)

        def call() -> Claimed | NotClaimed:
            return self._spool.transitions.claim(task, one.claim, to_run=not one.refusal)

        self._storage.submit("claim", call, done)

    def _claim_ended(self, one: LiveTry, task: Waiting, result: Claimed | NotClaimed | Failed) -> None:
        now = self._clock()
        if isinstance(result, NotClaimed):
            self.live.pop(one.name, None)
            self._drop_local(one)
            self.look_is_wanted = self.plan_is_wanted = True
            if result.moved is Moved.UNKNOWN:
                # It may still be done by the server later: it then shows up in our directory and is recovered.
                self._say(f"{task.name}: it could not be claimed, or nobody knows ({result.reason})")
                self._rest(task.name, now, CLAIM_AGAIN_S, CLAIM_AGAIN_MAX_S)
            return
        if isinstance(result, Failed):
            self._say(f"{task.name}: its files could not be read or made ({result}); it goes back")
            self._rest(full_name(one.claim.priority, one.claim.task_id), now, CLAIM_AGAIN_S, CLAIM_AGAIN_MAX_S)
            self._dismiss_shim(one)
            self._settle(one, End(NOBODY_KNOWS, Why.REQUEUE), now)
            return
        if one.refusal:
            self._settle(one, End(NOBODY_KNOWS), now)
            return
        one.title = result.submission.name or one.title
        if self.stop_wanted.pop(one.name, None) is not None:
            one.why = Why.STOPPED
        one.stage, one.claimed, one.clearing_since = Stage.CLEARING, result, now
        self._start_when_clear(one, now)

    def _start_when_clear(self, one: LiveTry, now: float) -> None:
        assert one.claimed is not None
        if one.why is not None:
            self._dismiss_shim(one)
            self._settle(one, End(NOBODY_KNOWS, one.why), now)
            return
        if not self._are_clear(one.gpus, one.clearing_since):
            return
        claimed, one.claimed = one.claimed, None
        try:
            self._launch(one, claimed, now)
        except ValueError as error:
            self._not_started(one, str(error), now)
        except OSError as error:
            self._rest_node(error, now)
            self._dismiss_shim(one)
            self._settle(one, End(NOBODY_KNOWS, Why.REQUEUE), now)

    def _launch(self, one: LiveTry, claimed: Claimed, now: float) -> None:
        self._launching.launch(one, claimed, now)
        self._rested(full_name(one.claim.priority, one.claim.task_id))
        self.node_problem = ""
        one.stage = Stage.RUNNING
        one.record_at = now + RECORD_AFTER_S
        self.has_changed = True

    def _record(self, one: LiveTry, *, is_news: bool) -> None:
        one.record_at = None
        record = dict(one.facts)
        started_at = one.started_wall_s if is_news else None

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"{one.name}: its record could not be written ({result})")

        self._storage.submit("record", lambda: self._spool.transitions.runs(one.claim, record, started_at), done)

    def _not_started(self, one: LiveTry, reason: str, now: float) -> None:
        self._say(f"{one.name}: could not be started here: {reason}")
        self._rest(full_name(one.claim.priority, one.claim.task_id), now)
        self._dismiss_shim(one)
        one.facts["problem"] = reason
        self._settle(one, End(NOBODY_KNOWS, Why.NOSTART), now)

    def _rest_node(self, error: OSError, now: float) -> None:
        """A full local disk, or no room for a process: this node's trouble, and no try of the task's."""
        self._node_rests_until = now + NODE_REST_S
        problem = f"this node cannot start tasks ({error}); it tries again every {NODE_REST_S:.0f} s"
        if problem != self.node_problem:
            self._say(problem)
        self.node_problem = problem
        self.has_changed = True

    def _rest(self, name: str, now: float, first_s: float = REST_S, max_s: float = REST_MAX_S) -> None:
        self._rests[name] = self._rests.get(name, 0) + 1
        self.resting[name] = now + min(first_s * 2.0 ** min(self._rests[name] - 1, 20), max_s)

    def _rested(self, name: str) -> None:
        self._rests.pop(name, None)
        self.resting.pop(name, None)

    def _dismiss_shim(self, one: LiveTry) -> None:
        if one.shim is not None:
            self._shims.dismiss(one.shim)
            one.shim = None

    def _drop_local(self, one: LiveTry) -> None:
        if one.shim is not None:
            self._shims.give_back(one.shim)
            one.shim = None

    def keep_spares(self, now: float, *, serves: bool) -> None:
        """Have shims ready for the next tasks, as long as this agent takes any."""
        self._shims.reap()
        if not serves:
            self._shims.drop_spares()
        elif now >= self._node_rests_until and not any(one.stage is Stage.CLAIMING for one in self.live.values()):
            try:
                self._shims.refill()
            except OSError as error:
                self._rest_node(error, now)

    # -- watching --------------------------------------------------------------------------------------------------

    def reap(self, now: float) -> None:
        """Take the exit of every shim that is our child."""
        for one in list(self.live.values()):
            if one.pid is None or one.stage is not Stage.RUNNING:
                continue
            try:
                pid, wait_status = os.waitpid(one.pid, os.WNOHANG)
            except ChildProcessError:
                pid, wait_status = one.pid, None
            if pid:
                self._shim_has_gone(one, wait_status, now)

    def _shim_has_gone(self, one: LiveTry, wait_status: int | None, now: float) -> None:
        status = one.directory.status()
        if status is None and wait_status is not None and os.WIFEXITED(wait_status):
            status = os.WEXITSTATUS(wait_status)  # a full disk takes no status; the shim exits with the same
        why = one.directory.why() or one.why
        # A shim that died without a word took its script with it, or leaves it to be found by its marker.
        one.end = End(NOBODY_KNOWS, why or Why.LOST) if status is None else End(status, why)
        if why is Why.REQUEUE and one.why is None and status != 0:
            one.judge_at = now + JUDGE_AFTER_S
        if one.ending is not None:
            one.ended_processes += one.ending.ended
            one.ending = None
        ran_s = now - one.started_at
        shim_pid, one.pid = one.pid or 0, None
        one.stage = Stage.CLEANING
        if status is None or processes.may_have_leftovers(shim_pid, ran_s, self._children()):
            one.ending = processes.Ending(one.claim_path, shim_pid, LEFTOVER_GRACE_S, ran_s)
        self._clean(one, now)

    def _children(self) -> set[int]:
        """Shims that have a try, wait for one, or belong to none; and what else we started."""
        pids = {one.pid for one in self.live.values() if one.pid is not None}
        return pids | {one.shim.pid for one in self.live.values() if one.shim is not None} | self._shims.pids

    def _clean(self, one: LiveTry, now: float) -> None:
        if one.ending is not None:
            if not one.ending.step(now):
                return
            one.ended_processes += one.ending.ended
            one.ending = None
        if one.judge_at is not None and one.end is not None:
            # Its shim was told TERM, and not by us.  A scheduler that takes the node back tells us as well, within
            # moments; if it does not, the script did it itself (kill 0), and has ended by its own status.
            if not self.is_leaving and now < one.judge_at:
                return
            if not self.is_leaving:
                one.end = End(one.end.status)
            one.judge_at = None
        if one.end is None:  # adopted, and its shim may have published the end: the next listing tells
            self.live.pop(one.name, None)
            self.look_is_wanted = self.plan_is_wanted = True
        elif one.end.why is Why.NOSTART:
            self._not_started(one, one.directory.reason() or "its shim could not start it", now)
        else:
            self._settle(one, one.end, now)

    def advance(self, now: float) -> None:
        """Everything that goes on by time: stops, time limits, adopted shims, settling that is asked again."""
        if self.stop_wanted:
            self.stop_wanted = {name: at for name, at in self.stop_wanted.items() if now - at < STOP_REMEMBERED_S}
        for one in list(self.live.values()):
            if one.stage is Stage.RUNNING:
                self._advance_running(one, now)
            elif one.stage is Stage.CLEARING:
                self._start_when_clear(one, now)
            elif one.stage is Stage.CLEANING:
                self._clean(one, now)
            elif one.stage is Stage.SETTLING and not one.settle_is_out and now >= one.settle_at:
                assert one.end is not None
                self._settle(one, one.end, now)

    def _advance_running(self, one: LiveTry, now: float) -> None:
        if one.record_at is not None and now >= one.record_at:
            self._record(one, is_news=True)
        if one.pid is None and not one.directory.is_alive():
            one.stage = Stage.CLEANING
            one.ending = processes.Ending(one.claim_path, grace_s=LEFTOVER_GRACE_S)
            return
        if one.needs.time_s is not None and now - one.started_at >= one.needs.time_s and one.why is None:
            self._say(f"{one.name}: its --time of {one.needs.time_s:.0f} s is over")
            self.stop(one, Why.TIMEOUT, now, self._settings().stop_grace_s)
        if one.ending is not None and one.ending.step(now):
            self._end_stuck_shim(one, now)

    def _end_stuck_shim(self, one: LiveTry, now: float) -> None:
        """End a shim that does not end by itself although nothing of its try is left: it was stopped, or it hangs."""
        if one.bare_since is None:
            one.bare_since = now
        if now - one.bare_since < STUCK_AFTER_S:
            return
        pid = one.pid or (one.directory.pid() or (0, 0))[0]
        process = processes.read_process(pid) if pid else None
        if process is not None:
            self._say(f"{one.name}: its shim does not end; it is killed")
            processes.send(process, signal.SIGKILL)
        one.bare_since = now

    def stop(self, one: LiveTry, why: Why, now: float, grace_s: float) -> None:
        """End a try: the reason is durable before the first signal."""
        if one.why is not None and one.why is not Why.REQUEUE:
            return
        one.why = why
        self.has_changed = True
        if one.stage is not Stage.RUNNING:
            return
        try:
            one.directory.write_why(why)
        except OSError as error:
            self._say(
                f"{one.name}: the reason of its end could not be written ({error.strerror}); it is ended all the same"
            )
        one.ending = processes.Ending(one.claim_path, one.pid or 0, grace_s)
        one.ending.step(now)

    # -- settling --------------------------------------------------------------------------------------------------

    def _settle(self, one: LiveTry, end: End, now: float) -> None:
        settings = self._settings()
        self.plan_is_wanted |= one.stage is not Stage.SETTLING
        one.stage, one.end, one.settle_is_out = Stage.SETTLING, end, True
        retries = one.needs.retries if one.needs.retries is not None else settings.retries
        policy = RetryPolicy(retries, settings.max_lost)
        facts = dict(one.facts)
        started = None if one.record_at is None else (one.started_wall_s, dict(one.facts))
        if one.started_wall_s:
            facts["ended_at"] = format_utc(time.time())
            facts["duration_s"] = round(now - one.started_at, 3)

        def done(result: Settled | Failed) -> None:
            self._settle_ended(one, result)

        def call() -> Settled:
            return self._spool.transitions.settle(
                one.claim,
                one.named_end,
                end,
                policy,
                facts,
                one.refusal,
                one.needs.queue,
                started,
                because=one.because,
                inherited=one.is_inherited,
            )

        self._storage.submit("settle", call, done)

    def _settle_ended(self, one: LiveTry, result: Settled | Failed) -> None:
        now = self._clock()
        one.settle_is_out = False
        one.settle_at = now + SETTLE_AGAIN_S
        if isinstance(result, Failed) or result.moved is Moved.UNKNOWN:
            self._say(
                f"{one.name}: could not be moved on yet ({result if isinstance(result, Failed) else result.error})"
            )
            return
        del self.live[one.name]
        self.has_changed = True
        one.directory.remove()
        self.stop_wanted.pop(one.name, None)
        if result.moved is Moved.LOST:
            self._say(f"{one.name}: its claim was taken away")
            return
        settlement = result.settlement
        if settlement.to is State.PENDING:
            self.look_is_wanted = True
        else:
            self.settled_counts[settlement.to] += 1
        because = f" ({settlement.reason})" if settlement.reason else ""
        self._say(f"{settlement.to.value:<8} {one.title}  {settlement.outcome}{because}  [{one.claim.task_id}]")

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
                self._take_up(claim, named_end, now)
        for one in list(self.live.values()):
            if one.stage is not Stage.RUNNING or one.name in present:
                one.missing_since = None
            elif one.missing_since is None:
                one.missing_since = now
            elif now - one.missing_since >= LOST_AFTER_S:
                self._say(f"{one.name}: its claim was removed; it is ended")
                self.stop(one, Why.LOST, now, self._settings().stop_grace_s)

    def tidy(self, own_claims: Iterable[str]) -> None:
        """Remove what killed agents left on this node: directories of tries that are over or never began."""
        kept = self.live.keys() | {claim_name(parsed[0]) for parsed in map(parse_claim, own_claims) if parsed}
        left = [directory for directory in self._home.tries() if directory.name not in kept]
        for directory in (*left, *self._home.spares()):
            if not directory.is_alive():
                directory.remove()

    def _take_up(self, claim: Claim, named_end: End | None, now: float) -> None:
        directory = self._home.try_directory(claim_name(claim))
        facts = ClaimFacts(
            claim, named_end, directory.is_alive(), directory.status(), directory.why(), directory.never_began()
        )
        decision: Recovery = recover(facts)
        path = self._spool.paths.claim(self._spool.node, claim)
        one = LiveTry(claim, path, directory, Stage.RUNNING, named_end=named_end, end=decision.end, started_at=now)
        known = directory.facts()
        one.is_inherited = known is None
        from_node, one.because = self.stories.pop(one.name, ("", ""))
        self._remember(one, known or {}, now)
        if from_node:
            one.facts["node"] = from_node
        self.live[one.name] = one
        self.has_changed = True
        if decision.step is Step.ADOPT:
            self._say(f"{one.name}: taken up again, its shim lives")
            self._record(one, is_news=False)  # our predecessor may have died before it did
            wanted = Why.STOPPED if self.stop_wanted.pop(one.name, None) is not None else facts.why
            if wanted is not None:  # our predecessor was ending it
                self.stop(one, wanted, now, self._settings().stop_grace_s)
            return
        assert decision.end is not None
        why = decision.end.why.value if decision.end.why else "by itself"
        self._say(f"{one.name}: found ended ({why}, status {decision.end.status})")
        if decision.step is Step.SETTLE:
            self._settle(one, decision.end, now)
        else:
            one.stage = Stage.CLEANING
            one.ending = processes.Ending(one.claim_path, grace_s=LEFTOVER_GRACE_S)
            self._clean(one, now)

    def _remember(self, one: LiveTry, facts: Mapping[str, Any], now: float) -> None:
        """What our predecessor wrote about this try when it started it."""
        gpus = facts.get("gpus")
        one.gpus = tuple(uuid for uuid in gpus if isinstance(uuid, str)) if isinstance(gpus, list) else ()
        name = facts.get("name")
        one.title = name if isinstance(name, str) else one.claim.task_id.split("-", 2)[2]
        started = facts.get("started_monotonic")
        # The monotonic clock counts from boot, and this directory does not outlive one.
        one.started_at = float(started) if isinstance(started, (int, float)) and 0 <= started <= now else now
        wall = facts.get("started_wall_s")
        one.started_wall_s = float(wall) if isinstance(wall, (int, float)) else 0.0
        time_s, retries, queue = facts.get("time_s"), facts.get("retries"), facts.get("queue")
        one.needs = Needs(
            gpus_min=len(one.gpus),
            gpus_max=len(one.gpus),
            time_s=float(time_s) if isinstance(time_s, (int, float)) else None,
            retries=retries if isinstance(retries, int) else None,
            queue=queue if isinstance(queue, str) else None,
        )
        one.facts = {key: facts[key] for key in ("gpus", "gpu_indices", "name", "cwd", "started_at") if key in facts}
