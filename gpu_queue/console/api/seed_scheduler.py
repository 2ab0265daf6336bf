"""The paths of the user's own document about what waits and runs: ``/api/scheduler/…``.

There is no scheduler process here: ``pid`` is a number that means a task, no process id of the operating system.
"""

from __future__ import annotations

from typing import Annotated, Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gpu_queue.console.api.plans import told, who
from gpu_queue.console.api.shared import Console
from gpu_queue.console.keys import key_of, name_of, text_of
from gpu_queue.console.logs.bindings import bound_ids
from gpu_queue.console.models.plans import PlanRequest
from gpu_queue.console.models.seed import PID, Scheduler, SchedulerState, Stopped
from gpu_queue.console.plans.submitting import default_gpus
from gpu_queue.console.problems import Problem
from gpu_queue.console.schedulers.grouping import PIDS, called, pid_of, schedulers, wanted
from gpu_queue.console.schedulers.origins import Origins
from gpu_queue.console.world.world import World
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix="/api/scheduler", tags=["scheduler"])
READ_S = 15.0
STOPS_S = 30.0
"""So long a stop is waited for; it goes on all the same."""
NAMED_MAX = 20
LEFT_OUT = "X-Left-Out"
_origins: WeakKeyDictionary[World, Origins] = WeakKeyDictionary()


async def world_of(
    console: Console,
    job: Annotated[
        str | None, Query(max_length=300, description="The queue; may be missing where one is meant.")
    ] = None,
) -> World:
    """The queue that a request of the document means: the one it names, else the console's, else the only one."""
    async with told():
        if job is not None:
            return await console.worlds.world(job)
        spools = await console.worlds.listed()
        if spools.default is not None:
            return await console.worlds.world(spools.default)
    names = [text_of(one.job, 100) for one in spools.spools[:NAMED_MAX]]
    more = " …" if len(spools.spools) > NAMED_MAX else ""
    if not names:
        raise Problem(404, "no_spool", "there is no queue yet; the first submission makes one")
    detail = f"which queue? add ?job=: {', '.join(names)}{more}"
    raise Problem(409, "which_spool", detail, params={"spools": names})


Meant = Annotated[World, Depends(world_of)]


async def _schedulers(world: World, response: Response) -> list[Scheduler]:
    async with told():
        seen = (await world.latest()).snapshot
        origins = _origins.setdefault(world, Origins(world.paths))
        tasks = wanted(seen)
        known = await world.call(lambda: origins.of(tasks, default_gpus(seen)), READ_S)
        bound = await world.logs.within(READ_S, lambda: bound_ids(world.paths), "bindings")
    left_out = len(seen.waiting) + len(seen.running) - len(known)
    if left_out > 0:
        response.headers[LEFT_OUT] = str(left_out)
    return schedulers(seen, known, bound)


@router.get("/running", summary="What waits and runs, by configuration and queue")
async def running(world: Meant, response: Response) -> list[Scheduler]:
    """Tasks of no configuration come last, with ``mode: null``.

    At most 1,000 processes; the header ``X-Left-Out`` tells how many others there are.
    """
    return await _schedulers(world, response)


@router.get("/{mode}/state", summary="Whether something of a mode waits or runs")
async def state(world: Meant, mode: Literal["single", "multi"], response: Response) -> SchedulerState:
    """``single``: of ``command_gpu.txt`` and its like; ``multi``: of ``command_gpus.txt`` and its like."""
    loads = [one for one in await _schedulers(world, response) if one.mode == mode]
    return SchedulerState(running=bool(loads), loads=loads)


@router.post("/stop/{pid}", summary="Stop a process: a task")
async def stop(
    world: Meant,
    console: Console,
    request: Request,
    pid: Annotated[str, Path(max_length=1000, description=f"{PID} Or the full id.", examples=["8050838"])],
) -> Stopped:
    """It is stopped if it runs, and cancelled if it waits."""
    async with told():
        seen = await world.fresh(everything=True)
        key = the_one(seen, pid)

        async def chosen(_: Snapshot) -> list[str]:
            return [key]

        plan = await console.plans.make(world, PlanRequest(action="stop", tasks=[key]), chosen)
        found = plan.tasks[0] if plan.tasks else None
        number = _number(key)
        if found is None:
            raise Problem(404, "no_such_process", f"{text_of(pid, 200)}: no task is called so")
        if not plan.can_run:
            return Stopped(pid=number, id=key, what="gone", where=found.state, reason=f"it has ended: {found.state}")
        outcome = await console.plans.run(world, plan.id, "", STOPS_S, who(request))
    one = outcome.outcomes[0] if outcome.outcomes else None
    if one is None:
        reason = outcome.problem or f"its node has not answered for {STOPS_S:.0f} s; it is still being asked"
        return Stopped(pid=number, id=key, what="unknown", reason=reason)
    return Stopped(pid=number, id=key, what=one.what, where=one.where, reason=one.reason)


def _number(key: str) -> int | None:
    name = name_of(key)
    try:
        return pid_of(name)
    except ValueError:
        return None  # a file that was dropped by hand


def the_one(seen: Snapshot, pid: str) -> str:
    """The key of the task that is meant: among what waits and runs first.

    Raises:
        Problem: there is none, or there are several.
    """
    if not (pid.isascii() and pid.isdecimal()):
        return pid
    number = int(pid[:20])
    if number >= PIDS:
        raise Problem(404, "no_such_process", f"{pid}: this queue knows no such load; a task's number is less")
    found = sorted({key_of(one.task_id or one.name) for one in called(seen, number)})
    if len(found) > 1:
        detail = (
            f"{pid} fits {len(found)} tasks, and nothing was done; name one of them by its id: {', '.join(found)}"
        )
        raise Problem(409, "which_process", detail, params={"ids": found[:NAMED_MAX]})
    if found:
        return found[0]
    digits = f"-{number:06x}-"
    ended = [one for tasks in (seen.failed, seen.done) for one in tasks.ids_in_order() if one[18:26] == digits]
    if not ended:
        raise Problem(404, "no_such_process", f"{pid}: no task of this queue has the digits {number:06x}")
    return max(ended)
