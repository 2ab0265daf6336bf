"""All that is known of one task, for its page.  It reads the task's files."""

from __future__ import annotations

import json

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.lists.choosing import AnyTask
from gpu_queue.console.lists.facts import Facts
from gpu_queue.console.lists.rows import row_of
from gpu_queue.console.logs.sources import sources_of
from gpu_queue.console.models.tasks import Code, GpuUse, Need, TaskDetail, TaskRow, Try
from gpu_queue.console.sentences import needs_of, note
from gpu_queue.console.world.living import told_of
from gpu_queue.scripts.reader import HEAD_BYTES, read
from gpu_queue.spool import files
from gpu_queue.spool.records import TryRecord, encode_submission
from gpu_queue.spool.snapshot.taskfiles import TaskFiles, TaskView, TryView
from gpu_queue.spool.snapshot.view import Presence, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.task import Submission
from gpu_queue.units import parse_utc_s

AFTER_MAX = 100
ARGUMENTS_MAX = 1000


def detail_of(reader: TaskFiles, seen: Snapshot, task: AnyTask) -> TaskDetail:
    """What its page shows.

    Args:
        reader: of the spool's files.
        seen: the spool.
        task: of that snapshot.
    """
    alive = [one.page for one in seen.nodes if one.page is not None and one.presence is Presence.ALIVE]
    default_gpus = alive[0].default_gpus if alive else 1
    place = seen.waiting.place(task.name) if isinstance(task, WaitingTask) else None
    view = reader.view(task, place, default_gpus)
    told = told_of(seen).get(task.name) if isinstance(task, WaitingTask) else None
    submission, number = view.submission, view.tries[-1].claim.number if view.tries else 0
    group = "" if submission.experiment is None else submission.experiment.group
    facts = Facts(submission.user or None, submission.name, view.needs, max(len(view.tries), number), group)
    row = row_of(task, facts, seen, told)
    last = view.tries[-1].record if view.tries else None
    if row.started_at_s is None and last is not None and row.state != "waiting":
        row = row.model_copy(update={"started_at_s": parse_utc_s(last.started_at)})
    if last is not None and not row.gpu_indices and row.state != "waiting":
        row = row.model_copy(update={"gpu_indices": list(last.gpu_indices), "node": row.node or key_of(last.node)})
    if last is not None and row.state in ("done", "failed") and row.ended_at_s is None:
        row = _ended(row, last)
    return TaskDetail(
        row=row,
        cwd=text_of(submission.cwd),
        script_path=text_of(submission.path),
        path=text_of(view.path),
        host=text_of(submission.host),
        arguments=[text_of(one) for one in submission.arguments[:ARGUMENTS_MAX]],
        needs=_needs(view, default_gpus),
        after=_after(view, seen),
        tries=[_try(one) for one in view.tries],
        logs=sources_of(view),
        record=_record(submission),
        array=_array(submission),
        experiment=text_of(group),
        code=_code(submission),
        problems=[note("unread", file=one.file, problem=one.problem) for one in view.problems],
    )


def _code(submission: Submission) -> Code | None:
    code = submission.code
    if code is None:
        return None
    return Code(commit=code.commit, is_dirty=code.is_dirty, snapshot=text_of(code.snapshot), root=text_of(code.root))


def _ended(row: TaskRow, last: TryRecord) -> TaskRow:
    """A row whose event was not read yet, or no longer: its last try tells how it ended."""
    told = {
        "ended_at_s": parse_utc_s(last.ended_at),
        "status": last.status,
        "outcome": text_of(last.outcome),
        "error_type": text_of(last.error_type),
    }
    return row.model_copy(update={name: value for name, value in told.items() if value not in (None, "")})


def _needs(view: TaskView, default_gpus: int) -> list[Need]:
    try:
        head, _ = files.read_regular(view.path, HEAD_BYTES)
    except (OSError, files.FileProblem):
        return []
    said = view.submission
    return needs_of(read(head, said.needs, said.arguments, default_gpus, view.task_id or view.name))


def _after(view: TaskView, seen: Snapshot) -> list[TaskRow]:
    found = []
    for one in (view.needs.after if view.needs is not None else ())[:AFTER_MAX]:
        task = seen.find(one)
        if task is not None:
            found.append(row_of(task, Facts(), seen))
    return found


def _try(one: TryView) -> Try:
    record, result = one.record, one.result
    made = Try(number=one.claim.number, token=one.claim.token)
    if result is not None:
        made = made.model_copy(
            update={
                "node": key_of(result.node),
                "status": result.end.status,
                "why": "" if result.end.why is None else result.end.why.value,
                "ended_at_s": parse_utc_s(result.ended_at),
                "reason": text_of(result.reason),
                "error_type": text_of(result.error_type),
            }
        )
    if record is None:
        return made
    told = {
        "node": key_of(record.node),
        "gpu_indices": list(record.gpu_indices),
        "gpus": [text_of(uuid) for uuid in record.gpus],
        "started_at_s": parse_utc_s(record.started_at),
        "ended_at_s": parse_utc_s(record.ended_at),
        "duration_s": record.duration_s,
        "status": record.status,
        "why": "" if record.why is None else record.why.value,
        "outcome": text_of(record.outcome),
        "error_type": text_of(record.error_type),
        "reason": text_of(record.reason),
        "problem": text_of(record.problem),
        "settled_by": key_of(record.settled_by) if record.settled_by else "",
        "usage": [
            GpuUse(
                uuid=text_of(used.uuid),
                samples=used.samples,
                memory_peak_bytes=used.memory_peak_bytes,
                memory_mean_bytes=used.memory_mean_bytes,
                utilization_peak_percent=used.utilization_peak_percent,
                utilization_mean_percent=used.utilization_mean_percent,
            )
            for used in record.gpu_usage
        ],
    }
    # A try that was taken over has its end in the index alone.
    return made.model_copy(update={name: value for name, value in told.items() if value not in (None, "", [])})


def _record(submission: Submission) -> dict[str, object]:
    try:
        value = json.loads(encode_submission(submission))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _array(submission: Submission) -> str:
    part = submission.array
    return "" if part is None else f"{part.index} / {part.min}-{part.max}"
