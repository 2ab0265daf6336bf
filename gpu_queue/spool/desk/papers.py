"""What lies in a queue about one task: what its submitter said, what is noted of its tries, what they printed."""

from __future__ import annotations

import os

from gpu_queue.errors import SpoolError
from gpu_queue.spool import files, growing
from gpu_queue.spool.desk.find import Task, listed
from gpu_queue.spool.paths import SpoolPaths, log_of_rank, parse_rank_log, parse_try_file, same_submission
from gpu_queue.spool.records import TryRecord, read_submission, read_try
from gpu_queue.task import Claim, Submission
from gpu_queue.texts import printable


def record(paths: SpoolPaths, task: Task) -> Submission:
    """What its submitter said.

    Raises:
        SpoolError: it has no record yet, or the storage failed.
    """
    if task.id is None:
        raise SpoolError(f"{printable(task.name)} was dropped by hand and has no record before it runs")
    try:
        return read_submission(paths, task.id, None)
    except OSError as error:
        raise SpoolError(f"{paths.record(task.id)}: {error.strerror}; try again") from error


def tries(paths: SpoolPaths, task: Task) -> tuple[TryRecord, ...]:
    """What is noted of each try, oldest first.

    Raises:
        SpoolError: the storage failed.
    """
    records = []
    for claim in _claims_of(paths.records, ".json", task.id):
        try:
            one = read_try(paths, claim)
        except OSError as error:
            raise SpoolError(f"{paths.try_record(claim)}: {error.strerror}; try again") from error
        if one is not None:
            records.append(one)
    return tuple(sorted(records, key=lambda one: (one.claim.number, one.started_at)))


def logs(paths: SpoolPaths, task: Task, rank: int = 0) -> tuple[str, ...]:
    """The paths of the logs of its tries that are there, oldest first.

    Args:
        paths: of the spool.
        task: whose.
        rank: of a task over several nodes: the logs of which node.

    Raises:
        SpoolError: they cannot be listed now.
    """
    if task.id is None:
        return ()
    first = paths.first_log(task.id)
    present = set(listed(paths.logs))
    later = {(parse_rank_log(name) or (name, 0))[0] for name in present if name.startswith(same_submission(task.id))}
    claims = [claim for name in later if (claim := parse_try_file(name, ".log")) is not None]
    mine = sorted((one for one in claims if one.task_id == task.id), key=lambda claim: claim.number)
    paths_of = [log_of_rank(one, rank) for one in (first, *map(paths.log, mine))]
    return tuple(path for path in paths_of if os.path.basename(path) in present)


def tail(path: str, limit_bytes: int) -> str:
    """The end of a log, with whatever escape codes.

    Raises:
        SpoolError: it cannot be read.
    """
    try:
        content, _ = growing.read_tail(path, 0, 0, limit_bytes)
    except (files.FileProblem, OSError) as error:
        raise SpoolError(f"{path}: {error}") from error
    return content.decode("utf-8", "replace")


def _claims_of(directory: str, ending: str, task_id: str | None) -> list[Claim]:
    """The tries of a task of which there is a file, in their order."""
    if task_id is None:
        return []
    beginning = same_submission(task_id)
    claims = [parse_try_file(name, ending) for name in listed(directory) if name.startswith(beginning)]
    mine = [claim for claim in claims if claim is not None and claim.task_id == task_id]
    return sorted(mine, key=lambda claim: claim.number)
