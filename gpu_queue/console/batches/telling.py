"""Batches as the models have them.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gpu_queue.console.batches.census import Batch
from gpu_queue.console.batches.figuring import Figured
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.batches import (
    RUNS_MAX,
    BatchCounts,
    BatchDetail,
    BatchRun,
    BatchSum,
    BatchSummary,
    Expected,
)
from gpu_queue.experiments.known import Member, current
from gpu_queue.experiments.progress.nouns import Rest
from gpu_queue.experiments.reporting.figures import RunFigures
from gpu_queue.spool.paths import submitted_s
from gpu_queue.task import State

TEXT_MAX = 300
FILES_MAX = 20


def summary_of(batch: Batch, members: Sequence[Member]) -> BatchSummary:
    """One batch by what the directories tell.

    Args:
        batch: which.
        members: its tasks, in the order of their submission.
    """
    counted = current(members)
    counts = Counter(map(_phase, counted))
    return BatchSummary(
        key=batch.key,
        kind="experiment" if batch.kind == "experiment" else "commands",
        name=text_of(batch.name, TEXT_MAX),
        files=[text_of(one, TEXT_MAX) for one in batch.files[:FILES_MAX]],
        counts=BatchCounts(**counts),
        runs=len(counted),
        first_at_s=submitted_s(members[0].id) if members else None,
        last_at_s=submitted_s(members[-1].id) if members else None,
        user=text_of(members[-1].submission.user, 200) if members else "",
    )


def _phase(member: Member) -> str:
    if member.state is State.FAILED:
        return "cancelled" if member.was_cancelled else "failed"
    return {State.DONE: "done", State.RUNNING: "running", State.PENDING: "waiting"}[member.state]


def detail_of(batch: Batch, members: Sequence[Member], figured: Figured, rest: Rest | None) -> BatchDetail:
    """One batch in full.

    Args:
        batch: which.
        members: its tasks, in the order of their submission.
        figured: what they took.
        rest: when all will have ended.
    """
    made = figured.report
    runs = [run for group in made.groups for run in group.runs]
    params = list(dict.fromkeys(name for run in runs for name, _ in run.params))
    summary = summary_of(batch, members)
    told = [_run(one, params, is_read=one.facts.submission.task_id not in figured.unread) for one in runs[:RUNS_MAX]]
    if len(runs) <= RUNS_MAX:  # the figures know of stopped ones as well
        counts = Counter[str](one.state for one in told)
        summary = summary.model_copy(update={"counts": BatchCounts(**counts)})
    earlier = [one for group in made.groups for one in group.earlier]
    known = [one.gpu_s for one in earlier if one.gpu_s is not None]
    total = made.sum
    return BatchDetail(
        batch=summary,
        now_s=made.now_s,
        params=[text_of(one, TEXT_MAX) for one in params],
        runs=told,
        is_cut=len(runs) > RUNS_MAX,
        sum=BatchSum(
            tries=total.tries,
            unknown_tries=total.unknown_tries,
            gpu_s=total.gpu_s,
            first_started_at_s=total.first_started_s,
            last_ended_at_s=total.last_ended_s,
            wall_s=total.wall_s,
            waited_mean_s=total.waited_s,
            utilization_percent=total.utilization_percent,
            failed_tries={text_of(kind, 100): count for kind, count in total.failed_tries.items()},
            failed_runs={text_of(kind, 100): count for kind, count in total.failed_runs.items()},
            earlier_tasks=len(earlier),
            earlier_gpu_s=sum(known) if known else None,
        ),
        expected=None if rest is None else Expected(until_at_s=rest.until, is_least=rest.is_least),
        notes=[text_of(one, 1000) for one in made.notes],
        unread=len(figured.unread),
    )


def _run(one: RunFigures, params: Sequence[str], *, is_read: bool) -> BatchRun:
    said = one.facts.submission
    own = dict(one.params)
    queue = said.needs.get("queue")
    phase = one.phase.value
    if not is_read and one.facts.state is State.FAILED:
        phase = "failed"  # how it ended is not known yet
    return BatchRun(
        key=key_of(said.task_id),
        short=said.task_id.split("-")[1] if "-" in said.task_id else "",
        name=text_of(one.name, TEXT_MAX),
        job=text_of(said.experiment.job, TEXT_MAX) if said.experiment is not None else "",
        params=[text_of(own.get(name, ""), TEXT_MAX) for name in params],
        state=phase,
        outcome=text_of(one.outcome, 100),
        error_type=text_of(one.error_type, 100),
        reason=text_of(one.reason, 500),
        tries=one.tries,
        unknown_tries=one.unknown_tries,
        submitted_at_s=one.submitted_s,
        started_at_s=one.started_s,
        ended_at_s=one.ended_s,
        waited_s=one.waited_s,
        between_s=one.between_s,
        ran_s=one.ran_s,
        last_ran_s=one.last_ran_s,
        gpus=one.gpus,
        gpu_s=one.gpu_s,
        memory_asked_bytes=one.facts.memory_asked_bytes,
        memory_peak_bytes=one.memory_peak_bytes,
        memory="" if one.memory is None else one.memory.value,
        utilization_percent=one.utilization_percent,
        node=key_of(one.node) if one.node else "",
        queue=text_of(queue, 200) if isinstance(queue, str) else "",
    )
