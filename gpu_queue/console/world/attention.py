"""What a person should look at.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Param
from gpu_queue.console.models.living import ATTENTION_MAX, Attention
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


def _troubles(seen: Snapshot, idle_since: Mapping[str, float], now_s: float) -> Iterator[tuple[str, Attention]]:
    if seen.clock is not None and not any(one.presence in (Presence.ALIVE, Presence.UNKNOWN) for one in seen.nodes):
        text = "no agent serves this queue: nothing starts"
        yield (
            "no_agent",
            Attention(code="no_agent", severity="trouble" if seen.counts.waiting else "notice", text=text),
        )
    for one in seen.gpus:
        key, page = gpu_key(one.node, one.page.uuid), one.page
        whose = {"node": key_of(one.node), "gpu": key}
        params: dict[str, Param] = {"index": page.index, "problem": text_of(page.problem)}
        if page.state is GpuState.LOST:
            text = f"GPU {page.index} is lost: {page.problem}"
            yield (
                f"gpu_lost/{key}",
                Attention(code="gpu_lost", severity="trouble", params=params, text=text_of(text), **whose),
            )
        since_s = idle_since.get(key)
        if one.claims and since_s is not None and now_s - since_s >= IDLE_S:
            text = f"GPU {page.index} has been below {IDLE_PERCENT} % under a task"
            running = next((task for task in seen.running if task.name == one.claims[0]), None)
            yield (
                f"gpu_idle_under_task/{key}",
                Attention(
                    code="gpu_idle_under_task",
                    severity="trouble",
                    params={"index": page.index, "percent": IDLE_PERCENT},
                    text=text,
                    since_at_s=since_s,
                    task="" if running is None else running.task_id,
                    **whose,
                ),
            )
        keeper = page.keepalive
        if keeper is not None and keeper.state == "failed":
            text = f"the keep-alive of GPU {page.index} has failed: {keeper.reason}"
            yield (
                f"keepalive_failed/{key}",
                Attention(
                    code="keepalive_failed",
                    severity="trouble",
                    params={"index": page.index, "reason": text_of(keeper.reason)},
                    text=text_of(text),
                    **whose,
                ),
            )
    for node in seen.nodes:
        yield from _node_troubles(node, seen)
    for number, problem in enumerate(seen.problems[:10]):
        text = text_of(f"{problem.file}: {problem.problem}")
        yield (
            f"spool_problem/{number}/{text_of(problem.file)}",
            Attention(code="spool_problem", severity="notice", params={"file": text_of(problem.file)}, text=text),
        )


def _node_troubles(node: NodeView, seen: Snapshot) -> Iterator[tuple[str, Attention]]:
    key, title, page = key_of(node.node), short_titles(seen.nodes)[node.node], node.page
    if node.presence is Presence.SILENT:
        watched = [
            (one.left_s, one.tries)
            for other in seen.nodes
            if other.page is not None and other.presence is Presence.ALIVE
            for one in other.page.watching
            if one.node == node.node
        ]
        params: dict[str, Param] = {"title": title, "silent_s": node.silent_s}
        if watched:
            params |= {"left_s": round(min(watched)[0]), "tries": min(watched)[1]}
        yield (
            f"node_silent/{key}",
            Attention(
                code="node_silent",
                severity="trouble",
                node=key,
                params=params,
                text=f"{title} has given no sign of life",
                since_at_s=node.written_s,
            ),
        )
    if page is None or node.presence not in (Presence.ALIVE, Presence.UNKNOWN):
        return
    for number, problem in enumerate(page.problems[:5]):
        text = text_of(problem)
        yield (
            f"node_problem/{key}/{number}",
            Attention(
                code="node_problem", severity="trouble", node=key, params={"title": title, "problem": text}, text=text
            ),
        )
    if page.ends_s is not None and page.at_end == "stop" and node.written_s is not None:
        cut = [
            one.claim
            for one in page.running
            if one.limit_s is not None and node.written_s - one.seconds + one.limit_s > page.ends_s
        ]
        if cut:
            yield (
                f"node_ends_before_tasks/{key}",
                Attention(
                    code="node_ends_before_tasks",
                    severity="trouble",
                    node=key,
                    params={"title": title, "tasks": len(cut), "ends_at_s": page.ends_s},
                    text=f"{title} ends before {len(cut)} of its tasks may",
                ),
            )
    if page.state is AgentState.DRAINING and seen.flag("draining") is None:
        yield (
            f"draining/{key}",
            Attention(code="draining", severity="notice", node=key, params={"title": title}, text=f"{title} drains"),
        )


def _notices(seen: Snapshot) -> Iterator[tuple[str, Attention]]:
    texts = {"paused": "nothing new starts", "draining": "agents end with their tasks", "keepalive-off": "off"}
    codes = {"paused": "paused", "draining": "draining", "keepalive-off": "keepalive_off"}
    for one in seen.flags:
        if one.name in codes:
            yield (
                one.name,
                Attention.model_validate(
                    {
                        "code": codes[one.name],
                        "severity": "notice",
                        "params": {"by": text_of(one.by)},
                        "text": texts[one.name],
                    }
                ),
            )
    if seen.waiting.skipped:
        count = seen.waiting.skipped
        yield (
            "files_skipped",
            Attention(
                code="files_skipped", severity="notice", params={"count": count}, text=f"{count} files are never run"
            ),
        )
