"""What is known of the tasks of an experiment, read from the spool while it goes on.

- ``records/`` is listed once: it names the tries of all tasks.
- What is not there (yet, or any more), or cannot be used, is not known: it hinders nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

from gpu_queue.errors import SpoolError
from gpu_queue.experiments.known import Member, current
from gpu_queue.experiments.reporting.facts import RunFacts, TryFile, Written, tries_of
from gpu_queue.spool import files, records
from gpu_queue.spool.desk.find import listed
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.pages import PAGE_MAX_BYTES
from gpu_queue.spool.paths import SpoolPaths, parse_claim, parse_try_file, same_submission
from gpu_queue.task import Claim, State
from gpu_queue.units import parse_utc_s

FARTHEST_S = 253402300799.0
"""The end of the year 9999: a file's date may be anything."""


def collect(paths: SpoolPaths, members: Sequence[Member]) -> list[RunFacts]:
    """All that is known of tasks, those of one run together: runs by when they were queued first, then as they came.

    Args:
        paths: of the spool.
        members: the tasks.

    Raises:
        SpoolError: the storage failed.
    """
    counting = {one.id for one in current(members)}
    first: dict[tuple[str, str], str] = {}
    for one in sorted(members, key=lambda member: member.id):
        first.setdefault((one.part.file, one.part.name), one.id)
    claims = claims_of(paths, (one.id for one in members))
    ordered = sorted(members, key=lambda member: (first[member.part.file, member.part.name], member.id))
    return [facts_of(paths, one, claims.get(one.id, ()), is_current=one.id in counting) for one in ordered]


def beats(paths: SpoolPaths, runs: Iterable[RunFacts]) -> list[Written]:
    """What the pages of nodes tell of their clocks, where they have had tries.

    Raises:
        SpoolError: they cannot be listed now.
    """
    nodes = {one.node for run in runs for one in run.tries}
    there = {name.removesuffix(".json") for name in listed(paths.nodes) if name.endswith(".json")}
    found = []
    for node in nodes & there:
        try:
            content, facts = files.read_regular(paths.node_json(node), PAGE_MAX_BYTES)
            at_s = Fields(files.decode_json(content)).moment_s("beat_at")
        except (OSError, files.FileProblem):
            continue
        if at_s is not None and 0 < facts.st_mtime < FARTHEST_S:
            found.append(Written(node, at_s, facts.st_mtime))
    return found


def now_s(paths: SpoolPaths) -> float:
    """Epoch seconds by the storage's clock; by ours where we may write nothing there."""
    try:
        return files.server_now_s(paths.control)
    except OSError:
        return time.time()


def claims_of(paths: SpoolPaths, ids: Iterable[str]) -> dict[str, list[Claim]]:
    """The tries of which there is a record, by the ids of their tasks.

    Args:
        paths: of the spool, whose ``records/`` is listed.
        ids: of the tasks.

    Raises:
        SpoolError: it cannot be listed now.
    """
    wanted = set(ids)
    beginnings = {same_submission(one) for one in wanted}
    found: dict[str, list[Claim]] = {}
    for name in listed(paths.records):
        if same_submission(name) in beginnings and ".try" in name:
            claim = parse_try_file(name, ".json")
            if claim is not None and claim.task_id in wanted:
                found.setdefault(claim.task_id, []).append(claim)
    return found


def facts_of(paths: SpoolPaths, member: Member, claims: Sequence[Claim], *, is_current: bool) -> RunFacts:
    """All that is known of one task.

    Args:
        paths: of the spool.
        member: the task.
        claims: its tries of which there is a record.
        is_current: it was not queued again since.

    Raises:
        SpoolError: the storage failed.
    """
    parsed = parse_claim(member.task.name) if member.state is State.RUNNING else None
    live = parsed[0] if parsed is not None and parsed[1] is None else None
    path = paths.record(member.id)
    at_s, stored_s = parse_utc_s(member.submission.submitted_at), _stored_s(path)
    submitted = None
    if at_s is not None and stored_s is not None:
        submitted = Written(member.submission.host, at_s, stored_s)
    # Of one that was done at once there is no index.
    may_have_index = member.state is not State.DONE or len(claims) != 1
    try:
        results = records.read_tries(paths, member.id) if may_have_index else ()
        tries = [
            TryFile(record, _stored_s(paths.try_record(claim)))
            for claim in claims
            if (record := records.read_try(paths, claim)) is not None
        ]
    except OSError as error:
        raise SpoolError(f"{error.filename or path}: {error.strerror}; try again") from error
    return RunFacts(member.submission, member.state, submitted, tries_of(results, tries, live), is_current=is_current)


def _stored_s(path: str) -> float | None:
    """When a file was written last, by the storage's clock."""
    try:
        modified_s = os.lstat(path).st_mtime
    except OSError:
        return None
    return modified_s if 0 < modified_s < FARTHEST_S else None
