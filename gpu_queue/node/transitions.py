"""The steps of a task's life as this node makes them: claim, release, settle.

- Each is one rename (``store.move``); what is written before it is what a crash must not lose, what is written
  after it is for people.
- Order at any end: try record, index of tries, rename, event.
- All of it runs in the storage thread.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gpu_queue.again import granted
from gpu_queue.node import failures, lastwords
from gpu_queue.node.endings import Ending, Writer
from gpu_queue.node.notices import Notices, QueueEnd
from gpu_queue.node.pending import SCRIPT_MAX_BYTES, PendingReader
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.spool import files, growing, records, store
from gpu_queue.spool.events import EventLog
from gpu_queue.spool.paths import SpoolPaths, claim_name, ended_name, full_name, parse_drop
from gpu_queue.spool.queues import Queues, Token
from gpu_queue.spool.store import Moved
from gpu_queue.spool.tallies import Tallies, Tally, is_named
from gpu_queue.task import (
    Abnormal,
    Claim,
    End,
    Needs,
    RetryLimits,
    Settlement,
    State,
    Submission,
    Waiting,
    settle,
)
from gpu_queue.units import format_utc, parse_utc_s

DAY_S = 86400.0
"""Within which it counts how often a task is run again because it asks."""
NO_NEEDS = Needs()


@dataclass(frozen=True)
class Claimed:
    """A task that is ours, and what it takes to run it."""

    claim: Claim
    claim_path: str
    log: int
    """A descriptor of its log, which the storage thread closes when the script has its own; negative: none."""
    no_log: str
    """Why there is none."""
    script: bytes
    submission: Submission


@dataclass(frozen=True)
class NotClaimed:
    """A task that did not become ours, and why."""

    moved: Moved
    reason: str


@dataclass(frozen=True)
class Settled:
    """What came of moving an ended task on."""

    moved: Moved
    settlement: Settlement
    error: str = ""
    error_type: str = ""
    """What kind of failure it was; empty: none."""


@dataclass(frozen=True)
class Recalled:
    """What the spool tells of a try that this node has forgotten."""

    needs: Needs
    facts: dict[str, Any]
    """What was written down of its start; empty if nothing was."""
    ran_s: float
    """How long it has run; 0 if nobody knows."""


class Transitions:
    """Claims and settles for one node."""

    def __init__(
        self,
        paths: SpoolPaths,
        node: str,
        reader: PendingReader,
        events: EventLog,
        uids: frozenset[int],
        queues: Queues,
        tallies: Tallies,
        make_missing: Callable[[], object],
    ) -> None:
        """Claim nothing yet.

        Args:
            paths: of the spool.
            node: this one.
            reader: what waits.
            events: this node's history.
            uids: whose scripts run here.
            queues: the tokens of serial queues.
            tallies: of what became of their tasks.
            make_missing: makes directories again that somebody has removed.
        """
        self._paths, self._node = paths, node
        self._reader = reader
        self._events = events
        self._uids = uids
        self._queues, self._tallies = queues, tallies
        self._make_missing = make_missing
        self.papers = self._papers = Writer(paths, node, make_missing)
        self.notices = Notices(paths, node, uids)

    def claim(self, waiting: Waiting, claim: Claim, *, to_run: bool = True) -> Claimed | NotClaimed:
        """Take a task: one rename into this node's running directory, then read what runs.

        Args:
            waiting: the task.
            claim: the claim to make of it.
            to_run: False where it is only taken to be refused, for which it needs no place in its queue.

        Raises:
            OSError: the claim is ours, but its files could not be read or made: the caller gives it back.
        """
        if to_run and self._is_stale(waiting):
            # It failed on another node between two listings, which both showed its name: it may have to wait.
            self._reader.forget(waiting.name)
            return NotClaimed(Moved.LOST, "it was tried elsewhere meanwhile; it is looked at anew")
        path = self._paths.claim(self._node, claim)
        queue = waiting.needs.queue if to_run else None
        reserved: Token | None = None
        try:
            if queue is not None:
                reserved = self._queues.reserve(queue, claim.task_id, self._node)
                if reserved is None:
                    return NotClaimed(Moved.LOST, f"queue {queue} was taken meanwhile")
        except OSError as error:  # nothing was claimed, so there is nothing to give back
            return NotClaimed(Moved.UNKNOWN, f"queue {queue}: {error.strerror}")
        result = store.move(f"{self._paths.directory(State.PENDING)}/{waiting.name}", path)
        # A drop gets another id the next time; should this claim turn up late, it goes back and needs no place.
        is_given_up = result.moved is Moved.LOST or (result.moved is Moved.UNKNOWN and waiting.task_id is None)
        if reserved is not None and is_given_up:
            self._queues.free(reserved)
        drop = self._reader.drop_facts(waiting.name) if waiting.task_id is None else None
        self._reader.forget(waiting.name)
        if result.moved is not Moved.WON:
            return NotClaimed(result.moved, str(result))
        try:
            script, facts = files.read_script(path, SCRIPT_MAX_BYTES + 1, self._uids)
        except files.FileProblem as problem:
            if not waiting.refusal:  # it must not run as an empty script, which would succeed
                if reserved is not None:
                    self._queues.free(reserved)  # it may wait for long
                raise PermissionError(errno.EACCES, f"it cannot be read any more: {problem}", path) from None
            # Unreadable, though ours: it was refused before, and it is only claimed to be moved on.
            script, facts = b"", None
        if drop is not None and facts is not None:
            after = os.lstat(path)  # it may have been written to while it was read
            whole = all(drop.same_content(one.st_ino, one.st_size, one.st_mtime_ns) for one in (facts, after))
            if not whole or len(script) != facts.st_size:
                self._give_drop_back(path, waiting.name)
                if reserved is not None:
                    self._queues.free(reserved)
                return NotClaimed(Moved.LOST, "it changed while it was taken; it settles anew")
        submission = waiting.submission or self._submission(waiting, claim)
        if reserved is not None and not self._queues.hold(reserved, self._node, lambda: self._is_here(path)):
            back = store.move(
                path, f"{self._paths.directory(State.PENDING)}/{full_name(claim.priority, claim.task_id)}"
            )
            if back.moved is Moved.UNKNOWN and back.error is not None:
                raise back.error
            return NotClaimed(Moved.LOST, f"queue {queue} was taken meanwhile")
        return Claimed(claim, path, *self._open_log(claim), script, submission)

    def _is_stale(self, waiting: Waiting) -> bool:
        """Whether this task's file was moved since it was read, as by a try of another node: what is known is old."""
        if waiting.task_id is None or not waiting.changed_ns:
            return False
        try:
            there = os.lstat(f"{self._paths.directory(State.PENDING)}/{waiting.name}")
        except OSError:
            return False  # the rename tells
        return there.st_ctime_ns != waiting.changed_ns

    def _is_here(self, path: str) -> bool:
        return os.path.basename(path) in store.listing(self._paths.running(self._node))

    def _open_log(self, claim: Claim) -> tuple[int, str]:
        """Open the log here and not in the shim, which can only follow links, and would count a full disk as a try.

        Returns:
            The descriptor, or a negative number and why there is none: what stands in its place is no fault of the
            storage's, and to be told.

        Raises:
            OSError: the storage takes nothing; ask again later.
        """
        log = self._paths.log(claim)
        try:
            return self._papers.with_directories(lambda: growing.open_to_append(log)), ""
        except growing.NotRegular as error:
            return -1, f"cannot write the log {log}: {error.strerror}"

    def _submission(self, waiting: Waiting, claim: Claim) -> Submission:
        if waiting.task_id is not None:
            return records.read_submission(self._paths, claim.task_id, self._uids)
        name = parse_drop(waiting.name)[1].decode("utf-8", "surrogateescape")
        when = format_utc(time.time())
        submission = Submission(claim.task_id, name=name, dropped_as=waiting.name, submitted_at=when)
        self._papers.with_directories(lambda: records.write_submission(self._paths, submission))
        return submission

    def _give_drop_back(self, path: str, name: str) -> None:
        pending = self._paths.directory(State.PENDING)
        if name in store.listing(pending):  # its writer has put a new one there by now: keep both
            name = f"{secrets.token_hex(3)}_{name}"
        store.move(path, f"{pending}/{name}")

    def runs(self, claim: Claim, facts: dict[str, Any], started_at: float | None, log: int = -1) -> None:
        """Write down that a try runs.

        Args:
            claim: the try.
            facts: for the record.
            started_at: when it was started, in epoch seconds; None: the history has it already.
            log: its descriptor, where the script has its own by now.
        """
        self._papers.close(log)
        record = records.parse_try(claim, {"node": self._node, **facts})
        self._papers.with_directories(lambda: records.write_try(self._paths, record))
        if started_at is not None:
            self._events.add(claim, ("started", started_at, facts))

    def recall(self, claim: Claim) -> Recalled:
        """What the spool tells of a try of this node.

        Raises:
            OSError: the storage failed; ask again later.
        """
        facts = self._papers.written_of(claim)
        began_s = parse_utc_s(facts.get("started_at", ""))
        ran_s = 0.0 if began_s is None else max(0.0, time.time() - began_s)
        return Recalled(self._needs(claim, self._paths.claim(self._node, claim)), facts, ran_s)

    def settle(
        self,
        claim: Claim,
        named_end: End | None,
        end: End,
        limits: RetryLimits,
        facts: dict[str, Any],
        refusal: str = "",
        needs: Needs = NO_NEEDS,
        started: tuple[float, dict[str, Any]] | None = None,
        *,
        because: str = "",
        inherited: bool = False,
        log: int = -1,
        last_line: str = "",
        abnormal: Abnormal | None = None,
        blamed_log: str = "",
    ) -> Settled:
        """Move an ended try on.

        Args:
            claim: the try.
            named_end: what its name in running/ says of its end; None: the plain claim stands there.
            end: how it ended.
            limits: how often what is tried again.
            facts: for the record.
            refusal: the task can never run: it goes to failed/ with this reason in its log.
            needs: of the task. The queue that it holds is free when it is settled; a refused task's is looked for.
            started: when it was started (epoch seconds), and facts, where :meth:`runs` was not called for it.
            because: how it came to be lost, for people.
            inherited: nothing of it is known here (another node began it, or the local disk forgot it): what it may
                try again is read from the task, and its queue is looked for.
            log: the descriptor of its log; negative: it is not open here.
            last_line: of the log, unless it has one.
            abnormal: the script's own word that this try has failed, whatever its status.
            blamed_log: the log that tells what kind of failure it was; empty: the try's own.

        Raises:
            OSError: nothing was moved; ask again later.
        """
        source_name = claim_name(claim) if named_end is None else ended_name(claim, named_end)
        source = f"{self._paths.running(self._node)}/{source_name}"
        is_success = end.status == 0 and abnormal is None
        known = () if claim.number == 1 and is_success else records.read_tries(self._paths, claim.task_id)
        # When this is asked again (a crash or an error before the rename) the index has this try already.
        earlier = tuple(one for one in known if one.token != claim.token)
        end, too_often = granted(end, earlier, limits, format_utc(time.time() - DAY_S), abnormal)
        error_type = "" if refusal else failures.by_its_end(end, abnormal)
        if error_type is None:  # only a try that failed has its log read
            said = lastwords.read(blamed_log or self._paths.log(claim), failures.TAIL_BYTES)
            error_type = failures.by_its_log(end.status, said).value
        else:
            said = b""
        last_line = last_line if end.why is not None else failures.told(last_line, error_type)
        hint = lastwords.judge(said) if last_line else ""
        if hint:
            last_line = f"==== {hint}\n{last_line}"
            facts = {**facts, "reason": "; ".join(filter(None, (facts.get("reason"), hint)))}
        self._papers.end_log(claim, log, last_line)
        queue = needs.queue
        if inherited or refusal:  # nobody here knows what a script says that cannot be obeyed
            needs = self._needs(claim, source)
        if inherited:
            limits = limits.of_task(needs.retries)
            facts = {**self._papers.written_of(claim), **facts}
        result = Settlement(State.FAILED, "refused", refusal) if refusal else settle(end, earlier, limits, abnormal)
        if too_often:
            result = replace(result, reason="; ".join(filter(None, (result.reason, too_often))))
        final = result.to is not State.PENDING
        ending = Ending(claim, end, facts, because, error_type)
        # Read before the rename: a person may retry it right after that, and its next claim has tokens of its own.
        may_hold = final and (queue is not None or inherited or bool(refusal))
        held = self._queues.tokens_of(claim.task_id) if may_hold else ()
        # Who was cut off while a peer took its claim writes nothing more: records belong to the owner of the claim.
        if final and is_success and not earlier:
            self._papers.write_record(ending, result)
        elif source_name in store.listing(self._paths.running(self._node)):
            self._papers.write(ending, earlier, result, refused=bool(refusal))
        if result.to in (State.DONE, State.FAILED):
            self.notices.of_end(
                ending, result, needs, lambda: self._is_here(source), lambda: self._queue_end(needs.queue, result.to)
            )
        name = full_name(claim.priority, claim.task_id)
        target = f"{self._paths.directory(result.to)}/{name}"
        moved = store.move(source, target)
        if moved.moved is Moved.UNKNOWN and isinstance(moved.error, FileNotFoundError):  # somebody has removed done/
            self._make_missing()
            moved = store.move(source, target)
        self._reader.forget(name)
        if moved.moved is Moved.WON:
            if final:
                self._reader.settled(claim.task_id, result.to)
                self._queues.free(*held)
                self._tallies.add(queue or next((one.queue for one in held), None), claim.task_id, result.to)
            end_facts = {"outcome": result.outcome, "status": end.status}
            if error_type:
                end_facts["error_type"] = error_type
            ended = ("settled" if final else "returned", time.time(), end_facts)
            self._events.add(claim, *([("started", *started)] if started else []), ended)
        return Settled(moved.moved, result, str(moved.error or ""), error_type)

    def _queue_end(self, queue: str | None, to: State) -> QueueEnd | None:
        """What became of a queue's tasks, where this one that ends is the last: nothing waits behind it."""
        if not queue or not is_named(queue) or self._reader.has_of_queue(queue):
            return None
        tally = self._tallies.look(time.monotonic()).get(queue, Tally())
        is_done = to is State.DONE
        return QueueEnd(queue, tally.done + is_done, len(tally.failed) + (not is_done))

    def _needs(self, claim: Claim, source: str) -> Needs:
        """What a task asks for, by its record and its script; where they cannot be obeyed who is told of it."""
        submission = records.read_submission(self._paths, claim.task_id, self._uids)
        try:
            head, _ = files.read_script(source, HEAD_BYTES, self._uids)
        except files.FileProblem:
            head = b""
        reading = read(head, submission.needs, submission.arguments, 1, claim.task_id)
        return reading.needs if head and not reading.refusals else Needs(notify=reading.notify)
