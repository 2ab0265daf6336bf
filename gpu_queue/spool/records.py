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

from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.spool.files import FileProblem, Vanished, encode_json, read_json, write_whole
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import Claim, End, Submission, TryResult, Why

MAX_TRIES_KEPT = 100
TEXT_MAX = 200
"""Of what an entry of the index says for people: a hundred entries must stay below the size of a record."""
MAX_TRY_NUMBER = 10**8
"""One more still is a number that a claim's name may carry."""


def _text(value: object) -> str:
    """A string that can be a path or an argument; everything else is empty."""
    if not isinstance(value, str) or "\0" in value:
        return ""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # JSON can spell surrogates that stand for no byte
        return ""
    return value


def read_submission(paths: SpoolPaths, task_id: str, allowed_uids: frozenset[int]) -> Submission:
    """The submission of a task; a record that is missing or broken gives an empty one with the reason.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        record = read_json(paths.record(task_id), allowed_uids)
    except Vanished:
        return Submission(task_id)
    except FileProblem as problem:
        return Submission(task_id, problem=f"records/{task_id}.json: {problem}")
    if record.get("protocol", PROTOCOL) != PROTOCOL or record.get("id", task_id) != task_id:
        return Submission(task_id, problem=f"records/{task_id}.json: it is of another protocol or task")
    needs = record.get("needs", {})
    return Submission(
        task_id,
        name=_text(record.get("name")),
        path=_text(record.get("path")),
        cwd=_text(record.get("cwd")),
        needs=needs if isinstance(needs, dict) else {},
        problem="" if isinstance(needs, dict) else f"records/{task_id}.json: needs is no object",
    )


def write_submission(paths: SpoolPaths, record: dict[str, Any]) -> None:
    """Write the record of a hand drop."""
    write_whole(paths.record(record["id"]), encode_json({"protocol": PROTOCOL, **record}))


def write_try(paths: SpoolPaths, claim: Claim, facts: dict[str, Any]) -> None:
    """Write the record of one try: at its start, and again with its outcome."""
    value = {"protocol": PROTOCOL, "id": claim.task_id, "try": claim.number, "token": claim.token, **facts}
    write_whole(paths.try_record(claim), encode_json(value))


def _parse_try(value: object) -> TryResult | None:
    if not isinstance(value, dict):
        return None
    number, token, status, why, final = (value.get(key) for key in ("try", "token", "status", "why", "final"))
    if type(number) is not int or not isinstance(token, str) or type(status) is not int:
        return None
    if not 1 <= number <= MAX_TRY_NUMBER or not 0 <= status <= 255:
        return None
    reason = Why.read(why) if isinstance(why, str) else None
    told = (_text(value.get(key))[:TEXT_MAX] for key in ("node", "ended_at", "reason"))
    return TryResult(number, token, End(status, reason), final is True, *told)


def read_try(paths: SpoolPaths, claim: Claim) -> dict[str, Any]:
    """What the node that started a try wrote down about it; empty if nothing can be read.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        value = read_json(paths.try_record(claim))
    except FileProblem:
        return {}
    if value.get("id") != claim.task_id or value.get("token") != claim.token:
        return {}
    return {key: value[key] for key in ("node", "gpus", "gpu_indices", "name", "cwd", "started_at") if key in value}


def read_tries(paths: SpoolPaths, task_id: str) -> tuple[TryResult, ...]:
    """The ends of earlier tries, oldest first; broken entries are dropped.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        value = read_json(paths.tries_index(task_id)).get("tries")
    except FileProblem:
        return ()
    parsed = [_parse_try(one) for one in value] if isinstance(value, list) else []
    return tuple(one for one in parsed if one is not None)


def write_tries(paths: SpoolPaths, task_id: str, tries: tuple[TryResult, ...]) -> None:
    """Write the index of tries."""
    entries = [
        {
            "try": one.number,
            "token": one.token,
            "status": one.end.status,
            "why": one.end.why.value if one.end.why else None,
            "final": one.final,
            "node": one.node,
            "ended_at": one.ended_at,
            "reason": one.reason,
        }
        for one in tries[-MAX_TRIES_KEPT:]
    ]
    write_whole(paths.tries_index(task_id), encode_json({"protocol": PROTOCOL, "id": task_id, "tries": entries}))
