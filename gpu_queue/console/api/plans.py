"""Changes: plans, their runs, their undo; what scripts ask for; what was changed lately."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Request

from gpu_queue.console.api import shared
from gpu_queue.console.api.shared import PREFIX, Console, Spool
from gpu_queue.console.models.plans import (
    ExplainRequest,
    Plan,
    PlanOutcome,
    PlanRequest,
    ReadReply,
    ReadRequest,
    RunRequest,
)
from gpu_queue.console.models.spools import Action
from gpu_queue.console.models.tasks import TaskFilter
from gpu_queue.console.plans.service import Busy, NoSuchPlan, Refused, Unsuitable
from gpu_queue.console.problems import Problem
from gpu_queue.console.world.world import World
from gpu_queue.spool.desk.people import me
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}", tags=["plans"])
SELECT_S = 30.0
"""So long records are read to find all that a filter means."""
CALL_S = 15.0

PlanId = Annotated[str, Path(max_length=40, pattern=r"^[A-Za-z0-9_-]+$", description="As `POST …/plans` told it.")]


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """What goes wrong with a plan, and faults of the storage, as replies."""
    try:
        async with shared.told():
            yield
    except NoSuchPlan:
        raise Problem(404, "no_such_plan") from None
    except Unsuitable as error:
        raise Problem(422, error.code, params=error.params) from None
    except Busy as error:
        raise Problem(503, error.code, params=error.params) from None
    except Refused as error:
        raise Problem(409, error.code, params=error.params) from None


def who(request: Request) -> str:
    """Who asks, for people: all that a console does is done by its user, and this is from where."""
    user = me()[0]
    client = request.client
    return f"{user} ({client.host})" if client is not None and client.host else user


async def select(world: World, seen: Snapshot, wanted: TaskFilter) -> list[str]:
    """Keys of all tasks that a filter means; records are read until all of them are known.

    Raises:
        Problem: there are too many of them to be read.
    """
    deadline = time.monotonic() + SELECT_S
    looked_at = -1
    while True:
        chosen = await world.call(lambda: world.lists.chosen(seen, wanted, "run"), CALL_S)
        if not chosen.is_partial:
            return await world.call(lambda: world.lists.keys(seen, wanted), CALL_S)
        if chosen.looked_at <= looked_at or time.monotonic() > deadline:
            raise Problem(422, "filter_unread", params={"looked_at": chosen.looked_at})
        looked_at = chosen.looked_at


@router.post("/plans", status_code=201, summary="Say what a change will do")
async def make_plan(world: Spool, console: Console, wish: PlanRequest) -> Plan:
    """Nothing is changed.  The plan is kept for ten minutes, with the state that each task was in."""

    async def chosen(seen: Snapshot) -> list[str]:
        return wish.tasks if wish.filter is None else await select(world, seen, wish.filter)

    async with told():
        return await console.plans.make(world, wish, chosen)


@router.get("/plans/{plan}", summary="A plan, and what came of it")
async def get_plan(world: Spool, console: Console, plan: PlanId) -> Plan:
    """With the outcome of its run and of its undo, as far as these are."""
    async with told():
        return console.plans.get(world.job, plan)


@router.post("/plans/{plan}/run", summary="Do what a plan says")
async def run_plan(
    world: Spool, console: Console, plan: PlanId, request: Request, wish: RunRequest | None = None
) -> PlanOutcome:
    """Once: who asks again is told what came of it.  What has moved on since the plan was made is not touched."""
    said = wish or RunRequest()
    async with told():
        return await console.plans.run(world, plan, said.typed, said.wait_s, who(request))


@router.post("/plans/{plan}/undo", summary="Undo what a plan did")
async def undo_plan(
    world: Spool, console: Console, plan: PlanId, request: Request, wish: RunRequest | None = None
) -> PlanOutcome:
    """Once, and only where nobody has changed the same since."""
    async with told():
        return await console.plans.undo(world, plan, (wish or RunRequest()).wait_s, who(request))


@router.post("/explain", summary="Ask the agents why tasks wait")
async def explain(world: Spool, console: Console, wish: ExplainRequest, request: Request) -> PlanOutcome:
    """By one command for all of them; answers also come by the stream, and the outcome is that of a plan."""

    async def chosen(_: Snapshot) -> list[str]:
        return wish.tasks

    async with told():
        plan = await console.plans.make(world, PlanRequest(action="explain", tasks=wish.tasks), chosen)
        return await console.plans.run(world, plan.id, "", wish.wait_s, who(request))


@router.post("/read", summary="What scripts ask for")
async def read(world: Spool, console: Console, wish: ReadRequest) -> ReadReply:
    """Each thing with the line that says so, and whether it could start now; nothing is changed."""
    async with told():
        return ReadReply(scripts=await console.plans.read(world, wish.scripts, wish.options))


@router.get("/actions", summary="What was changed lately")
async def actions(world: Spool, console: Console) -> list[Action]:
    """The last 200 changes that were made through this console since it started, newest first."""
    return console.plans.actions(world.job, world.paths.root)
