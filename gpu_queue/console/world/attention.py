"""What a person should look at.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Param
from gpu_queue.console.models.living import ATTENTION_MAX, Attention
from gpu_queue.console.phrasebook import NOTES
from gpu_queue.console.sentences import filled
from gpu_queue.console.world.living import gpu_key, short_titles
from gpu_queue.spool.snapshot.view import NodeView, Presence, Snapshot
from gpu_queue.states import AgentState, GpuState

IDLE_PERCENT = 5
IDLE_S = 600.0
"""A GPU below IDLE_PERCENT under a task for so long stands still, and is told of."""


def attention_of(seen: Snapshot, idle_since: Mapping[str, float], now_s: float) -> dict[str, Attention]:
    """What a person should look at, by a key that stays the same as long as it lasts; trouble first.

    Args:
        seen: the spool.
        idle_since: of GPUs below ``IDLE_PERCENT`` since when, by the server's clock.
        now_s: the server's clock.
    """
    found = [*_troubles(seen, idle_since, now_s), *_notices(seen)]
    found.sort(key=lambda pair: pair[1].severity != "trouble")
    return dict(found[:ATTENTION_MAX])


def _one(
    code: str,
    severity: str,
    params: dict[str, Param] | None = None,
    *,
    node: str = "",
    gpu: str = "",
    task: str = "",
    since_at_s: float | None = None,
) -> Attention:
    params = params or {}
    return Attention.model_validate(
        {
            "code": code,
            "severity": severity,
            "node": node,
            "gpu": gpu,
            "task": task,
            "params": params,
            "text": filled(NOTES[code], params),
            "since_at_s": since_at_s,
        }
    )


def _troubles(seen: Snapshot, idle_since: Mapping[str, float], now_s: float) -> Iterator[tuple[str, Attention]]:
    if seen.clock is not None and not any(one.presence in (Presence.ALIVE, Presence.UNKNOWN) for one in seen.nodes):
        yield "no_agent", _one("no_agent", "trouble" if seen.counts.waiting else "notice")
    for one in seen.gpus:
        key, page = gpu_key(one.node, one.page.uuid), one.page
        node = key_of(one.node)
        index: dict[str, Param] = {"index": page.index}
        params: dict[str, Param]
        if page.state is GpuState.LOST:
            params = {**index, "problem": text_of(page.problem)}
            yield f"gpu_lost/{key}", _one("gpu_lost", "trouble", params, node=node, gpu=key)
        since_s = idle_since.get(key)
        if one.claims and since_s is not None and now_s - since_s >= IDLE_S:
            running = next((task for task in seen.running if task.name == one.claims[0]), None)
            task = "" if running is None else running.task_id
            params = {**index, "percent": IDLE_PERCENT}
            yield (
                f"gpu_idle_under_task/{key}",
                _one("gpu_idle_under_task", "trouble", params, node=node, gpu=key, task=task, since_at_s=since_s),
            )
        keeper = page.keepalive
        if keeper is not None and keeper.state == "failed":
            params = {**index, "reason": text_of(keeper.reason)}
            yield f"keepalive_failed/{key}", _one("keepalive_failed", "trouble", params, node=node, gpu=key)
    for view in seen.nodes:
        yield from _node_troubles(view, seen)
    for number, problem in enumerate(seen.problems[:10]):
        params = {"file": text_of(problem.file), "problem": text_of(problem.problem)}
        yield f"spool_problem/{number}/{text_of(problem.file)}", _one("spool_problem", "notice", params)


def _node_troubles(node: NodeView, seen: Snapshot) -> Iterator[tuple[str, Attention]]:
    key, title, page = key_of(node.node), short_titles(seen.nodes)[node.node], node.page
    params: dict[str, Param]
    if node.presence is Presence.SILENT:
        watched = [
            (one.left_s, one.tries)
            for other in seen.nodes
            if other.page is not None and other.presence is Presence.ALIVE
            for one in other.page.watching
            if one.node == node.node
        ]
        params = {"title": title, "silent_s": node.silent_s}
        if watched:
            params |= {"left_s": round(min(watched)[0]), "tries": min(watched)[1]}
        yield f"node_silent/{key}", _one("node_silent", "trouble", params, node=key, since_at_s=node.written_s)
    if page is None or node.presence not in (Presence.ALIVE, Presence.UNKNOWN):
        return
    for number, problem in enumerate(page.problems[:5]):
        params = {"title": title, "problem": text_of(problem)}
        yield f"node_problem/{key}/{number}", _one("node_problem", "trouble", params, node=key)
    if page.ends_s is not None and page.at_end == "stop" and node.written_s is not None:
        cut = [
            one.claim
            for one in page.running
            if one.limit_s is not None and node.written_s - one.seconds + one.limit_s > page.ends_s
        ]
        if cut:
            params = {"title": title, "tasks": len(cut), "ends_at_s": page.ends_s}
            yield f"node_ends_before_tasks/{key}", _one("node_ends_before_tasks", "trouble", params, node=key)
    if page.state is AgentState.DRAINING and seen.flag("draining") is None:
        yield f"draining/{key}", _one("draining", "notice", {"title": title}, node=key)


def _notices(seen: Snapshot) -> Iterator[tuple[str, Attention]]:
    codes = {"paused": "paused", "draining": "draining", "keepalive-off": "keepalive_off"}
    for one in seen.flags:
        if one.name in codes:
            yield one.name, _one(codes[one.name], "notice", {"by": text_of(one.by)})
    if seen.waiting.skipped:
        yield "files_skipped", _one("files_skipped", "notice", {"count": seen.waiting.skipped})
