"""What this console is, what it may, what looking costs."""

from __future__ import annotations

import resource
import socket
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request

from gpu_queue import __version__
from gpu_queue.console.access.deciding import Level
from gpu_queue.console.access.guard import grant_of
from gpu_queue.console.api.shared import PREFIX, Console
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.spools import ConsoleInfo, Cost
from gpu_queue.console.world.world import World
from gpu_queue.console.world.worlds import Worlds
from gpu_queue.spool.desk.people import me

router = APIRouter(prefix=PREFIX, tags=["console"])
_PAGE_BYTES = resource.getpagesize()


@router.get("/console", summary="What this console is and may")
async def console(
    request: Request, console: Console, job: Annotated[str, Query(max_length=300, description="For its cost.")] = ""
) -> ConsoleInfo:
    """With what looking at a queue costs: at the named one, else at all that are looked at, together."""
    settings, level = console.settings, grant_of(request).level
    has_access = level >= (Level.TEXTS if settings.read_only else Level.CHANGE)
    return ConsoleInfo(
        version=__version__,
        queue_root=key_of(console.worlds.queue_root),
        default_job=None if console.worlds.default_job is None else key_of(console.worlds.default_job),
        is_read_only=settings.read_only,
        has_access=has_access,
        needs_token=not has_access,
        log_roots=[text_of(one) for one in settings.log_roots],
        base_path=settings.base_path,
        user=text_of(me()[0]),
        host=text_of(socket.gethostname()),
        history=settings.history,
        start_agents=settings.start_agents and not settings.read_only,
        cost=cost_of(console.worlds, job),
    )


def cost_of(worlds: Worlds, job: str = "") -> Cost | None:
    """What looking costs; None: nothing was looked at yet."""
    looked = [one for one in worlds.open() if one.seen is not None and job in ("", one.job)]
    if not looked:
        return None
    rates = [one.rate.per_s(time.monotonic()) for one in looked]
    newest = max(looked, key=_seen_at_s)
    assert newest.seen is not None
    return Cost(
        listings_per_s=round(sum(listings for listings, _ in rates), 3),
        opens_per_s=round(sum(opens for _, opens in rates), 3),
        streams=sum(one.streams for one in looked),
        resident_bytes=_resident_bytes(),
        refresh_s=round(newest.seen.took_s, 4),
        snapshot_age_s=round(time.monotonic() - newest.seen.at_s, 3),
    )


def _seen_at_s(world: World) -> float:
    return float("-inf") if world.seen is None else world.seen.at_s


def _resident_bytes() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None
