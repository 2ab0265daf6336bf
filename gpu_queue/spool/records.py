"""What is known of a task beside its script: the submission, its tries, and what came of them.

- ``records/<id>.json`` is written once by the submitter and never changed; for a hand drop by its claimer.
- ``records/<id>.tryN.<hex>.json`` is written only by the owner of that claim.
- ``records/<id>.tries.json`` repeats the ends of earlier tries under a name that can be found without listing
  records/.  It is written by the owner of the claim before the task leaves it; should an entry be lost, a task is
  tried once more than it should be, and nothing else.
- Counters are derived from the set of tries, never incremented.
- All of it is hostile input: whatever does not fit is dropped with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.spool.fields import Fields, is_argument
from gpu_queue.spool.files import FileProblem, Vanished, encode_json, read_json, write_whole
from gpu_queue.spool.parts import (
    encode_code,
    encode_experiment,
    parse_arguments,
    parse_array,
    parse_batch,
    parse_code,
    parse_experiment,
)
from gpu_queue.spool.paths import NAME_MAX_BYTES, SpoolPaths, safe_name, title_of
from gpu_queue.task import (
    Claim,
    End,
    Submission,
    TryResult,
    Why,
    error_word,
)
from gpu_queue.texts import printable

MAX_TRIES_KEPT = 100
TEXT_MAX = 200
"""Of what an entry of the index says for people: a hundred entries must stay below the size of a record."""
MAX_TRY_NUMBER = 10**8
"""One more still is a number that a claim's name may carry."""


# -- submissions ----------------------------------------------------------------------------------------------------


def encode_submission(submission: Submission) -> bytes:
    """The content of ``records/<id>.json``; what is empty is left out."""
    said = {
        "name": submission.name,
        "path": submission.path,
        "cwd": submission.cwd,
        "user": submission.user,
        "host": submission.host,
        "submitted_at": submission.submitted_at,
        "dropped_as": submission.dropped_as,
        "needs": submission.needs,
        "arguments": list(submission.arguments),
        "array": submission.array and asdict(submission.array),
        "batch": submission.batch and asdict(submission.batch),
        "experiment": submission.experiment and encode_experiment(submission.experiment),
        "code": submission.code and encode_code(submission.code),
    }
    given = {key: value for key, value in said.items() if value}
    return encode_json({"protocol": PROTOCOL, "id": submission.task_id, **given})


def write_submission(paths: SpoolPaths, submission: Submission) -> None:
    """Write a record.

    Raises:
        OSError: it could not be written.
    """
    write_whole(paths.record(submission.task_id), encode_submission(submission))


def read_submission(paths: SpoolPaths, task_id: str, allowed_uids: frozenset[int] | None) -> Submission:
    """The submission of a task; a record that is missing or broken gives an empty one with the reason.

    Args:
        paths: of the spool.
        task_id: whose.
        allowed_uids: whose files are believed; None: anybody's, for people who only look.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        record = Fields(read_json(paths.record(task_id), allowed_uids))
    except Vanished:
        return Submission(task_id)
    except FileProblem as problem:
        return Submission(task_id, problem=f"records/{task_id}.json: {problem}")
    protocol, whose = record.raw("protocol"), record.raw("id")
    if protocol not in (None, PROTOCOL) or whose not in (None, task_id):
        return Submission(task_id, problem=f"records/{task_id}.json: it is of another protocol or task")
    needs = record.raw("needs")
    arguments, array = parse_arguments(record), parse_array(record)
    wrong = [
        problem
        for problem, is_wrong in (
            ("needs is no object", needs is not None and not isinstance(needs, dict)),
            ("arguments is no list of texts that a program can be given", arguments is None),
            ("array is no part of an array", array is None and record.raw("array") is not None),
        )
        if is_wrong
    ]
    return Submission(
        task_id,
        name=record.name("name"),
        path=record.name("path"),
        cwd=record.name("cwd"),
        needs=needs if isinstance(needs, dict) else {},
        user=record.text("user"),
        host=record.text("host"),
        submitted_at=record.text("submitted_at"),
        dropped_as=record.name("dropped_as"),
        arguments=arguments or (),
        array=array,
        batch=parse_batch(record),
        experiment=parse_experiment(record),
        code=parse_code(record),
        problem=f"records/{task_id}.json: {'; '.join(wrong)}" if wrong else "",
    )


def read_title(paths: SpoolPaths, task_id: str) -> str:
    """What a task is called: as its submitter called it, where an id cannot carry that.

    The record is believed as far as the id was made of it, and read only where a ``_`` may stand for something.
    """
    title = title_of(task_id)
    if "_" not in title:
        return title
    try:
        name = read_submission(paths, task_id, None).name
    except OSError:
        return title
    return name if name and safe_name(os.fsencode(name)) == title else title


def told_title(task_id: str, name: str) -> str:
    """What people are told that a task is called, no longer than an id's name; empty where the id says it.

    Args:
        task_id: whose.
        name: as its submitter called it, by what others wrote: believed as far as the id was made of it.
    """
    title = title_of(task_id)
    if name == title or "_" not in title or not is_argument(name) or safe_name(os.fsencode(name)) != title:
        return ""
    cut = name[:NAME_MAX_BYTES]
    while len(os.fsencode(cut)) > NAME_MAX_BYTES:
        cut = cut[:-1]
    return printable(cut if cut == name else f"{cut}…")


# -- tries ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GpuUsage:
    """How much of one GPU a try used, sampled once a second at most; None: its device does not tell."""

    uuid: str
    samples: int
    memory_peak_bytes: int | None = None
    memory_mean_bytes: int | None = None
    utilization_peak_percent: int | None = None
    utilization_mean_percent: int | None = None


_GAUGES = ("memory_peak_bytes", "memory_mean_bytes", "utilization_peak_percent", "utilization_mean_percent")


def _usage(one: Fields) -> GpuUsage:
    return GpuUsage(one.text("gpu"), one.count("samples"), **{key: one.integer(key) for key in _GAUGES})


def _encoded(usage: GpuUsage) -> dict[str, Any]:
    told = {key: getattr(usage, key) for key in _GAUGES}
    return {"gpu": usage.uuid, "samples": usage.samples} | {key: one for key, one in told.items() if one is not None}


@dataclass(frozen=True)
class RankRecord:
    """One rank of a try over several nodes."""

    rank: int
    node: str = ""
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    gpu_indices: tuple[int, ...] = ()
    status: int | None = None
    """None: nobody knows."""
    why: Why | None = None


@dataclass(frozen=True)
class TryRecord:
    """One try, as the owner of its claim wrote it down; what is empty or None was not written."""

    claim: Claim
    """Its priority is not kept in the record: 0."""
    node: str = ""
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    gpu_indices: tuple[int, ...] = ()
    name: str = ""
    cwd: str = ""
    started_at: str = ""
    """UTC by the node's clock, as all moments here."""
    ended_at: str = ""
    duration_s: float | None = None
    status: int | None = None
    """None: it has not ended, as far as this tells."""
    why: Why | None = None
    outcome: str = ""
    error_type: str = ""
    """What kind of failure that was (``oom``, ``runtime_error``, …); empty where it did not fail."""
    reason: str = ""
    to: str = ""
    """The state that the task went to."""
    problem: str = ""
    """Why this node could not start it."""
    settled_by: str = ""
    """The node that moved it on, where that was another."""
    gpu_usage: tuple[GpuUsage, ...] = ()
    """Of each of its GPUs, as far as the agent that saw it end had looked."""
    reserve_bytes: int | None = None
    """Of the memory of each of its GPUs; None: whole cards."""
    warned_at: str = ""
    """When it was sent the signal of its ``--signal``."""
    ranks: tuple[RankRecord, ...] = ()
    """Of a task over several nodes: each of them, when all have ended."""

    @property
    def gpu_count(self) -> int:
        """How many GPUs it had, on all of its nodes."""
        return sum(len(one.gpus) for one in self.ranks) or len(self.gpus)


def _rank(one: Fields) -> RankRecord:
    why = one.raw("why")
    return RankRecord(
        one.count("rank"),
        one.text("node"),
        one.texts("gpus"),
        one.integers("gpu_indices"),
        one.integer("status"),
        Why.read(why) if isinstance(why, str) else None,
    )


def _encoded_rank(one: RankRecord) -> dict[str, Any]:
    told = {"rank": one.rank, "node": one.node, "gpus": list(one.gpus), "gpu_indices": list(one.gpu_indices)}
    return told | {"status": one.status, "why": one.why.value if one.why else None}


def _error_type(record: Fields) -> str:
    return error_word(record.raw("error_type")) if record.raw("error_type") else ""


def parse_try(claim: Claim, value: Mapping[str, Any]) -> TryRecord:
    """The record of a try from what its JSON, or the node's own notes, hold."""
    record = Fields(value)
    why = record.raw("why")
    return TryRecord(
        claim,
        node=record.text("node"),
        gpus=record.texts("gpus"),
        gpu_indices=record.integers("gpu_indices"),
        name=record.name("name"),
        cwd=record.name("cwd"),
        started_at=record.text("started_at"),
        ended_at=record.text("ended_at"),
        duration_s=record.number("duration_s"),
        status=record.integer("status"),
        why=Why.read(why) if isinstance(why, str) else None,
        outcome=record.text("outcome"),
        error_type=_error_type(record),
        reason=record.text("reason", 2000),
        to=record.text("to"),
        problem=record.text("problem", 2000),
        settled_by=record.text("settled_by"),
        gpu_usage=tuple(map(_usage, record.objects("gpu_usage"))),
        reserve_bytes=record.integer("reserve_bytes"),
        warned_at=record.text("warned_at"),
        ranks=tuple(map(_rank, record.objects("ranks"))),
    )


def encode_try(record: TryRecord) -> bytes:
    """The content of ``records/<id>.tryN.<hex>.json``."""
    value: dict[str, Any] = {
        "protocol": PROTOCOL,
        "id": record.claim.task_id,
        "try": record.claim.number,
        "token": record.claim.token,
    }
    if record.node:
        value["node"] = record.node
    if record.started_at:
        value |= {"gpus": list(record.gpus), "gpu_indices": list(record.gpu_indices)}
        if record.reserve_bytes is not None:
            value["reserve_bytes"] = record.reserve_bytes
    for key in ("name", "cwd", "started_at", "warned_at", "ended_at", "duration_s"):
        if getattr(record, key) not in ("", None):
            value[key] = getattr(record, key)
    if record.status is not None:
        value |= {
            "status": record.status,
            "why": record.why.value if record.why else None,
            "outcome": record.outcome,
            **({"error_type": record.error_type} if record.error_type else {}),
            "reason": record.reason,
            "to": record.to,
        }
    elif record.reason:
        value["reason"] = record.reason
    if record.gpu_usage:
        value["gpu_usage"] = [_encoded(one) for one in record.gpu_usage]
    if record.ranks:
        value["ranks"] = list(map(_encoded_rank, record.ranks))
    for key in ("problem", "settled_by"):
        if getattr(record, key):
            value[key] = getattr(record, key)
    return encode_json(value)


def write_try(paths: SpoolPaths, record: TryRecord) -> None:
    """Write the record of one try: at its start, and again with its outcome.

    Raises:
        OSError: it could not be written.
    """
    write_whole(paths.try_record(record.claim), encode_try(record))


def read_try(paths: SpoolPaths, claim: Claim) -> TryRecord | None:
    """What the owner of a claim wrote down about its try; None if nothing can be read.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        value = read_json(paths.try_record(claim))
    except FileProblem:
        return None
    if value.get("id") != claim.task_id or value.get("token") != claim.token:
        return None
    return parse_try(claim, value)


# -- the index of tries ---------------------------------------------------------------------------------------------


def _parse_result(entry: Fields) -> TryResult | None:
    number, status, token, why = entry.integer("try"), entry.integer("status"), entry.raw("token"), entry.raw("why")
    if number is None or status is None or not isinstance(token, str):
        return None
    if not 1 <= number <= MAX_TRY_NUMBER or not 0 <= status <= 255:
        return None
    end = End(status, Why.read(why) if isinstance(why, str) else None)
    return TryResult(
        number,
        token,
        end,
        entry.flag("final"),
        node=entry.text("node", TEXT_MAX),
        ended_at=entry.text("ended_at", TEXT_MAX),
        reason=entry.text("reason", TEXT_MAX),
        error_type=_error_type(entry),
        failures=min(entry.count("failures"), MAX_TRY_NUMBER),
    )


def read_tries(paths: SpoolPaths, task_id: str) -> tuple[TryResult, ...]:
    """The ends of earlier tries, oldest first; broken entries are dropped.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        index = Fields(read_json(paths.tries_index(task_id)))
    except FileProblem:
        return ()
    parsed = map(_parse_result, index.objects("tries"))
    return tuple(one for one in parsed if one is not None)


def write_tries(paths: SpoolPaths, task_id: str, tries: tuple[TryResult, ...]) -> None:
    """Write the index of tries."""
    entries = [_entry(one) for one in tries[-MAX_TRIES_KEPT:]]
    write_whole(paths.tries_index(task_id), encode_json({"protocol": PROTOCOL, "id": task_id, "tries": entries}))


def _entry(one: TryResult) -> dict[str, Any]:
    told = {"error_type": one.error_type, "failures": one.failures}
    return {
        "try": one.number,
        "token": one.token,
        "status": one.end.status,
        "why": one.end.why.value if one.end.why else None,
        "final": one.final,
        "node": one.node,
        "ended_at": one.ended_at,
        "reason": one.reason,
        **{key: value for key, value in told.items() if value},
    }
