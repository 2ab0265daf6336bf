"""Runs as their records might tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpu_queue.experiments.reporting.facts import RunFacts, TryFacts, TryFile, Written
from gpu_queue.spool.paths import make_id
from gpu_queue.spool.records import GpuUsage, TryRecord
from gpu_queue.task import Claim, End, ExperimentPart, State, Submission, TryResult, Why
from gpu_queue.units import format_utc

GIB = 1 << 30
T0 = 1_790_000_000.0
"""When everything was submitted, by the storage's clock."""
NODE, HOST = "gpu1-3fa2c1b0", "login1"


def a_part(name: str, group: str, params: Mapping[str, str]) -> ExperimentPart:
    return ExperimentPart("/home/a/g.yaml", group, "train", name, "hash", params=tuple(params.items()))


def a_try(
    begins_s: float | None = 10.0,
    took_s: float | None = 100.0,
    outcome: str = "succeeded",
    *,
    gpus: int | None = 1,
    usage: tuple[GpuUsage, ...] = (),
    off_s: float = 0.0,
    **more: Any,
) -> TryFacts:
    """A try that begins so long after ``T0``, on a node whose clock is ahead by ``off_s``."""
    ended_s = None if begins_s is None or took_s is None else T0 + begins_s + took_s
    made = TryFacts(
        NODE,
        started_s=None if begins_s is None else T0 + begins_s + off_s,
        duration_s=took_s,
        is_final=outcome not in ("", "requeued"),
        outcome=outcome,
        gpus=gpus,
        usage=usage,
        clock=None if ended_s is None else Written(NODE, ended_s + off_s, ended_s),
    )
    return replace(made, **more)


def a_run(
    *tries: TryFacts,
    state: State = State.DONE,
    name: str = "a",
    group: str = "g",
    memory: str = "",
    off_s: float = 0.0,
    at_s: float = 0.0,
    is_current: bool = True,
    params: Mapping[str, str] | None = None,
) -> RunFacts:
    """A run, submitted so long after ``T0`` on a machine whose clock is ahead by ``off_s``."""
    needs = {"memory": memory} if memory else {}
    task_id = make_id(T0 + at_s, "abcdef", b"a")
    part = a_part(name, group, params or {})
    submission = Submission(task_id, name=name, needs=needs, host=HOST, experiment=part)
    submitted = Written(HOST, T0 + at_s + off_s, T0 + at_s)
    return RunFacts(submission, state, submitted, tries, is_current=is_current)


def used(peak_gib: float | None = None, percent: int | None = None, samples: int = 10) -> GpuUsage:
    return GpuUsage(
        "GPU-0",
        samples,
        memory_peak_bytes=None if peak_gib is None else int(peak_gib * GIB),
        utilization_mean_percent=percent,
    )


# -- as records have them -------------------------------------------------------------------------------------------

TASK = make_id(T0, "abcdef", b"a")


def a_claim(number: int = 1, token: str = "") -> Claim:
    return Claim(0, TASK, number, token or f"{number:06x}")


def a_record(number: int = 1, begins_s: float | None = 10.0, **more: Any) -> TryRecord:
    started = {} if begins_s is None else {"started_at": format_utc(T0 + begins_s), "gpus": ("GPU-0",)}
    return TryRecord(a_claim(number), **({"node": NODE} | started | more))


def a_file(record: TryRecord, stored_s: float | None = None) -> TryFile:
    return TryFile(record, stored_s)


def a_result(
    number: int = 1, status: int = 1, why: Why | None = None, *, final: bool = True, **more: Any
) -> TryResult:
    return TryResult(number, f"{number:06x}", End(status, why), final, **more)
