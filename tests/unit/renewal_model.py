"""A cluster in a small model, whose clock runs fast: its scheduler, the tokens of a kept queue, and its agents.

An agent is a generator: between any two of its steps (list, ask, create, list again, submit) others act, it may be
killed, and time passes.  What it decides is ``scheduling.renewal``; what surrounds that is told again here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gpu_queue.kept import Keep, Outcome, Slot, Token
from gpu_queue.scheduling import renewal
from gpu_queue.scheduling.renewal import Answer, Ask, Facts, Job, Memory, Pause, Submit
from gpu_queue.states import AllocationState

TICK_S = 20.0
HANG_S = 90.0
PURGED_AFTER_S = 300.0

MODES = ("healthy", "refusing", "hanging", "away", "garbage", "losing", "empty", "dying", "unknown words", "slow")
"""What a scheduler may be like.  ``losing``: it takes a job and forgets it; ``empty``: no job is in its answers;
``dying``: what starts ends at once; ``hanging``: nobody learns what became of a submission."""


@dataclass
class BatchJob:
    """A job, as the scheduler truly has it."""

    id: str
    nonce: str
    slot: Slot
    after: tuple[str, ...]
    submitted_s: float
    appears_s: float
    starts_s: float | None = None
    ended_s: float | None = None
    raw: str = ""
    is_lost: bool = False

    @property
    def is_alive(self) -> bool:
        return self.ended_s is None and not self.is_lost


Steps = Iterator[float]
"""Each value is the moment of an agent's next step."""


@dataclass
class World:
    """One kept queue on one cluster."""

    slots: int
    can_wait: bool
    lifetime_s: float
    chance: random.Random
    confirms: bool = True
    """False: broken on purpose; whoever made a token submits."""
    now_s: float = 1e6
    mode: str = "healthy"
    has_work: bool = True
    keep: Keep | None = None
    paused: str = ""
    tokens: dict[Slot, Token] = field(default_factory=dict)
    jobs: list[BatchJob] = field(default_factory=list)
    agents: dict[str, tuple[float, Steps]] = field(default_factory=dict)
    """By job: when its next step is, and the steps."""
    calls: list[tuple[float, Slot]] = field(default_factory=list)
    """All submissions that reached for the scheduler."""
    unserved_s: float = 0.0
    """How long there was work, and no agent, since that was asked last."""

    # -- the scheduler

    def submit(self, slot: Slot, nonce: str, after: tuple[str, ...]) -> tuple[Outcome, tuple[str, ...]]:
        self.calls.append((self.now_s, slot))
        if self.mode in ("refusing", "away"):
            return Outcome.REFUSED, ()
        job = BatchJob(str(len(self.jobs) + 1), nonce, slot, after, self.now_s, self.now_s)
        if self.mode == "hanging":
            if self.chance.random() < 0.5:
                job.appears_s += HANG_S
                self.jobs.append(job)
            return Outcome.UNKNOWN, ()
        job.is_lost = self.mode == "losing"
        self.jobs.append(job)
        return Outcome.SUBMITTED, (job.id,)

    def states(self) -> tuple[Job, ...] | None:
        if self.mode in ("hanging", "away", "garbage"):
            return None
        if self.mode == "empty":
            return ()
        return tuple(map(self._told, filter(self._is_known, self.jobs)))

    def _is_known(self, job: BatchJob) -> bool:
        is_purged = job.ended_s is not None and self.now_s - job.ended_s > PURGED_AFTER_S
        return not job.is_lost and not is_purged and job.appears_s <= self.now_s

    def _told(self, job: BatchJob) -> Job:
        state = AllocationState.QUEUED if job.starts_s is None else AllocationState.RUNNING
        if job.ended_s is not None:
            state = AllocationState.ENDED
        elif self.mode == "unknown words":
            state = AllocationState.UNKNOWN
        return Job(job.id, state, job.raw, job.nonce)

    def _schedule(self) -> None:
        for job in self.living():
            if job.appears_s > self.now_s:
                continue
            if job.starts_s is None:
                is_free = not any(one.is_alive for one in self.jobs if one.id in job.after)
                delay_s = 1800.0 if self.mode == "slow" else 0.0
                if is_free and self.now_s - job.appears_s >= delay_s:
                    job.starts_s = self.now_s
                    if self.mode == "dying":
                        self.end(job, "FAILED")
                    else:
                        self.agents[job.id] = self.now_s, self._agent(job)
            elif self.now_s - job.starts_s >= self.lifetime_s + 120:
                self.end(job, "TIMEOUT")

    def end(self, job: BatchJob, raw: str) -> None:
        job.ended_s, job.raw = self.now_s, raw
        self.agents.pop(job.id, None)

    # -- people

    def keep_it(self) -> None:
        """``submit.sh --keep``: refused where the hour, or what is there already, leaves no room."""
        self.keep, self.paused = Keep(self.slots, self.now_s, self.can_wait), ""
        for number in range(1, self.slots + 1):
            alive = {job.slot.number for job in self.living()}
            at_s = renewal.hour_allows_at(self.tokens.values(), self.slots + 2, self.now_s)
            if number in alive or at_s > self.now_s or self._is_open(number):
                continue
            slot = Slot(number, 1 + max((one.generation for one in self.tokens if one.number == number), default=0))
            self._make(slot, self._nonce(), is_successor=False)
            self._note(slot, *self.submit(slot, self.tokens[slot].nonce, ()))

    def _is_open(self, number: int) -> bool:
        fresh = [one for one in self.tokens.values() if self.now_s - one.written_s < renewal.UNSEEN_S]
        return any(
            one.slot.number == number and one.outcome is not Outcome.REFUSED and not one.began for one in fresh
        )

    # -- the spool

    def _nonce(self) -> str:
        return f"{self.chance.getrandbits(48):012x}"

    def _make(self, slot: Slot, nonce: str, *, is_successor: bool) -> bool:
        if slot in self.tokens:
            return False
        self.tokens[slot] = Token(slot, self.now_s, nonce, is_successor=is_successor)
        for old in [one for one in self.tokens if one.number == slot.number and one.generation < slot.generation - 7]:
            del self.tokens[old]
        return True

    def _note(self, slot: Slot, outcome: Outcome, ids: tuple[str, ...]) -> None:
        if slot in self.tokens:
            self.tokens[slot] = replace(self.tokens[slot], outcome=outcome, ids=ids)

    # -- an agent

    def _agent(self, job: BatchJob) -> Steps:
        began_s, memory, had_work, is_kept = self.now_s, Memory(), False, None
        if job.slot in self.tokens:
            self.tokens[job.slot] = replace(self.tokens[job.slot], began=True)

        def facts() -> Facts:
            served_s = self.now_s - began_s
            left_s = self.lifetime_s - served_s
            return Facts(
                self.now_s,
                job.slot,
                (job.id,),
                served_s,
                self.lifetime_s,
                left_s,
                self.has_work,
                self.has_work,
                keep=self.keep,
                tokens=tuple(self.tokens.values()),
                memory=memory,
            )

        while self.now_s - began_s < self.lifetime_s:
            yield self.now_s + TICK_S * self.chance.randrange(3)
            seen = facts()
            had_work |= self.has_work
            is_kept = is_kept if is_kept is not None else self.keep is not None or bool(self.paused)
            if renewal.arrival(replace(seen, has_work=had_work), is_kept=is_kept):
                break
            decision = renewal.decide(seen)
            if isinstance(decision, Ask):
                asked_s, jobs = self.now_s, self.states()
                yield self.now_s + (HANG_S if jobs is None else TICK_S * self.chance.randrange(3))
                if jobs is None:
                    memory = renewal.unanswered(memory, self.now_s, "no answer")
                else:
                    memory = renewal.observe(memory, Answer(asked_s, jobs), facts())
            elif isinstance(decision, Pause):
                self.keep, self.paused = None, decision.reason
            elif isinstance(decision, Submit):
                nonce = self._nonce()
                yield self.now_s + TICK_S * self.chance.randrange(3)
                if not self._make(decision.slot, nonce, is_successor=True):
                    continue
                yield self.now_s + TICK_S * self.chance.randrange(3)
                if self.confirms and renewal.confirm(facts(), decision.slot, nonce):
                    del self.tokens[decision.slot]
                    continue
                yield self.now_s  # others act between the decision and the deed
                outcome, ids = self.submit(decision.slot, nonce, decision.after)
                if outcome is Outcome.UNKNOWN:
                    yield self.now_s + HANG_S
                self._note(decision.slot, outcome, ids)
            else:
                yield max(self.now_s + 1.0, min(decision.until_s, self.now_s + renewal.LOOK_EVERY_S))
        self.end(job, "COMPLETED")

    # -- time

    def run(self, seconds: float, look: Callable[[World], None]) -> None:
        """Let time pass; ``look`` is called whenever something happens."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            before_s = self.now_s
            wakes = [at_s for at_s, _ in self.agents.values()] + [self._due(job) for job in self.living()]
            self.now_s = min(until_s, max(before_s + TICK_S, min(wakes, default=until_s)))
            self.unserved_s += (self.now_s - before_s) * (self.has_work and not self.agents)
            self._schedule()
            for name in self.chance.sample(sorted(self.agents), len(self.agents)):
                while name in self.agents and self.agents[name][0] <= self.now_s:
                    steps = self.agents[name][1]
                    at_s = next(steps, None)
                    if at_s is None:
                        self.agents.pop(name, None)
                    else:
                        self.agents[name] = at_s, steps
                        if at_s <= self.now_s and self.chance.random() < 0.5:
                            break  # the others first
            look(self)

    def living(self) -> list[BatchJob]:
        return [job for job in self.jobs[-50:] if job.is_alive]

    def _due(self, job: BatchJob) -> float:
        """When something may happen to it, beside the end of what it waits for."""
        if job.starts_s is not None:
            return job.starts_s + self.lifetime_s + 120
        if any(one.id in job.after for one in self.living()):
            return float("inf")
        return job.appears_s + (1800.0 if self.mode == "slow" else 0.0)


def check(world: World) -> None:
    """What must hold at every moment, whatever the scheduler does."""
    alive = world.living()
    taken = {job.slot.number for job in alive}
    assert len(taken) <= world.slots, f"{sorted(taken)} at once, {world.slots} were asked for"
    for number in taken:
        there = [job for job in alive if job.slot.number == number]
        assert len(there) <= 2, f"slot {number} has {len(there)} jobs"
        assert sum(job.starts_s is None for job in there) <= 1, f"slot {number} has two successors"
    recent = [at for at, _ in world.calls[-50:] if at > world.now_s - renewal.HOUR_S]
    assert len(recent) <= world.slots + 2, f"{len(recent)} submissions in an hour"
    assert len({slot for _, slot in world.calls}) == len(world.calls), "a token was used twice"
