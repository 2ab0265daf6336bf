"""What GPUs were used for, and what happened last."""

from __future__ import annotations

import json
import math
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.keys import name_of
from gpu_queue.console.models.history import EventPage, Timeline
from gpu_queue.console.problems import Problem
from gpu_queue.console.timeline.book import Wanted

router = APIRouter(prefix=PREFIX, tags=["history"])

RANGE_S = 6 * 3600.0
RANGE_MAX_S = 40 * 86400.0
EVENTS_MAX = 1000

Moment = Annotated[float | None, Query(description="Epoch seconds, by the file server's clock.", ge=0, le=1e11)]


def range_of(
    from_s: float | None, to_s: float | None, now_s: float, usual_s: float, most_s: float = RANGE_MAX_S
) -> tuple[float, float]:
    """The moments that a request means; without any: the last ``usual_s``.

    Raises:
        Problem: the end is before the beginning, or they are too far apart.
    """
    to_s = now_s if to_s is None or not math.isfinite(to_s) else to_s
    from_s = to_s - usual_s if from_s is None or not math.isfinite(from_s) else from_s
    if not 0 < to_s - from_s <= most_s:
        days = round(most_s / 86400)
        raise Problem(422, "range", params={"from_s": round(from_s), "to_s": round(to_s), "days": days})
    return from_s, to_s


@router.get("/spools/{job}/timeline", summary="What each GPU was used for", response_model=Timeline)
async def timeline(
    console: Console,
    world: Spool,
    from_: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
    node: Annotated[str, Query(max_length=600, description="This node alone.")] = "",
    gpu: Annotated[str, Query(max_length=600, description="The GPU of this UUID alone.")] = "",
) -> Response:
    """Lanes of intervals, made of the nodes' histories; without ``from`` and ``to`` the last six hours.

    Where no agent was there a lane is ``unknown``, and before ``seen_since_s`` nothing is told.
    """
    async with told():
        seen = await world.latest()
        from_s, to_s = range_of(from_, to, seen.now_s, RANGE_S)
        name = name_of(node)

        content = await console.books.ask(
            world,
            lambda book, now: book.timeline(
                Wanted(from_s, to_s, max(now.now_s, from_s), name, gpu), now.snapshot.nodes
            ),
        )
    return _reply(content)


@router.get("/spools/{job}/events", summary="What happened last", response_model=EventPage)
async def events(
    console: Console,
    world: Spool,
    node: Annotated[str, Query(max_length=600, description="On this node alone.")] = "",
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 200,
) -> Response:
    """The last events of the nodes' histories, the newest first; at most the last thousand of each node."""
    async with told():
        name = name_of(node)
        value = await console.books.ask(world, lambda book, now: book.events(now.snapshot.nodes, name, limit))
    content = json.dumps({"events": value}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return _reply(content)


def _reply(content: bytes) -> Response:
    """Twenty thousand intervals need no model each; a test holds them against it."""
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-cache"})
