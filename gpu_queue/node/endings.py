"""What is written down of a try that has ended: its log's last line, its record, the index of all tries.

All of it is written before the rename, and all but the index may be lost: a full disk takes the rename all the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gpu_queue.spool import files, growing, records
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import Claim, End, Settlement, State, TryResult, Why, story_of
from gpu_queue.units import format_utc

T = TypeVar("T")
LAST_LINE_BYTES = 200


@dataclass(frozen=True)
class Ending:
    """One try that has ended, by all that is known of it."""

    claim: Claim
    end: End
    facts: dict[str, Any]
    """For the record."""
    because: str = ""
    """How it came to be lost, for people."""
    error_type: str = ""
    """What kind of failure that was; empty: none, or none of the script's."""


class Writer:
    """Writes them for one node, in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str, make_missing: Callable[[], object]) -> None:
        """Nothing is written yet.

        Args:
            paths: of the spool.
            node: this one.
            make_missing: makes directories again that somebody has removed.
        """
        self._paths = paths
        self._node = node
        self._make_missing = make_missing

    def with_directories(self, call: Callable[[], T]) -> T:
        """Make a call once more where it finds that somebody has removed a directory, which is made again."""
        try:
            return call()
        except FileNotFoundError:
            self._make_missing()
            return call()

    def end_log(self, claim: Claim, log: int, last_line: str) -> None:
        """Write the last line of a log, which nothing waits for and whose loss is none, and close it."""
        self.end_log_at(self._paths.log(claim), log, last_line)

    def end_log_at(self, path: str, log: int, last_line: str) -> None:
        """The same of the log at a path."""
        try:
            if last_line and (log >= 0 or not self._has_last_line(path)):
                descriptor = log if log >= 0 else growing.open_to_append(path)
                try:
                    os.write(descriptor, last_line.encode("utf-8", "surrogateescape"))
                finally:
                    if descriptor != log:
                        os.close(descriptor)
        except OSError:
            pass  # a full disk, or a link in its place
        self.close(log)

    @staticmethod
    def _has_last_line(path: str) -> bool:
        """Whether an agent that was killed before its rename has written it."""
        try:
            content, _, _ = growing.read_window(path, -LAST_LINE_BYTES, LAST_LINE_BYTES)
        except files.FileProblem:
            return False
        return content.rstrip(b"\n").rpartition(b"\n")[2].startswith(b"==== exit ")

    @staticmethod
    def close(log: int) -> None:
        """Close a log's descriptor; a negative one is none."""
        if log >= 0:
            try:
                os.close(log)
            except OSError:
                pass  # what could not be written is told by whoever has written it

    def write(self, ending: Ending, earlier: tuple[TryResult, ...], result: Settlement, *, refused: bool) -> None:
        """The record of a try and the index of all, for a task that is tried again, was, or has failed.

        Args:
            ending: of the try.
            earlier: all tries before it.
            result: where the task goes.
            refused: it can never run, which its log tells as well.
        """
        final = result.to is not State.PENDING
        self.write_record(ending, result)
        this = self._as_tried(ending, result)
        tries = (*earlier, this)

        def index() -> None:
            records.write_tries(self._paths, ending.claim.task_id, tries)

        if final or ending.end.why in (Why.REQUEUE, Why.FENCED):
            self._write(index)
        else:  # without it nobody would count this try: on a full disk it waits here instead of going round
            self.with_directories(index)
        if refused or (result.reason and final):
            # It belongs to the round that it ends.
            story = story_of((*earlier, replace(this, final=False))) if ending.end.why is Why.LOST else []
            lines = [f"{result.outcome}: {result.reason}", *(f"  {line}" for line in story)]
            text = "".join(f"==== {line}\n" for line in lines).encode("utf-8", "surrogateescape")
            self._write(lambda: growing.append(self._paths.log(ending.claim), text))

    def write_record(self, ending: Ending, result: Settlement) -> None:
        """The record of a try that has ended."""
        record, end = records.parse_try(ending.claim, ending.facts), ending.end
        lost = ending.because if end.why is Why.LOST else ""
        written = replace(
            record,
            node=record.node or self._node,
            settled_by="" if record.node in ("", self._node) else self._node,
            status=end.status,
            why=end.why,
            outcome=result.outcome,
            error_type=ending.error_type,
            reason="; ".join(filter(None, (result.reason or lost, record.reason))),
            to=result.to.value,
        )
        self._write(lambda: records.write_try(self._paths, written))

    def written_of(self, claim: Claim) -> dict[str, Any]:
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

    def _as_tried(self, ending: Ending, result: Settlement) -> TryResult:
        node = ending.facts.get("node")
        return TryResult(
            ending.claim.number,
            ending.claim.token,
            ending.end,
            result.to is not State.PENDING,
            node if isinstance(node, str) else self._node,
            format_utc(time.time()),
            ending.because if ending.end.why is Why.LOST else "",
            ending.error_type,
            result.failures,
        )

    def _write(self, write: Callable[[], object]) -> None:
        """Write what a full disk may refuse: it still takes the rename, which must not wait for this."""
        try:
            self.with_directories(write)
        except OSError as error:
            if files.is_transient(error):
                raise
