"""Changes: plans, their runs, their undo; what scripts ask for; what was changed lately."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Request

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
from gpu_queue.console.plans.service import Busy, NoSuchPlan, Plans, Refused, Sight, Unsuitable
from gpu_queue.console.problems import Problem

PlanId = Annotated[str, Path(max_length=40, pattern=r"^[A-Za-z0-9_-]+$")]


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong with a plan, as a reply."""
    try:
        yield
    except NoSuchPlan:
        detail = "there is no such plan; it is kept for ten minutes: make it again"
        raise Problem(404, "no_such_plan", detail) from None
    except Unsuitable as error:
        raise Problem(422, error.code, str(error)) from None
    except Refused as error:
        raise Problem(409, error.code, str(error)) from None
    except Busy as error:
        raise Problem(503, "busy", str(error)) from None


def make_router(
    plans: Plans,
    sight_of: Callable[[str], Sight],
    select: Callable[[Sight, TaskFilter], Awaitable[list[str]]],
    who: Callable[[Request], str],
) -> APIRouter:
    """The routes.

    Args:
        plans: of this console.
        sight_of: a spool by its name; raises Problem where there is none.
        select: keys of the tasks that a filter means now.
        who: asks, for people.
    """
    router = APIRouter(prefix="/api/v1/spools/{job}", tags=["plans"])

    @router.post("/plans", status_code=201)
    async def make_plan(job: str, wish: PlanRequest) -> Plan:
        """Say what a change will do; nothing is changed."""
        sight = sight_of(job)
        with told():
            chosen = wish.tasks if wish.filter is None else await select(sight, wish.filter)
            return await plans.make(sight, wish, chosen)

    @router.get("/plans/{plan}")
    async def get_plan(job: str, plan: PlanId) -> Plan:
        """A plan, and what came of it so far."""
        with told():
            return plans.get(job, plan)

    @router.post("/plans/{plan}/run")
    async def run_plan(job: str, plan: PlanId, request: Request, wish: RunRequest | None = None) -> PlanOutcome:
        """Do it, once: who asks again is told what came of it.  What has moved on since is not touched."""
        said = wish or RunRequest()
        with told():
            return await plans.run(sight_of(job), plan, said.typed, said.wait_s, who(request))

    @router.post("/plans/{plan}/undo")
    async def undo_plan(job: str, plan: PlanId, request: Request, wish: RunRequest | None = None) -> PlanOutcome:
        """Undo it, once, where nobody has changed the same since."""
        with told():
            return await plans.undo(sight_of(job), plan, (wish or RunRequest()).wait_s, who(request))

    @router.post("/explain")
    async def explain(job: str, wish: ExplainRequest, request: Request) -> PlanOutcome:
        """Ask the agents why tasks wait, by one command for all; answers also come by the stream."""
        sight = sight_of(job)
        with told():
            plan = await plans.make(sight, PlanRequest(action="explain", tasks=wish.tasks), wish.tasks)
            return await plans.run(sight, plan.id, "", wish.wait_s, who(request))

    @router.post("/read")
    async def read(job: str, wish: ReadRequest) -> ReadReply:
        """What scripts ask for, each thing with the line that says so; nothing is changed."""
        with told():
            return ReadReply(scripts=await plans.read(sight_of(job), wish.scripts, wish.options))

    @router.get("/actions")
    async def actions(job: str) -> list[Action]:
        """The last 200 changes that were made through this console, newest first."""
        return plans.actions(sight_of(job).job)

    return router
