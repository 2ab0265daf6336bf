"""A node's page as JSON, one line: all of it, for programs (docs/spool.md, "The node file").

Read field by field: a page is hostile input, and unknown keys, words and codes may come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.allocations import parse_allocation
from gpu_queue.reasons import Code, Param, Reason
from gpu_queue.spool import files
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.pages.lines import NOTE_MAX
from gpu_queue.spool.pages.nouns import (
    QUEUES_PUBLISHED,
    GpuPage,
    KeepPage,
    NodePage,
    QueuePage,
    SharedPage,
    SilentPage,
    TryPage,
    WaitPage,
    with_each,
)
from gpu_queue.states import AgentState, GpuState, read_word
from gpu_queue.texts import printable
from gpu_queue.units import format_utc
from gpu_queue.words import in_words

LIST_MAX = 1000


def encode_reason(reason: Reason) -> dict[str, Any]:
    """A reason as it stands in JSON; its English words are for readers that do not know the code."""
    return {"code": reason.code.value, "params": dict(reason.params), "text": printable(in_words(reason))}


def _moment(moment_s: float | None) -> str | None:
    return None if moment_s is None else format_utc(moment_s)


def _rounded(value: float | None, digits: int | None = None) -> float | None:
    return None if value is None else round(value, digits)


def encode_json(page: NodePage) -> bytes:
    """The page as JSON, one line."""
    value = {
        "protocol": page.protocol,
        "node": page.node,
        "incarnation": page.incarnation,
        "state": page.state.value,
        "reason": None if page.reason is None else encode_reason(page.reason),
        "version": page.version,
        "host": page.host,
        "pid": page.pid,
        "started_at": _moment(page.started_s),
        "ends_at": _moment(page.ends_s),
        "at_end": page.at_end,
        "allocation": page.allocation,
        "beat_at": _moment(page.beat_s),
        "devices": page.devices,
        "default_gpus": page.default_gpus,
        "gpus": [_gpu_json(gpu) for gpu in page.gpus],
        "running": [
            {
                "claim": one.claim,
                "name": one.name,
                "stage": one.stage,
                "gpus": list(one.gpus),
                "seconds": round(one.seconds),
                "limit_s": _rounded(one.limit_s),
                "ending": one.ending,
                "queue": one.queue,
                **({"rank": one.rank, "nodes": one.nodes, "of": one.of} if one.nodes > 1 else {}),
            }
            for one in page.running
        ],
        "waiting": {
            "count": page.waiting_count,
            "why": [
                {"name": one.name, **why, "gpus": one.gpus, "tries": one.tries, "title": one.title}
                for one, why in with_each(page.waiting, encode_reason)
            ],
        },
        "skipped": page.skipped,
        "settled": {"done": page.done, "failed": page.failed},
        "watching": [
            {
                "node": one.node,
                "tries": one.tries,
                "beating": one.beating,
                "silent_s": round(one.silent_s),
                "left_s": round(one.left_s),
                "ended": one.ended,
            }
            for one in page.watching
        ],
        "problems": list(page.problems),
        "cluster": page.cluster,
        "within_allocation": page.is_within_allocation,
        "seen": list(page.seen),
        "mode": page.mode,
        "queues": [
            {
                "queue": one.queue,
                "busy": one.is_busy,
                "holder": one.holder,
                "pending": one.pending,
                "running": one.running,
                "done": one.done,
                "failed": one.failed,
                "failures": one.failures,
                "rests_s": _rounded(one.rests_s),
            }
            for one in page.queues
        ],
        "more_queues": page.more_queues,
        **({} if page.is_watched is None else {"watched": page.is_watched}),
    }
    return files.encode_json(value)


def _gpu_json(gpu: GpuPage) -> dict[str, Any]:
    keep, shared = gpu.keepalive, gpu.shared
    of_shared = {}
    if shared is not None:
        of_shared["shared"] = {
            "free_bytes": shared.free_bytes,
            "user_pythons": shared.user_pythons,
            "kept_by": shared.kept_by,
        }
    return {
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "state": gpu.state.value,
        "memory_total_bytes": gpu.memory_total_bytes,
        "memory_used_bytes": gpu.memory_used_bytes,
        "utilization_percent": gpu.utilization_percent,
        "power_w": gpu.power_w,
        "power_limit_w": gpu.power_limit_w,
        "temperature_c": gpu.temperature_c,
        "problem": gpu.problem,
        "keepalive": None
        if keep is None
        else {
            "state": keep.state,
            "reason": keep.reason,
            "duty": _rounded(keep.duty, 3),
            "held_bytes": keep.held_bytes,
            "open_loop": keep.is_open_loop,
            "today_j": _rounded(keep.today_j),
            "off_by": keep.off_by,
        },
        **of_shared,
    }


def parse_page(node: str, value: Mapping[str, Any]) -> NodePage:
    """A page from what its JSON holds; what does not fit reads as missing."""
    page = Fields(value)
    waiting, settled = page.inner("waiting"), page.inner("settled")
    return NodePage(
        node=node,
        incarnation=page.text("incarnation"),
        state=read_word(AgentState, page.raw("state")),
        reason=_parse_reason(page.inner("reason")),
        version=page.text("version"),
        host=page.text("host"),
        pid=page.count("pid"),
        started_s=page.moment_s("started_at"),
        ends_s=page.moment_s("ends_at"),
        at_end=page.text("at_end"),
        allocation=page.text("allocation"),
        beat_s=page.moment_s("beat_at"),
        default_gpus=max(0, 1 if (gpus := page.integer("default_gpus")) is None else gpus),
        devices=page.text("devices"),
        gpus=tuple(map(_parse_gpu, page.objects("gpus"))),
        running=tuple(
            TryPage(
                one.name("claim"),
                one.text("name"),
                one.text("stage"),
                one.integers("gpus"),
                one.number("seconds") or 0.0,
                one.number("limit_s"),
                one.text("ending"),
                one.name("queue"),
                one.count("rank"),
                max(1, one.count("nodes")),
                one.name("of"),
            )
            for one in page.objects("running")
        ),
        waiting_count=waiting.count("count"),
        waiting=tuple(
            WaitPage(one.name("name"), why, one.text("gpus"), one.count("tries"), one.text("title"))
            for one in waiting.objects("why")
            if (why := _parse_reason(one)) is not None and one.name("name")
        ),
        skipped=page.count("skipped"),
        done=settled.count("done"),
        failed=settled.count("failed"),
        watching=tuple(
            SilentPage(
                one.text("node"),
                one.count("tries"),
                one.count("beating"),
                one.number("silent_s") or 0.0,
                one.number("left_s") or 0.0,
                one.text("ended"),
            )
            for one in page.objects("watching")
        ),
        problems=page.texts("problems", NOTE_MAX),
        cluster=page.text("cluster"),
        is_within_allocation=page.flag("within_allocation"),
        seen=page.texts("seen"),
        mode=page.text("mode") or "dedicated",
        queues=tuple(map(_parse_queue, page.objects("queues")[:QUEUES_PUBLISHED])),
        more_queues=page.count("more_queues"),
        is_watched=watched if isinstance(watched := page.raw("watched"), bool) else None,
        protocol=page.integer("protocol") or 0,
    )


def read_allocation(value: Mapping[str, Any], cluster: str) -> str:
    """The batch job with whose end all tries of a node end, by its page's JSON; empty where none is told.

    Args:
        value: the page.
        cluster: of which it must be: the number of a job is another cluster's as well.
    """
    page = Fields(value)
    if page.integer("protocol") != PROTOCOL or page.text("cluster") != cluster:
        return ""
    told = page.name("allocation")
    return told if page.flag("within_allocation") and parse_allocation(told) is not None else ""


def _parse_queue(one: Fields) -> QueuePage:
    return QueuePage(
        one.name("queue"),
        one.flag("busy"),
        one.name("holder"),
        one.count("pending"),
        one.count("running"),
        one.count("done"),
        one.count("failed"),
        one.count("failures"),
        one.number("rests_s"),
    )


def _parse_gpu(gpu: Fields) -> GpuPage:
    keep, shared = gpu.inner("keepalive"), gpu.inner("shared")
    return GpuPage(
        uuid=gpu.text("uuid"),
        index=gpu.count("index"),
        name=gpu.text("name"),
        state=read_word(GpuState, gpu.raw("state")),
        memory_total_bytes=gpu.integer("memory_total_bytes"),
        memory_used_bytes=gpu.integer("memory_used_bytes"),
        utilization_percent=gpu.integer("utilization_percent"),
        power_w=gpu.number("power_w"),
        problem=gpu.text("problem"),
        keepalive=KeepPage(
            keep.text("state"),
            keep.text("reason"),
            keep.number("duty"),
            keep.count("held_bytes"),
            keep.flag("open_loop"),
            keep.number("today_j"),
            keep.text("off_by"),
        )
        if keep
        else None,
        shared=SharedPage(shared.integer("free_bytes"), shared.integer("user_pythons"), shared.text("kept_by"))
        if shared
        else None,
        temperature_c=gpu.integer("temperature_c"),
        power_limit_w=gpu.number("power_limit_w"),
    )


def _parse_reason(value: Fields) -> Reason | None:
    """A reason; one of a code that this version does not know keeps its words."""
    if not value:
        return None
    try:
        code = Code(value.raw("code"))
    except ValueError:
        return Reason(Code.OTHER, {"text": value.text("text")})
    given = value.raw("params")
    params = {name: _parse_param(one) for name, one in (given if isinstance(given, dict) else {}).items()}
    return Reason(code, {name: one for name, one in params.items() if one is not None})


def _parse_param(value: object) -> Param | None:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, (int, float)):
        return value if abs(value) < 1e18 else None
    if not isinstance(value, list):
        return None
    items = value[:LIST_MAX]
    if all(type(one) is int and abs(one) < 1e18 for one in items):
        return tuple(items)
    return tuple(printable(one) for one in items if isinstance(one, str))
