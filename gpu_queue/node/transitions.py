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
from typing import Any, TypeVar

from gpu_queue.errors import BadScript
from gpu_queue.node import lastwords
from gpu_queue.node.pending import SCRIPT_MAX_BYTES, PendingReader
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files, growing, records, store
from gpu_queue.spool.events import EventLog
from gpu_queue.spool.paths import SpoolPaths, claim_name, ended_name, full_name, parse_drop
from gpu_queue.spool.queues import Queues, Token
from gpu_queue.spool.store import Moved
from gpu_queue.spool.tallies import Tallies
from gpu_queue.task import (
    Claim,
    End,
    Needs,
    RetryLimits,
    Settlement,
    State,
    Submission,
    TryResult,
    Waiting,
    Why,
    settle,
    story_of,
)
from gpu_queue.units import format_utc, parse_utc_s

T = TypeVar("T")
LAST_LINE_BYTES = 200


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

    def claim(self, waiting: Waiting, claim: Claim, *, to_run: bool = True) -> Claimed | NotClaimed:
        """Take a task: one rename into this node's running directory, then read what runs.

        Args:
            waiting: the task.
            claim: the claim to make of it.
            to_run: False where it is only taken to be refused, for which it needs no place in its queue.

        Raises:
            OSError: the claim is ours, but its files could not be read or made: the caller gives it back.
        """
        if to_run and self._reader.is_stale(waiting):
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
            return self._with_directories(lambda: growing.open_to_append(log)), ""
        except growing.NotRegular as error:
            return -1, f"cannot write the log {log}: {error.strerror}"

    def _submission(self, waiting: Waiting, claim: Claim) -> Submission:
        if waiting.task_id is not None:
            return records.read_submission(self._paths, claim.task_id, self._uids)
        name = parse_drop(waiting.name)[1].decode("utf-8", "surrogateescape")
        when = format_utc(time.time())
        submission = Submission(claim.task_id, name=name, dropped_as=waiting.name, submitted_at=when)
        self._with_directories(lambda: records.write_submission(self._paths, submission))
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
        self._close(log)
        record = records.parse_try(claim, {"node": self._node, **facts})
        self._with_directories(lambda: records.write_try(self._paths, record))
        if started_at is not None:
            self._events.add(claim, ("started", started_at, facts))

    def recall(self, claim: Claim) -> Recalled:
        """What the spool tells of a try of this node.

        Raises:
            OSError: the storage failed; ask again later.
        """
        facts = self._written(claim)
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
        queue: str | None = None,
        started: tuple[float, dict[str, Any]] | None = None,
        *,
        because: str = "",
        inherited: bool = False,
        log: int = -1,
        last_line: str = "",
    ) -> Settled:
        """Move an ended try on.

        Args:
            claim: the try.
            named_end: what its name in running/ says of its end; None: the plain claim stands there.
            end: how it ended.
            limits: how often what is tried again.
            facts: for the record.
            refusal: the task can never run: it goes to failed/ with this reason in its log.
            queue: the queue that it holds, which is free when it is settled; a refused task's is looked for.
            started: when it was started (epoch seconds), and facts, where :meth:`runs` was not called for it.
            because: how it came to be lost, for people.
            inherited: nothing of it is known here (another node began it, or the local disk forgot it): what it may
                try again is read from the task, and its queue is looked for.
            log: the descriptor of its log; negative: it is not open here.
            last_line: of the log, unless it has one.

        Raises:
            OSError: nothing was moved; ask again later.
        """
        source_name = claim_name(claim) if named_end is None else ended_name(claim, named_end)
        source = f"{self._paths.running(self._node)}/{source_name}"
        hint = lastwords.of(self._paths.log(claim)) if last_line and end.status and end.why is None else ""
        if hint:
            last_line = f"==== {hint}\n{last_line}"
            facts = {**facts, "reason": "; ".join(filter(None, (facts.get("reason"), hint)))}
        self._end_log(claim, log, last_line)
        if inherited:
            needs = self._needs(claim, source)
            limits = replace(limits, retries=limits.retries if needs.retries is None else needs.retries)
            facts = {**self._written(claim), **facts}
        known = records.read_tries(self._paths, claim.task_id) if claim.number > 1 or end.status else ()
        # When this is asked again (a crash or an error before the rename) the index has this try already.
        earlier = tuple(one for one in known if one.token != claim.token)
        result = Settlement(State.FAILED, "refused", refusal) if refusal else settle(end, earlier, limits)
        final = result.to is not State.PENDING
        # Read before the rename: a person may retry it right after that, and its next claim has tokens of its own.
        may_hold = final and (queue is not None or inherited or bool(refusal))
        held = self._queues.tokens_of(claim.task_id) if may_hold else ()
        # Who was cut off while a peer took its claim writes nothing more: records belong to the owner of the claim.
        if final and end.status == 0 and not earlier:
            self._write(lambda: self._write_outcome(claim, facts, end, result, because))
        elif source_name in store.listing(self._paths.running(self._node)):
            self._write_end(claim, facts, end, earlier, result, because)
            if refusal or (result.reason and final):
                story = self._story(claim, earlier, end, facts, because)
                lines = [f"{result.outcome}: {result.reason}", *(f"  {line}" for line in story)]
                text = "".join(f"==== {line}\n" for line in lines).encode("utf-8", "surrogateescape")
                self._write(lambda: growing.append(self._paths.log(claim), text))
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
            ended = ("settled" if final else "returned", time.time(), end_facts)
            self._events.add(claim, *([("started", *started)] if started else []), ended)
        return Settled(moved.moved, result, str(moved.error or ""))

    def _end_log(self, claim: Claim, log: int, last_line: str) -> None:
        """Write the last line of a log, which nothing waits for and whose loss is none, and close it."""
        try:
            if last_line and (log >= 0 or not self._has_last_line(claim)):
                descriptor = log if log >= 0 else growing.open_to_append(self._paths.log(claim))
                try:
                    os.write(descriptor, last_line.encode("utf-8", "surrogateescape"))
                finally:
                    if descriptor != log:
                        os.close(descriptor)
        except OSError:
            pass  # a full disk, or a link in its place
        self._close(log)

    def _has_last_line(self, claim: Claim) -> bool:
        """Whether an agent that was killed before its rename has written it."""
        try:
            content, _, _ = growing.read_window(self._paths.log(claim), -LAST_LINE_BYTES, LAST_LINE_BYTES)
        except files.FileProblem:
            return False
        return content.rstrip(b"\n").rpartition(b"\n")[2].startswith(b"==== exit ")

    @staticmethod
    def _close(log: int) -> None:
        if log >= 0:
            try:
                os.close(log)
            except OSError:
                pass  # what could not be written is told by whoever has written it

    def _write_end(
        self,
        claim: Claim,
        facts: dict[str, Any],
        end: End,
        earlier: tuple[TryResult, ...],
        result: Settlement,
        because: str,
    ) -> None:
        """The record of a try and the index of all, for a task that is tried again, was, or has failed."""
        final = result.to is not State.PENDING
        self._write(lambda: self._write_outcome(claim, facts, end, result, because))
        this = self._as_tried(claim, facts, end, because, final=final)
        if final or end.why in (Why.REQUEUE, Why.FENCED):
            self._write(lambda: records.write_tries(self._paths, claim.task_id, (*earlier, this)))
        else:  # without it nobody would count this try: on a full disk it waits here instead of going round
            self._with_directories(lambda: records.write_tries(self._paths, claim.task_id, (*earlier, this)))

    def _write_outcome(self, claim: Claim, facts: dict[str, Any], end: End, result: Settlement, because: str) -> None:
        record = records.parse_try(claim, facts)
        lost = because if end.why is Why.LOST else ""
        records.write_try(
            self._paths,
            replace(
                record,
                node=record.node or self._node,
                settled_by="" if record.node in ("", self._node) else self._node,
                status=end.status,
                why=end.why,
                outcome=result.outcome,
                reason="; ".join(filter(None, (result.reason or lost, record.reason))),
                to=result.to.value,
            ),
        )

    def _written(self, claim: Claim) -> dict[str, Any]:
        """What the node that began a try wrote down of its start."""
        record = records.read_try(self._paths, claim)
        if record is None:
            return {}
        kept = {
            "node": record.node,
            "gpus": list(record.gpus),
            "gpu_indices": list(record.gpu_indices),
            "reserve_bytes": record.reserve_bytes,
            "name": record.name,
            "cwd": record.cwd,
            "started_at": record.started_at,
        }
        return {key: value for key, value in kept.items() if value}

    def _as_tried(self, claim: Claim, facts: dict[str, Any], end: End, because: str, *, final: bool) -> TryResult:
        node = facts.get("node")
        return TryResult(
            claim.number,
            claim.token,
            end,
            final,
            node if isinstance(node, str) else self._node,
            format_utc(time.time()),
            because if end.why is Why.LOST else "",
        )

    def _story(
        self, claim: Claim, earlier: tuple[TryResult, ...], end: End, facts: dict[str, Any], because: str
    ) -> list[str]:
        """Where a task was lost so often, for the end of its log."""
        if end.why is not Why.LOST:
            return []
        return story_of((*earlier, self._as_tried(claim, facts, end, because, final=False)))

    def _needs(self, claim: Claim, source: str) -> Needs:
        """What a task asks for, by its record and its script; nothing where they cannot be read."""
        submission = records.read_submission(self._paths, claim.task_id, self._uids)
        try:
            head, _ = files.read_script(source, HEAD_BYTES, self._uids)
            return read_needs(head, submission.needs, 1, submission.arguments, claim.task_id)
        except (files.FileProblem, BadScript):
            return Needs()

    def _with_directories(self, call: Callable[[], T]) -> T:
        """Make a call once more where it finds that somebody has removed a directory, which is made again."""
        try:
            return call()
        except FileNotFoundError:
            self._make_missing()
            return call()

    def _write(self, write: Callable[[], object]) -> None:
        """Write what a full disk may refuse: it still takes the rename, which must not wait for this."""
        try:
            self._with_directories(write)
        except OSError as error:
            if files.is_transient(error):
                raise
