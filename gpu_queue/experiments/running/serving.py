"""Who serves a spool: what the pages of its nodes, and the processes that they name, tell."""

from __future__ import annotations

import socket

from gpu_queue.pids import start_ticks
from gpu_queue.spool.snapshot.view import NodeView, Presence, Snapshot

_SERVING = (Presence.ALIVE, Presence.UNKNOWN)


def agent_here(snapshot: Snapshot) -> NodeView | None:
    """The agent that serves it on this machine; None: none does, as far as its pages tell."""
    return next((one for one in _serving(snapshot) if _is_here(one) and _has_process(one)), None)


def is_served_elsewhere(snapshot: Snapshot) -> bool:
    """Whether an agent of another machine serves it."""
    return any(not _is_here(one) for one in _serving(snapshot))


def page_of(snapshot: Snapshot, pid: int) -> NodeView | None:
    """What our own agent tells of itself, whose process that is; None: nothing yet."""
    found = (one for one in snapshot.nodes if one.page is not None and one.page.pid == pid and _is_here(one))
    return next(found, None)


def _serving(snapshot: Snapshot) -> list[NodeView]:
    return [one for one in snapshot.nodes if one.page is not None and one.presence in _SERVING]


def _is_here(node: NodeView) -> bool:
    return node.page is not None and node.page.host.partition(".")[0] == socket.gethostname().partition(".")[0]


def _has_process(node: NodeView) -> bool:
    return node.page is not None and start_ticks(node.page.pid) is not None
