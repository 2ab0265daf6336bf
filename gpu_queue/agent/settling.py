"""What is written down of tries, and how those that have ended are moved on, by the storage thread."""

from __future__ import annotations

from collections.abc import Callable

from gpu_queue.agent.agenda import Agenda, Duty
from gpu_queue.agent.livetry import LiveTry, ended_facts, last_line, left_over
from gpu_queue.agent.rests import retry_limits
from gpu_queue.agent.tally import Ended, Tally
from gpu_queue.config import Settings
from gpu_queue.node.side import NodeSide
from gpu_queue.node.storage import Errand, Failed, Storage
from gpu_queue.node.transitions import Settled
from gpu_queue.task import End, Settlement, State, told_outcome


class Settling:
    """One agent's."""

    def __init__(
        self,
        spool: NodeSide,
        storage: Storage,
        settings: Callable[[], Settings],
        agenda: Agenda,
        tally: Tally,
        say: Callable[[str], None],
        answer: Callable[[LiveTry, Settled | Failed], None],
    ) -> None:
        """Move nothing on yet.

        Args:
            spool: where tries are moved on.
            storage: does it.
            settings: of the moment.
            agenda: says when to look.
            tally: of what was settled.
            say: tells people.
            answer: is told what came of it.
        """
        self._spool = spool
        self._settings = settings
        self._agenda = agenda
        self._tally = tally
        self._say = say
        self._answer = answer
        self._records: Errand[None] = Errand(storage, "record", say)
        self._settles: Errand[Settled] = Errand(storage, "settle", say)

    def record(self, one: LiveTry) -> None:
        """Have it written down that a try runs."""
        record = dict(one.facts)
        started_at, one.is_recorded = None if one.is_recorded else one.started_wall_s, True
        log, is_other_rank = -1, one.is_other_rank
        if one.directory.has_begun():
            log, one.log = one.log, -1

        def done(result: Failed | None) -> None:
            if isinstance(result, Failed):
                self._say(f"{one.name}: its record could not be written ({result})")

        def call() -> None:
            if is_other_rank:  # the record is that of rank 0
                self._spool.gangs.papers.close(log)
            else:
                self._spool.transitions.runs(one.claim, record, started_at, log)

        self._records.send(call, done, key=one.name)

    @staticmethod
    def log_and_last_line(one: LiveTry, end: End, note: str, left: str = "") -> tuple[int, str]:
        """The descriptor of a try's log, and its last line, both to be handed in once."""
        log, one.log = one.log, -1
        last, one.has_last_line = "" if one.has_last_line else last_line(one, end, note, left), True
        return log, last

    def settle(
        self, one: LiveTry, end: End, now: float, note: str, blamed_log: str = "", own: End | None = None
    ) -> None:
        """Have the storage thread move a try on.

        Args:
            one: the try.
            end: how it ended.
            now: monotonic seconds.
            note: what the last line of its log says beside that.
            blamed_log: the log that tells what kind of failure it was; empty: its own.
            own: how its own script ended, where that is not how the task did.
        """
        limits = retry_limits(self._settings()).of_task(one.needs.retries)
        started = None if one.is_recorded or not one.started_wall_s else (one.started_wall_s, dict(one.facts))
        facts = ended_facts(one, end, now)
        left = left_over(one, own or end, facts)
        log, last = self.log_and_last_line(one, own or end, note, left)

        def call() -> Settled:
            settled = self._spool.transitions.settle(
                one.claim,
                one.named_end,
                end,
                limits,
                facts,
                one.refusal,
                one.needs,
                started,
                because=one.because,
                inherited=one.is_inherited,
                log=log,
                last_line=last,
                abnormal=self._spool.uni_ids.abnormal(one.name),
                blamed_log=blamed_log,
            )
            return self._spool.uni_ids.ended(one.claim, end, settled, began=one.started_wall_s > 0)

        self._settles.send(call, lambda it: self._answer(one, it), key=one.name)

    def count(self, one: LiveTry, settlement: Settlement, error_type: str) -> None:
        """Tell what became of a try that was moved on."""
        if settlement.to is State.PENDING:
            self._agenda.want(Duty.LOOK)
        elif settlement.to is not State.RUNNING:
            self._tally.add(Ended(one.claim.task_id, settlement.to, one.needs.queue))
        because = f" ({settlement.reason})" if settlement.reason else ""
        outcome = told_outcome(settlement.outcome, error_type)
        self._say(f"{settlement.to.value:<8} {one.title}  {outcome}{because}  [{one.claim.task_id}]")
