"""``/metrics``: what monitoring is told."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Header, Response

from gpu_queue.console.api.shared import Console, told
from gpu_queue.console.history.ledgers import totals
from gpu_queue.console.metrics import Sight, families_of, render
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.storage import StorageCrowded, StorageSilent
from gpu_queue.console.world.world import Unseen
from gpu_queue.console.world.worlds import NoSuchSpool

router = APIRouter(tags=["metrics"])
LOOK_S = 5.0
SPOOLS_MAX = 64


@router.get(
    "/metrics",
    summary="What monitoring is told",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "The text format of Prometheus."}},
)
async def metrics(console: Console, accept: Annotated[str, Header(max_length=1000)] = "") -> Response:
    """All queues below the queue root, each looked at once for this; see `docs/grafana.json` for a dashboard.

    What nobody reads is absent, and so is a queue that does not answer, but for `gpuq_console_stale_seconds`.
    """
    async with told():
        jobs = [one.job for one in (await console.worlds.listed()).spools[:SPOOLS_MAX]]
    sights = [one for one in await asyncio.gather(*(_sight(console, job) for job in jobs)) if one is not None]
    actions, with_tasks = console.plans.counts(), console.settings.metrics_tasks
    content, media_type = await asyncio.to_thread(
        lambda: render(families_of(sights, actions, with_tasks=with_tasks), accept)
    )
    return Response(content, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


async def _sight(console: ConsoleState, job: str) -> Sight | None:
    try:
        world = await console.worlds.world(job)
    except (NoSuchSpool, StorageSilent, StorageCrowded):
        return None
    spent: dict[tuple[str, str], dict[str, float]] = {}
    try:
        await world.glance(LOOK_S)
        kept = console.histories.of(world.paths)
        spent = await kept.lane.within(LOOK_S, lambda: totals(kept.ledgers.lines("")), "the ledgers")
    except (StorageSilent, StorageCrowded, Unseen, OSError):
        pass  # how old what was seen is, is told; what cannot be read is absent
    cost = world.cost
    return Sight(world.job, world.seen, time.monotonic(), world.streams, dict(cost.listings), cost.opens, spent=spent)
