"""One GPU's keep-alive: how it stands, and what is to be done next.  Pure: facts in, an order out.

::

    OFF -> STARTING -> HOLDING -> YIELDING -> OFF
              |           |
              +-----------+-> BACKING_OFF -> OFF      somebody else uses this GPU
              +-----------+-> OFF or FAILED           its worker ended by itself: again soon, or after a long rest

- It starts only where others hold next to nothing and that was quiet for a while; where others come to hold more, it
  goes.
- An order says what is wanted at this moment; it is given anew at each step until the facts fit it, so a message that
  was lost costs a moment.
- A worker leaves for whatever comes: a task, a switch, quiet hours, a tenant.  Only its exit gives all memory back,
  so ``is_clear`` waits for that, and then for the device to report it.
- On a GPU that a task holds but leaves idle a *light* worker may sit: without ballast, and gone at the first sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gpu_queue.band import Band
from gpu_queue.gpus.devices import ComputeMode, Health
from gpu_queue.gpus.leases import Footprint
from gpu_queue.keepalive.controller import Controller
from gpu_queue.keepalive.facts import KeepFacts, Order, WorkerFacts
from gpu_queue.keepalive.falls import Falls
from gpu_queue.keepalive.idleness import BASELINE_SLACK_BYTES, ComeBack, IdleSpell, Quiet
from gpu_queue.keepalive.occupancy import Occupancy
from gpu_queue.keepalive.sizes import memory_goal_bytes
from gpu_queue.keepalive.tenant import Listener, Sample, TenantDetector
from gpu_queue.units import format_duration, format_size

REST_BEFORE_S = 1.0
"""A GPU must be quiet for so long after something of ours: the next task may be on its way."""
START_TIMEOUT_S = 180.0
"""CUDA starts in half a second, on some machines in ten; cold container storage takes longer."""
SILENT_AFTER_S = 10.0
"""A worker that has not reported for so long hangs; it reports each half second."""
LEAVE_TIMEOUT_S = 2.0
"""Between the word to leave and KILL."""
START_LEAVE_TIMEOUT_S = 0.5
"""The same while CUDA starts, when a worker cannot hear for seconds, holds nothing and runs no kernel of ours."""
RESTART_FIRST_S = 1.0
FAILED_REST_S = 600.0
"""After too many falls: what made them, a fabric manager that starts late, may have mended itself."""
RESERVE_BYTES = 3 << 29
"""Left free for whoever comes, and for the worker's own context."""
OPEN_LOOP_AFTER_S = 10.0


class KeepState(str, Enum):
    """How the keep-alive of one GPU stands."""

    OFF = "off"
    STARTING = "starting"
    HOLDING = "holding"
    YIELDING = "yielding"
    BACKING_OFF = "backing off"
    FAILED = "failed"


@dataclass(frozen=True)
class Rules:
    """What the owner of the node decides."""

    band: Band
    memory_fraction: float = 0.6
    engine: str = "matmul"
    hold_leased: bool = False
    hold_leased_after_s: float = 600.0
    quiet_s: float = 60.0
    """A GPU whose past is not known must be quiet for so long before it is held."""
    foreign_bytes: int = 1 << 30
    """A GPU on which others hold more is theirs."""
    is_dedicated: bool = False
    """Nobody but us is to use this node."""


class Keeper:
    """The keep-alive of one GPU.

    Args:
        uuid: the GPU.
        rules: what the owner of the node decides.
        chance: evenly distributed from 0 to 1.
    """

    def __init__(self, uuid: str, rules: Rules, chance: Callable[[], float]) -> None:
        self.uuid = uuid
        self.state = KeepState.OFF
        self.reason = ""
        """For people: why it is in this state."""
        self.duty = 0.0
        self.is_light = False
        self._occupancy = Occupancy()
        self._quiet = Quiet()
        self._rules = rules
        self._is_outdated = False
        """The worker holds by rules that have changed."""
        self._controller = Controller(rules.band)
        self._tenant = TenantDetector(None)
        self._listener: Listener | None = None
        """Of a light worker: it is silent from time to time, to hear the task beside it."""
        self._reports_seen = 0
        self._is_old = False
        """It holds for long enough to be judged."""
        self._come_back = ComeBack(chance)
        self._tenant_said = ""
        """Who is waited for to leave; empty: nobody."""
        self._idle_lease = IdleSpell(rules.hold_leased_after_s)
        self._left_idle = False
        self._beside = ""
        """The holder beside which a light worker sits."""
        self._since = float("-inf")
        self._falls = Falls(RESTART_FIRST_S)
        self._not_before = float("-inf")

    # -- what others ask --------------------------------------------------------------------------------------------

    @property
    def beside(self) -> str:
        """The try beside which a light worker may be started."""
        return self._beside if self.is_light else ""

    @property
    def is_clear(self) -> bool:
        """Whether the memory of the worker that was here last is back, or was waited for long enough."""
        return self._occupancy.is_over

    @property
    def is_late(self) -> bool:
        """Whether the memory of its last worker did not come back in time."""
        return self._occupancy.is_late

    @property
    def footprint(self) -> Footprint:
        """What its worker takes, as long as there is one or its memory is not back."""
        # Where somebody works no task is to start, so all that is used is taken for theirs.
        return Footprint(0, 0) if self.state is KeepState.BACKING_OFF else self._occupancy.footprint

    @property
    def is_open_loop(self) -> bool:
        """No reading has told, for a while, how far the duty is reached."""
        return self.state is KeepState.HOLDING and self._is_old and self._controller.is_open_loop

    def try_again(self) -> None:
        """Forget failures: somebody switched it on anew."""
        self._falls.forget()
        self._not_before = float("-inf")
        if self.state is KeepState.FAILED:
            self._enter(KeepState.OFF, "", self._since)

    def obey(self, rules: Rules) -> None:
        """Take over changed rules; a worker that holds by old ones makes place for another."""
        old, self._rules = self._rules, rules
        if rules.hold_leased_after_s != old.hold_leased_after_s:
            self._idle_lease = IdleSpell(rules.hold_leased_after_s)
        changed = (rules.band, rules.engine, rules.memory_fraction) != (old.band, old.engine, old.memory_fraction)
        self._is_outdated |= changed and self.state in (KeepState.STARTING, KeepState.HOLDING)

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self, facts: KeepFacts) -> Order:
        """Judge the facts; what is to be done now."""
        self._await_memory(facts)
        if facts.ended is not None:
            self._note_end(facts)
        self._watch(facts)
        match self.state:
            case KeepState.STARTING:
                return self._starting(facts)
            case KeepState.HOLDING:
                return self._holding(facts)
            case KeepState.YIELDING:
                return self._leaving(facts)
            case KeepState.BACKING_OFF:
                return self._backing_off(facts)
            case _:
                return self._off(facts)

    def _enter(self, state: KeepState, reason: str, now: float) -> None:
        self.state, self.reason, self._since = state, reason, now
        if state is not KeepState.HOLDING:
            self.duty = 0.0
        if state not in (KeepState.STARTING, KeepState.HOLDING):
            self._is_outdated = False

    def _watch(self, facts: KeepFacts) -> None:
        """Note whether the card is quiet, and whose it was when it was not."""
        if self.state is KeepState.BACKING_OFF and facts.worker is not None:
            self._quiet.others()
        elif facts.worker is not None or facts.holder or facts.filler_elsewhere or not self.is_clear:
            self._quiet.ours(facts.now)
        else:
            used_bytes = facts.gpu.memory_used_bytes
            most_bytes = self._rules.foreign_bytes
            if self.state is KeepState.BACKING_OFF:  # until the tenant has left with all that it had
                most_bytes = min(most_bytes, (self._occupancy.baseline_bytes or 0) + BASELINE_SLACK_BYTES)
            is_foreign = used_bytes is not None and used_bytes > most_bytes
            self._quiet.feed(facts.now, facts.utilization, used_bytes, is_foreign=is_foreign)

    def _await_memory(self, facts: KeepFacts) -> None:
        if facts.worker is None:
            is_lost = facts.gpu.health is Health.LOST
            self._occupancy.await_end(facts.now, facts.gpu.memory_used_bytes, is_lost=is_lost)

    def _note_end(self, facts: KeepFacts) -> None:
        """Its worker has gone: as it was told, or by itself."""
        if self.state is KeepState.BACKING_OFF:  # what is used is the tenant's
            return
        if not self.is_light:  # it held next to nothing, and what is used beside it is a task's
            self._occupancy.end(facts.now)
            self._await_memory(facts)
        if self.state is KeepState.YIELDING:
            return
        rest_s = self._falls.add(facts.now - self._since if self.state is KeepState.HOLDING else 0.0)
        if self._falls.are_too_many:
            self._not_before = facts.now + FAILED_REST_S
            again = f"it is tried again every {format_duration(FAILED_REST_S)}"
            self._enter(KeepState.FAILED, f"one worker after the other ended ({facts.ended}); {again}", facts.now)
            return
        self._not_before = facts.now + rest_s
        self._enter(KeepState.OFF, f"its worker ended ({facts.ended}); again in {format_duration(rest_s)}", facts.now)

    def _obstacle(self, facts: KeepFacts) -> str:
        """Why this GPU is not to be held now; empty: it may be."""
        if facts.gpu.health is not Health.OK:
            return f"the GPU is {facts.gpu.health.value}"
        if facts.rest:
            return facts.rest
        if facts.holder and not self._may_sit_beside(facts):
            return "a task has it"
        exclusion = self._exclusion(facts)
        if exclusion or facts.holder:
            return exclusion
        if facts.gpu.memory_used_bytes is None:
            return "its memory cannot be read"
        if self.is_light and self.state in (KeepState.STARTING, KeepState.HOLDING):
            return "its task has ended"
        if facts.filler_elsewhere:
            return "another agent keeps it busy"
        return "its settings have changed" if self._is_outdated else ""

    def _exclusion(self, facts: KeepFacts) -> str:
        """Why a filler would lock others out, or cannot be; empty: neither."""
        mode = facts.gpu.compute_mode
        is_ours_alone = self._rules.is_dedicated and not facts.holder
        if mode is ComputeMode.PROHIBITED:
            return "its compute mode is prohibited"
        if mode is ComputeMode.EXCLUSIVE_PROCESS and not is_ours_alone:
            return "its compute mode is exclusive process: a filler would lock all others out"
        return ""

    def _may_sit_beside(self, facts: KeepFacts) -> bool:
        if not (self._rules.hold_leased and facts.holder_runs):
            return False
        if self.state in (KeepState.STARTING, KeepState.HOLDING):
            return self.is_light and self._beside == facts.holder
        return self._left_idle

    # -- off --------------------------------------------------------------------------------------------------------

    def _off(self, facts: KeepFacts) -> Order:
        now = facts.now
        self._watch_lease(facts)
        if facts.worker is not None:  # one that nobody ordered
            return Order(leave=True)
        obstacle = self._obstacle(facts)
        if facts.holder:  # it was judged free, and given
            self._tenant_said = ""
        if obstacle and self.state is not KeepState.FAILED:
            self.reason = obstacle
        if obstacle or not self.is_clear or now < self._not_before:
            return Order()
        if self._tenant_said:  # a rest came between
            self._enter(KeepState.BACKING_OFF, self._tenant_said, now)
            return Order()
        hindrance = self._hindrance(facts)
        if hindrance:
            self._enter(KeepState.OFF, hindrance, self._since)
            return Order()
        return self._start(facts)

    def _hindrance(self, facts: KeepFacts) -> str:
        """Why nothing is started now on a GPU that might be held; empty: nothing is in the way."""
        used_bytes = facts.gpu.memory_used_bytes
        if facts.holder:  # its task leaves it idle: it was watched for longer than here
            return ""
        if used_bytes is not None and used_bytes > self._rules.foreign_bytes:
            return f"others hold {format_size(used_bytes)} of its memory"
        wanted_s = REST_BEFORE_S if self._quiet.is_known else max(REST_BEFORE_S, self._rules.quiet_s)
        lasted_s = self._quiet.lasted_s(facts.now)
        if lasted_s is not None and lasted_s >= wanted_s:
            return ""
        if self._quiet.is_known:
            return "about to start"
        if lasted_s is None:
            return "somebody else is at work on it"
        return f"starts when nobody has used the GPU for {format_duration(wanted_s)}"

    def _watch_lease(self, facts: KeepFacts) -> None:
        gpu = facts.gpu
        if facts.holder != self._beside:
            self._beside = facts.holder
            self._idle_lease.reset()
        self._left_idle = (
            facts.holder_runs
            and self._rules.hold_leased
            and gpu.health is Health.OK
            and self._idle_lease.feed(facts.now, facts.utilization, gpu.memory_used_bytes, gpu.memory_total_bytes)
        )

    def _start(self, facts: KeepFacts) -> Order:
        gpu = facts.gpu
        goal_bytes = 0
        if not facts.holder:
            total, used, free = gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.memory_free_bytes
            if total is None or used is None:
                self.reason = "its memory cannot be read"
                return Order()
            # What the driver keeps for itself is neither used nor free.
            free = total - used if free is None else free
            goal_bytes = memory_goal_bytes(total, free, self._rules.memory_fraction, RESERVE_BYTES)
            if goal_bytes == 0 and self._rules.memory_fraction > 0:
                self.reason = f"only {format_size(free)} of its memory are free"
                return Order()
        self.is_light, self._beside = bool(facts.holder), facts.holder
        self._occupancy.book(gpu.memory_used_bytes, goal_bytes)
        self._controller = Controller(self._rules.band)
        self._tenant = TenantDetector(gpu.memory_used_bytes, strict=self.is_light)
        self._listener = Listener() if self.is_light else None
        self._reports_seen = 0
        self._enter(KeepState.STARTING, "", facts.now)
        return Order(start_bytes=goal_bytes)

    # -- with a worker ----------------------------------------------------------------------------------------------

    def _starting(self, facts: KeepFacts) -> Order:
        if facts.worker is None:  # until torch is imported, which may take minutes, the GPU is judged anew each time
            self._enter(KeepState.OFF, "", facts.now)
            return self._off(facts)
        obstacle = self._obstacle(facts)
        if obstacle:
            return self._leave(obstacle, facts)
        if facts.worker.is_ready:
            self._enter(KeepState.HOLDING, "", facts.now)
            self._occupancy.begin(facts.now, facts.worker.held_bytes)
            return self._holding(facts)
        foreign = self._foreign(facts)
        if foreign:
            return self._give_way(foreign, facts)
        return Order(kill=facts.now - self._since > START_TIMEOUT_S)

    def _holding(self, facts: KeepFacts) -> Order:
        worker = facts.worker
        if worker is None:  # its end will be told
            return Order()
        obstacle = self._obstacle(facts)
        if obstacle:
            return self._leave(obstacle, facts)
        if worker.heard_at is not None and facts.now - worker.heard_at > SILENT_AFTER_S:
            return Order(kill=True)
        self._is_old = facts.gpu.utilization_percent is None or facts.now - self._since >= OPEN_LOOP_AFTER_S
        self._occupancy.measure(facts.now, facts.gpu.memory_used_bytes, worker.held_bytes)
        found = worker.tenant or self._tenant.feed(self._sample(facts, worker)) or self._foreign(facts)
        is_silent = False
        if self._listener is not None and not found:
            is_silent, found = self._listener.step(facts.now, facts.gpu.utilization_percent)
        if found:
            return self._give_way(found, facts)
        if is_silent:
            self.duty = 0.0
            return Order(duty=0.0)
        if not self.duty:
            self._controller.restart(facts.now)
        self.duty = self._controller.step(facts.now, facts.utilization, hold=self._tenant.suspects)
        return Order(duty=self.duty)

    def _foreign(self, facts: KeepFacts) -> str:
        """What tells that the GPU is somebody else's, though nobody was seen to come; empty: it is not."""
        used_bytes = facts.gpu.memory_used_bytes
        if self.is_light or used_bytes is None:
            return ""
        others_bytes = self._occupancy.footprint.others_bytes(used_bytes)
        return f"others hold {format_size(others_bytes)}" if others_bytes > self._rules.foreign_bytes else ""

    def _sample(self, facts: KeepFacts, worker: WorkerFacts) -> Sample:
        is_new = worker.reports != self._reports_seen
        self._reports_seen = worker.reports
        return Sample(
            facts.now,
            facts.gpu.memory_used_bytes,
            facts.utilization,
            worker.held_bytes,
            worker.busy,
            worker.stretch if is_new else None,
            self.duty,
        )

    def _give_way(self, found: str, facts: KeepFacts) -> Order:
        if self.is_light:  # it is the task that it sits beside
            self._idle_lease.reset()
            self._left_idle = False
            return self._leave("the task uses its GPU again", facts)
        self._come_back.tenant_seen(facts.now)
        self._tenant_said = f"somebody else works on this GPU: {found}"
        self._enter(KeepState.BACKING_OFF, self._tenant_said, facts.now)
        return self._sent_away(facts.worker, facts.now)

    def _leave(self, reason: str, facts: KeepFacts) -> Order:
        self._enter(KeepState.YIELDING, reason, facts.now)
        return self._leaving(facts)

    def _sent_away(self, worker: WorkerFacts | None, now: float) -> Order:
        """The word to leave, and KILL when it was not heard in time."""
        if worker is None or worker.is_ready:
            timeout_s = LEAVE_TIMEOUT_S
        else:
            timeout_s = START_LEAVE_TIMEOUT_S if worker.is_in_cuda else 0.0
        return Order(leave=True, kill=now - self._since >= timeout_s)

    def _leaving(self, facts: KeepFacts) -> Order:
        if facts.worker is not None:
            return self._sent_away(facts.worker, facts.now)
        if self.is_clear:
            self._enter(KeepState.OFF, self.reason, facts.now)
        return Order()

    def _backing_off(self, facts: KeepFacts) -> Order:
        if facts.worker is not None:
            return self._sent_away(facts.worker, facts.now)
        obstacle = self._obstacle(facts)
        if obstacle:
            self._enter(KeepState.OFF, obstacle, facts.now)
            return Order()
        lasted_s = self._quiet.lasted_s(facts.now)
        if lasted_s is not None and lasted_s >= self._come_back.wait_s:
            self._come_back.came_back(facts.now)
            self._tenant_said = ""
            self._enter(KeepState.OFF, "", facts.now)
        return Order()
