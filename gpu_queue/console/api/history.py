"""Samples of GPUs over time, and what was spent."""

from __future__ import annotations

import sqlite3
import time
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.api.timeline import Moment, range_of
from gpu_queue.console.history.keeper import CALL_S
from gpu_queue.console.history.ledgers import first_day, spent
from gpu_queue.console.history.minutes import MINUTE_S, QUANTITIES, on_grid, steps
from gpu_queue.console.history.store import MINUTES_KEPT_S, QUARTER_S
from gpu_queue.console.models.history import History, Ledger, Series, Spent
from gpu_queue.console.problems import Problem

router = APIRouter(prefix=PREFIX, tags=["history"])

POINTS_MAX = 2000
RANGE_S = 3600.0
RANGE_MAX_S = 100 * 86400.0


@router.get("/spools/{job}/history", summary="Utilisation, memory, power and temperature of a GPU over time")
async def history(
    console: Console,
    world: Spool,
    gpu: Annotated[str, Query(max_length=600, description="`<node>/<uuid>`.", examples=["gpu1-0f3a21aa/GPU-…"])],
    from_: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
    step: Annotated[float | None, Query(ge=1, le=1e7, description="Seconds; none: as fine as a picture is.")] = None,
) -> History:
    """Least, mean and most of each step; at most 2,000 steps.  Minutes are kept for a week, quarters for 90 days.

    Only what this user's consoles have seen on this machine is there: without one running, nothing is.
    """
    histories = console.histories
    if not histories.is_kept:
        raise Problem(404, "no_history")
    now_s = time.time()
    from_s, to_s = range_of(from_, to, now_s, RANGE_S, RANGE_MAX_S)
    is_old = from_s < now_s - MINUTES_KEPT_S or (step or 0.0) >= 4 * QUARTER_S
    grain_s = QUARTER_S if is_old else MINUTE_S
    first, step_s, count = steps(from_s, to_s, step, grain_s, POINTS_MAX)
    kept = histories.of(world.paths)

    def read() -> tuple[list[tuple[int, tuple[float | None, ...]]], float | None]:
        store = histories.store_of(kept, now_s)
        return store.read(gpu, first, step_s, count, quarters=is_old), store.since_s(gpu)

    async with told():
        try:
            rows, since_s = await kept.disk.within(CALL_S, read, "the history")
        except sqlite3.Error as error:
            raise Problem(503, "history_failed", params={"problem": str(error)}) from None
    columns = list(on_grid(rows, first, step_s, count))
    return History(
        gpu=gpu,
        step_s=step_s,
        at_s=[first + place * step_s for place in range(count)],
        series=[
            Series(quantity=quantity, min=columns[3 * place], mean=columns[3 * place + 1], max=columns[3 * place + 2])
            for place, quantity in enumerate(QUANTITIES)
        ],
        sampled_since_s=since_s,
    )


@router.get("/spools/{job}/ledger", summary="What GPUs did, and what it cost")
async def ledger(
    console: Console,
    world: Spool,
    days: Annotated[int, Query(ge=1, le=400, description="So many, today among them.")] = 7,
    by: Literal["day", "node", "gpu"] = "day",
) -> Ledger:
    """Seconds and joules of tasks, of the keep-alive and of neither, by the nodes' local days.

    Joules are a lower bound where a device did not tell them all the time.
    """
    kept = console.histories.of(world.paths)
    since = first_day(datetime.now().astimezone().date(), days)
    async with told():
        rows = await kept.lane.within(CALL_S, lambda: spent(kept.ledgers.lines(since), by), "the ledgers")
    return Ledger(days=days, by=by, rows=[Spent.model_validate(row) for row in rows])
