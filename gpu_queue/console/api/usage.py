"""What GPUs did over days, and who used them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.api.timeline import Moment, range_of
from gpu_queue.console.history.keeper import CALL_S, Histories, Kept
from gpu_queue.console.history.owners import Owner
from gpu_queue.console.history.store import QUARTERS_KEPT_S
from gpu_queue.console.history.usage import (
    LoadSeries,
    Raster,
    Share,
    day_after,
    day_name,
    days_of,
    load_series,
    raster_of,
)
from gpu_queue.console.keys import name_of
from gpu_queue.console.models.usage import Usage, UsedBy, UsedOn, Users, UseSeries
from gpu_queue.console.problems import Problem
from gpu_queue.console.timeline.book import Book, Wanted
from gpu_queue.console.timeline.shares import USES, Grid, Shares, Spent
from gpu_queue.console.world.looking import Seen
from gpu_queue.spool.paths import parse_claim
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}", tags=["history"])

RANGE_S = 86400.0
RANGE_MAX_S = QUARTERS_KEPT_S + 86400.0
NAMES_MAX = 200


@dataclass(frozen=True)
class Asked:
    """Of which GPUs, and of which time."""

    from_s: float | None
    to_s: float | None
    node: str
    gpu: str

    def range(self, now_s: float) -> tuple[float, float]:
        """From when to when.

        Raises:
            Problem: the end is before the beginning, or they are too far apart.
        """
        return range_of(self.from_s, self.to_s, now_s, RANGE_S, RANGE_MAX_S)

    def wanted(self, from_s: float, to_s: float, now_s: float) -> Wanted:
        """The same for the nodes' histories."""
        of_gpu, _, uuid = self.gpu.rpartition("/")
        return Wanted(from_s, to_s, now_s, name_of(of_gpu or self.node), uuid)

    def has(self, key: str) -> bool:
        """Whether a GPU is meant."""
        if self.gpu:
            return key == self.gpu
        return not self.node or key.rpartition("/")[0] == self.node


def _asked(
    from_: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
    node: Annotated[str, Query(max_length=600, description="This node alone.")] = "",
    gpu: Annotated[str, Query(max_length=600, description="This GPU alone: `<node>/<uuid>`.")] = "",
) -> Asked:
    return Asked(from_, to, node, gpu)


Asking = Annotated[Asked, Depends(_asked)]


@router.get("/usage", summary="Utilisation, power and uses of several GPUs over time")
async def usage(console: Console, world: Spool, asked: Asking) -> Usage:
    """All GPUs, those of a node, or one; without ``from`` and ``to`` the last day, at most 91 days.

    Utilisation and power are what this user's consoles have sampled on this machine; uses are what the nodes have
    written down, also where no console ran.
    """
    histories = console.histories
    async with told():
        now_s = (await world.latest()).now_s
    from_s, to_s = asked.range(now_s)
    kept = histories.of(world.paths)
    async with told():
        raster, loads, since_s, count = await _sampled(histories, kept, asked, from_s, to_s, now_s)
        grid = Grid(raster.first, raster.step, raster.count, from_s, to_s)
        shares = await console.books.ask(
            world, lambda book, seen: book.shares(asked.wanted(from_s, to_s, now_s), seen.snapshot.nodes, grid)
        )
    return Usage(
        from_s=from_s,
        to_s=to_s,
        now_s=now_s,
        step_s=raster.step,
        at_s=[raster.first + place * raster.step for place in range(raster.count)],
        spread="one" if asked.gpu else "gpus",
        mean_percent=loads.mean_percent,
        low_percent=loads.low_percent,
        high_percent=loads.high_percent,
        power_w=loads.power_w,
        energy_j=loads.energy_j,
        sampled_since_s=since_s,
        sampled_gpus=count,
        uses=_uses(shares, now_s),
        seen_gpus=shares.gpus,
        seen_since_s=shares.since_s,
        is_sampled=histories.is_kept,
    )


async def _sampled(
    histories: Histories, kept: Kept, asked: Asked, from_s: float, to_s: float, now_s: float
) -> tuple[Raster, LoadSeries, float | None, int]:
    if not histories.is_kept:
        raster = raster_of(from_s, to_s, 0, now_s)
        return raster, load_series((), raster, is_one=False), None, 0

    def read() -> tuple[Raster, LoadSeries, float | None, int]:
        store = histories.store_of(kept, time.time())
        keys = [key for key in store.gpus() if asked.has(key)]
        raster = raster_of(from_s, to_s, len(keys), now_s)
        loads = store.loads(keys, raster.first, raster.first + raster.step * raster.count, raster.level)
        return raster, load_series(loads, raster, is_one=bool(asked.gpu)), store.first_s(keys), len(keys)

    try:
        return await kept.disk.within(CALL_S, read, "the history")
    except sqlite3.Error as error:
        raise Problem(503, "history_failed", f"the history cannot be read: {error}") from None


def _uses(shares: Shares, now_s: float) -> list[UseSeries]:
    seconds = {use: shares.uses[use].seconds() for use in USES}
    known = [sum(parts) > 0 for parts in zip(*seconds.values(), strict=True)]
    lengths_s = [max(1.0, one) for one in shares.grid.lengths_s(now_s)]  # the last step may only have begun
    return [
        UseSeries(
            use=use,
            gpus=[
                round(value / length_s, 3) if is_known else None
                for value, length_s, is_known in zip(seconds[use], lengths_s, known, strict=True)
            ],
            total_s=round(sum(seconds[use]), 1),
        )
        for use in USES
    ]


@router.get("/usage/users", summary="Who used the GPUs")
async def users(console: Console, world: Spool, asked: Asking) -> Users:
    """GPU-seconds by user, by queue and by day, from the nodes' histories, as far as these reach back.

    Users stand in the tasks' records, queues there or in their scripts: those are read once, and while some are
    ``unread`` the sums are the least that it was.
    """
    async with told():
        now_s = (await world.latest()).now_s
        from_s, to_s = asked.range(now_s)
        days_s = days_of(from_s, min(to_s, now_s))

        def ask(book: Book, seen: Seen) -> tuple[dict[str, Spent], set[str], Snapshot]:
            found = book.spending(asked.wanted(from_s, to_s, now_s), seen.snapshot.nodes, days_s).tries
            return found, book.failed(found), seen.snapshot

        spent, failed, seen = await console.books.ask(world, ask)
        kept = console.histories.of(world.paths)

        def read() -> Users:
            ids = {claim: _task_of(claim) for claim in spent}
            wanted = _weightiest(spent, ids)
            owners = kept.owners.of(seen, wanted)
            return _told(from_s, to_s, _Sums(spent, ids, failed, owners, days_s), len(wanted) - len(owners))

        return await kept.lane.within(CALL_S, read, "the tasks' records")


def _weightiest(spent: Mapping[str, Spent], ids: Mapping[str, str]) -> list[str]:
    """The ids of tasks, those that took most first."""
    sums: dict[str, float] = {}
    for claim, one in spent.items():
        task_id = ids[claim]
        sums[task_id] = sums.get(task_id, 0.0) + one.gpu_s
    return sorted(sums, key=lambda one: -sums[one])


def _task_of(claim: str) -> str:
    parsed = parse_claim(claim)
    return claim if parsed is None else parsed[0].task_id


class _Sums:
    """By user, by queue, by day."""

    def __init__(
        self,
        spent: Mapping[str, Spent],
        ids: Mapping[str, str],
        failed: set[str],
        owners: Mapping[str, Owner],
        days_s: list[float],
    ) -> None:
        self.users: dict[str, Share] = {}
        self.queues: dict[str, Share] = {}
        self.days_s = days_s
        self.days: dict[str, Share] = {day_name(one): Share() for one in days_s}
        names = list(self.days)
        for claim, one in spent.items():
            task_id, is_bad = ids[claim], claim in failed
            for place, gpu_s in one.by_day.items():
                self.days[names[place]].add(task_id, gpu_s, is_bad=is_bad)
            owner = owners.get(task_id)
            if owner is not None:
                self.users.setdefault(owner.user, Share()).add(task_id, one.gpu_s, is_bad=is_bad)
                self.queues.setdefault(owner.queue, Share()).add(task_id, one.gpu_s, is_bad=is_bad)


def _told(from_s: float, to_s: float, sums: _Sums, unread: int) -> Users:
    def most(shares: Mapping[str, Share]) -> list[UsedBy]:
        return [_used_by(*one) for one in sorted(shares.items(), key=lambda one: (-one[1].gpu_s, one[0]))][:NAMES_MAX]

    days = [
        UsedOn(**_used_by(name, share).model_dump(), from_s=day_s, to_s=day_after(day_s))
        for (name, share), day_s in zip(sums.days.items(), sums.days_s, strict=True)
    ][::-1]
    return Users(from_s=from_s, to_s=to_s, users=most(sums.users), queues=most(sums.queues), days=days, unread=unread)


def _used_by(name: str, share: Share) -> UsedBy:
    return UsedBy(
        name=name,
        gpu_s=round(share.gpu_s, 1),
        failed_gpu_s=round(share.failed_gpu_s, 1),
        tries=share.tries,
        tasks=len(share.tasks),
    )
