"""What an agent in a slot of a kept queue does for the allocations that come after its own.

- The storage thread lists and makes tokens, ``scheduling.renewal`` decides, ``submit.sh`` asks the scheduler and
  submits: the very program that submitted our own allocation, with what ``keep`` holds of the request.
- One step at a time: list; ask, or make a token, list again and submit; list again.
- Nothing here hinders the queue: what cannot be done is told, and is a person's or another agent's to do.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.allotted import Span
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import Settings
from gpu_queue.execution.allocation import without_allocation
from gpu_queue.execution.background import Background
from gpu_queue.kept import Keep, Slot
from gpu_queue.node.storage import Errand, Failed
from gpu_queue.reasons import REASONS_PUBLISHED
from gpu_queue.scheduling import renewal
from gpu_queue.scheduling.facts import Facts as PlanFacts
from gpu_queue.scheduling.facts import Phase
from gpu_queue.scheduling.plan import explain
from gpu_queue.scheduling.renewal import Answer, Ask, Facts, Job, Limits, Memory, Pause, Submit
from gpu_queue.shell import SUBMIT, SUBMIT_TYPED
from gpu_queue.spool import keeping
from gpu_queue.spool.keeping import Allocations
from gpu_queue.states import AllocationState, read_word
from gpu_queue.texts import printable

ASK_TIMEOUT_S = 240.0
"""Longer than ``submit.sh`` lets a way take."""
SUBMIT_TIMEOUT_S = 540.0
LOOK_PART = 20.0
"""Of a short lifetime, it looks after one part in so many at the latest."""
LOOK_AGAIN_S = 0.3
GIVE_WAY_S = 7.0
"""Whose token was too many looks again after so long, times the number of its slot."""
JOBS_MAX = 10_000
WORDS_MAX = 300


@dataclass(frozen=True)
class Situation:
    """What else of an agent is asked."""

    served_s: float
    lifetime_s: float
    """inf: without end."""
    has_work: bool
    has_waiting: bool
    is_leaving: bool
    is_paused: bool
    """What waits could not run now, and may later."""


def situation_of(facts: PlanFacts, live: Collection[object], span: Span, served_s: float) -> Situation:
    """What decides about the allocations after this one.

    Args:
        facts: what a plan is made from.
        live: the tries that the agent has in hand.
        span: how long it serves.
        served_s: how long it has.
    """
    is_paused = facts.phase is Phase.PAUSED
    is_over = facts.phase is Phase.DRAINING and served_s >= span.takes_s
    # At the end of its lifetime all wait for the next agent, also what that one cannot run.
    asked = replace(facts, phase=Phase.SERVING, phase_reason=None) if is_over else facts
    reasons = explain(asked, REASONS_PUBLISHED)
    is_more = len(facts.waiting) > REASONS_PUBLISHED and not is_paused
    ids = {one.name: one.task_id for one in facts.waiting}
    waiting = [((name, ids[name] or name), why) for name, why in reasons]
    has_waiting = is_more or renewal.some_could_run(waiting, span.ends_s)
    stays = facts.phase in (Phase.SERVING, Phase.PAUSED) or is_over
    return Situation(served_s, span.takes_s, has_waiting or bool(live), has_waiting, not stays, is_paused)


class Renewing:
    """One agent's part in keeping its queue served; of an agent that is in no slot nothing."""

    def __init__(
        self,
        around: Surroundings,
        agenda: Agenda,
        settings: Callable[[], Settings],
        now: float,
    ) -> None:
        """Look at nothing yet.

        Args:
            around: what the agent stands on; the environment names its slot.
            agenda: when to tell people.
            settings: those of the moment.
            now: monotonic seconds.
        """
        self._paths = around.spool.paths
        self._runs_somewhere = around.spool.runs_somewhere
        self._node = around.spool.node
        self._uids = around.spool.owners
        self._allocation = around.allocation
        self._environment = environment_of_submit(around.environment, around.queue_root, around.job_id)
        self._job_id = around.job_id
        self._agenda = agenda
        self._settings = settings
        self._say = around.say
        self._wake = around.wake
        text = around.environment.get("GPU_QUEUE_SLOT", "")
        self._own = Slot.parse(text)
        if text and self._own is None:
            self._say(f"GPU_QUEUE_SLOT: {printable(text)[:80]!r}; expected a slot like 1.4; it counts for nothing")
        self._looks: Errand[tuple[Allocations, bool]] = Errand(
            around.storage,
            "allocations",
            self._say,
            trouble="allocations/ could not be looked at",
            over="allocations/ can be looked at again",
        )
        self._makes: Errand[Allocations | None] = Errand(around.storage, "slot", self._say)
        self._notes: Errand[None] = Errand(around.storage, "keep", self._say, trouble="the slot could not be noted")
        self._due = now
        self._memory = Memory()
        self._run: tuple[Background, Callable[[Background, float], None]] | None = None
        self._has_begun = False
        self._had_work = False
        self._ran_elsewhere = True
        self._was_kept: bool | None = None
        self._forgets_at = now
        self.problem = ""
        """Why the allocations after this one are not submitted, for people."""
        self.unneeded = ""
        """Why this allocation is not needed."""

    @property
    def is_busy(self) -> bool:
        """Whether something is being submitted: the agent ends after that."""
        return self._run is not None or self._makes.is_out()

    def due(self, now: float) -> float:  # noqa: ARG002
        """When it looks again."""
        return NEVER if self._own is None or self.is_busy or self._looks.is_out() else self._due

    def advance(self, now: float, situation: Callable[[], Situation]) -> None:
        """Take the next step, if it is time to."""
        if self._own is None:
            return
        if self._run is not None and self._run[0].is_over():
            (run, ended), self._run = self._run, None
            ended(run, now)
        if self.is_busy or self._looks.is_out() or now < self._due:
            return
        self._due = NEVER
        own, has_begun, had_work = self._own, self._has_begun, self._had_work

        def call() -> tuple[Allocations, bool]:
            if not has_begun:
                keeping.mark_began(self._paths, own)
            seen = keeping.look(self._paths, self._uids)
            if now >= self._forgets_at:
                keeping.forget_old(self._paths, seen.tokens, seen.now_s)
            return seen, not had_work and self._runs_somewhere()

        def done(result: tuple[Allocations, bool] | Failed) -> None:
            self._due = now + renewal.LOOK_EVERY_S
            if not isinstance(result, Failed):
                self._has_begun = True
                self._forgets_at = max(self._forgets_at, now + 3600.0)
                seen, runs_elsewhere = result
                # What has just left running/ there may not be known to wait yet.
                has_elsewhere, self._ran_elsewhere = runs_elsewhere or self._ran_elsewhere, runs_elsewhere
                self._decide(seen, situation(), now, has_elsewhere=has_elsewhere)

        self._looks.send(call, done)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._run is not None:
            self._run[0].close()

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _facts(self, seen: Allocations, situation: Situation) -> Facts:
        assert self._own is not None
        ends = situation.lifetime_s < float("inf")
        return Facts(
            seen.now_s,
            self._own,
            self._own_ids(),
            situation.served_s,
            situation.lifetime_s if ends else None,
            situation.lifetime_s - situation.served_s if ends else None,
            situation.has_work,
            situation.has_waiting,
            situation.is_leaving,
            seen.keep,
            seen.tokens,
            self._memory,
            Limits(self._settings().renew_per_hour, self._settings().renew_after_s),
        )

    def _decide(self, seen: Allocations, situation: Situation, now: float, *, has_elsewhere: bool) -> None:
        facts = self._facts(seen, situation)
        self._had_work |= situation.has_work or situation.is_paused
        if self._was_kept is None:
            # One that cannot be read now (somebody edits it) is no wish to end.
            self._was_kept = seen.keep is not None or seen.paused is not None or bool(seen.problem)
        arrived = replace(facts, has_work=self._had_work, has_elsewhere=has_elsewhere)
        self.unneeded = renewal.arrival(arrived, is_kept=self._was_kept)
        decision = renewal.decide(facts)
        if isinstance(decision, Ask):
            self._ask(seen, now)
        elif isinstance(decision, Submit):
            self._make(decision, situation, now)
        elif isinstance(decision, Pause):
            self._pause(decision.reason, seen)
        else:
            rest_s = min(decision.until_s - seen.now_s, situation.lifetime_s / LOOK_PART, renewal.LOOK_EVERY_S)
            self._due = now + max(LOOK_AGAIN_S, rest_s)
            if not self._memory.failures:
                self._tell(
                    seen.problem or (f"no allocation is submitted now: {decision.why}" if decision.why else "")
                )

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._agenda.want(Duty.TELL)
            if problem:
                self._say(problem)

    def _pause(self, reason: str, seen: Allocations) -> None:
        by = f"{reason}; see their logs in {self._paths.allocations}"
        self._say(f"the queue is kept no longer: {by}. {by_hand(seen.keep, self._job_id)}")
        self._notes.send(lambda: keeping.pause(self._paths, by))

    # -- asking the scheduler ---------------------------------------------------------------------------------------

    def _ask(self, seen: Allocations, now: float) -> None:
        def done(run: Background, ended_at: float) -> None:
            self._due = ended_at
            moment_s = seen.now_s + ended_at - now
            if run.status != 0:
                self._memory = renewal.unanswered(self._memory, moment_s, _last_words(run))
            else:
                answer = Answer(seen.now_s, parse_jobs(run.output))
                own = self._own or Slot(1, 1)
                known = Facts(moment_s, own, self._own_ids(), tokens=seen.tokens)
                self._memory = renewal.observe(self._memory, answer, known)
            problem = ""
            if self._memory.failures:
                where = f"the allocations that follow cannot be submitted from {self._node}: {self._memory.problem}"
                problem = f"{where}. {by_hand(seen.keep, self._job_id)}"
            self._tell(problem)

        self._start(["--states", self._job_id], ASK_TIMEOUT_S, done)

    def _own_ids(self) -> tuple[str, ...]:
        id_ = self._allocation.id
        return tuple(dict.fromkeys((id_, id_.partition(".")[0]))) if id_ else ()

    # -- submitting -------------------------------------------------------------------------------------------------

    def _make(self, wanted: Submit, situation: Situation, now: float) -> None:
        assert self._own is not None
        nonce, own = secrets.token_hex(6), self._own

        def call() -> Allocations | None:
            if not keeping.make_token(self._paths, wanted.slot, nonce, self._node, own):
                return None
            try:
                return keeping.look(self._paths, self._uids)
            except OSError:
                keeping.withdraw(self._paths, wanted.slot, nonce)
                raise

        def done(result: Allocations | Failed | None) -> None:
            self._due = now + GIVE_WAY_S * own.number
            if isinstance(result, Failed):
                self._say(f"slot-{wanted.slot} could not be made: {result}")
            elif result is not None:
                if renewal.confirm(self._facts(result, situation), wanted.slot, nonce):
                    self._notes.send(partial(keeping.withdraw, self._paths, wanted.slot, nonce), key=wanted.slot)
                else:
                    self._submit(wanted)

        self._makes.send(call, done)

    def _submit(self, wanted: Submit) -> None:
        def done(run: Background, ended_at: float) -> None:
            self._due = ended_at
            words = [line for line in run.output.splitlines() if line.startswith("Submitted: ")]
            if run.status == 0:
                self._say(f"slot {wanted.slot} of the kept queue: {printable(words[-1]) if words else 'submitted'}")
            else:
                self._say(f"slot {wanted.slot} of the kept queue was not submitted: {_last_words(run)}")

        after = ["--after", wanted.after[0]] if wanted.after else []
        self._start(["--successor", str(wanted.slot), *after, self._job_id], SUBMIT_TIMEOUT_S, done)

    def _start(self, arguments: Sequence[str], timeout_s: float, done: Callable[[Background, float], None]) -> None:
        self._run = Background(lambda: [SUBMIT, *arguments], self._environment, timeout_s, self._wake), done


def environment_of_submit(environment: Mapping[str, str], queue_root: str, job_id: str) -> dict[str, str]:
    """What ``submit.sh`` finds: nothing of our own allocation, and of the settings what ``keep`` holds of them.

    Args:
        environment: the agent's.
        queue_root: of all queues.
        job_id: which.
    """
    kept = {
        name: value
        for name, value in without_allocation(environment).items()
        if not name.startswith(("GPU_QUEUE_", "GPU_UTIL_", "CUDA_VISIBLE_DEVICES"))
    }
    return {**kept, "QUEUE_ROOT": queue_root, "JOB_ID": job_id}


def by_hand(keep: Keep | None, job_id: str) -> str:
    """What a person types to have the queue served on."""
    gpus = f" {keep.gpus}" if keep and keep.gpus else ""
    words = f"{SUBMIT_TYPED} --keep {keep.slots if keep else 1} {shlex.quote(job_id)}{gpus}"
    return f"On a machine that can submit: {words}"


def parse_jobs(text: str) -> tuple[Job, ...]:
    """What ``states`` of a way has printed: ``ID<TAB>WORD<TAB>RAW<TAB>NONCE<TAB>NAME``, a line each.  Pure."""
    found = []
    for line in text.splitlines()[:JOBS_MAX]:
        fields = [*line.split("\t"), "", "", ""]
        if len(fields) >= 5 and fields[0]:
            found.append(Job(fields[0], read_word(AllocationState, fields[1]), printable(fields[2]), fields[3]))
    return tuple(found)


def _last_words(run: Background) -> str:
    lines = [printable(line).strip() for line in (run.problem or run.words).splitlines()]
    return next((line for line in reversed(lines) if line), f"it ended with {run.status}")[:WORDS_MAX]
