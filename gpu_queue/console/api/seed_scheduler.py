"""The paths of the user's own document about what waits and runs: ``/api/scheduler/…``.

There is no scheduler process here: ``pid`` is a number that means a task, or a load, which is all tasks that were
made of one configuration; it is no process id of the operating system.
"""

from __future__ import annotations

from typing import Annotated, Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gpu_queue.console.api.jobfiles import agents_of, on_shelf, plan_load, which_of
from gpu_queue.console.api.jobfiles import told as jobfiles_told
from gpu_queue.console.api.loads import STOPS_S, sources_of, stop_loads
from gpu_queue.console.api.plans import told, who
from gpu_queue.console.api.shared import PREFIX, Console
from gpu_queue.console.jobfiles.loading import UNFINISHED, Wish
from gpu_queue.console.jobfiles.shelves import shelf_of
from gpu_queue.console.keys import key_of, name_of, text_of
from gpu_queue.console.logs.bindings import bound_ids
from gpu_queue.console.models.plans import PlanOutcome, PlanRequest
from gpu_queue.console.models.seed import PID, LoadsStopped, Scheduler, SchedulerState, Started, Stopped
from gpu_queue.console.plans.submitting import default_gpus
from gpu_queue.console.problems import Problem
from gpu_queue.console.schedulers.grouping import PIDS, called, load_pid, pid_of, schedulers, wanted
from gpu_queue.console.schedulers.origins import Origins
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.spool.jobfiles import INDEX_MAX
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix="/api/scheduler", tags=["scheduler"])
READ_S = 15.0
IDS_MAX = 200
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
        raise Problem(404, "no_spool")
    detail = f"which queue? add ?job=: {', '.join(names)}{more}"
    raise Problem(409, "which_spool", detail, params={"spools": names})


Meant = Annotated[World, Depends(world_of)]
Mode = Annotated[
    Literal["single", "multi"],
    Path(description="`single`: of `command_gpu.txt` and its like; `multi`: of `command_gpus.txt` and its like."),
]


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
async def state(world: Meant, mode: Mode, response: Response) -> SchedulerState:
    """What of each load waits or runs, as in ``running``."""
    loads = [one for one in await _schedulers(world, response) if one.mode == mode]
    return SchedulerState(running=bool(loads), loads=loads)


@router.post("/{mode}/start", summary="Start a configuration: load it")
async def start(
    world: Meant,
    console: Console,
    request: Request,
    mode: Mode,
    config_index: Annotated[int, Query(ge=0, le=INDEX_MAX, description="From 0.")] = 0,
    again: Annotated[
        bool, Query(description="Also while it waits or runs, and also what was done or has failed.")
    ] = False,
    work_dir: Annotated[str | None, Query(max_length=4096, description="Where its commands run.")] = None,
) -> Started:
    """Its tasks are queued; ``agents: 0`` says that they wait, for only tasks start.

    With ``--start-agents`` an agent is started on the console's machine, where none serves the queue; then it is no
    fault that tasks of an earlier load wait.  Else 409 while some of them wait or run, unless ``again``.
    """
    which = which_of(mode, config_index)
    plan = await plan_load(world, console, Wish(which, again, work_dir))
    load = plan.load
    assert load is not None
    left = sum(load.counts.get(news, 0) for news in UNFINISHED) + load.taken_count
    if left and not again and not load.starts_agent:
        detail = (
            f"{load.file}: {left} of its tasks wait or run; stop it first, or add again=true, which queues once more "
            f"what runs, is done or has failed; POST {PREFIX}/spools/{{job}}/jobfiles/{mode}/{config_index}/load "
            "queues only what is new"
        )
        raise Problem(409, "unfinished", detail, params={"pid": load.pid, "counts": load.counts})
    outcome: PlanOutcome | None = None
    if plan.can_run:
        async with jobfiles_told(which):
            outcome = await console.plans.run(world, plan.id, "", STOPS_S, who(request))
        if outcome.problem:
            params = {"queued": len(outcome.submitted), "problem": outcome.problem.text.en}
            raise Problem(409, "not_loaded", params=params)
    async with told():
        seen = (await world.latest()).snapshot
    agent = "" if outcome is None or outcome.agent is None else outcome.agent.text
    if outcome is not None and outcome.state == "running":
        agent = f"it goes on: it has not ended within {STOPS_S:.0f} s"
    return Started(
        pid=load.pid,
        load=f"{load.pid - PIDS:06x}",
        mode=mode,
        config_index=config_index,
        file=load.file,
        tasks=plan.counts.submit,
        news=load.counts,
        agents=agents_of(seen),
        agent=agent,
        ids=[] if outcome is None else outcome.submitted[:IDS_MAX],
    )


@router.post("/{mode}/stop", summary="Stop a configuration, or all of a mode")
async def stop_mode(
    world: Meant,
    console: Console,
    request: Request,
    mode: Mode,
    config_index: Annotated[
        int | None, Query(ge=0, le=INDEX_MAX, description="From 0; none: all configurations of the mode.")
    ] = None,
) -> LoadsStopped:
    """What waits is cancelled, what runs is stopped.

    An agent that this console has started (``--start-agents``) ends after it, if nothing else waits or runs.
    """
    if config_index is None:
        return await stop_loads(world, console, request, lambda _, source: source.mode == mode)
    which = which_of(mode, config_index)
    path = shelf_of(world, console.plans.home).path_of(which)
    async with jobfiles_told():
        seen = await world.fresh(everything=True)
        there = await sources_of(world, seen, lambda _, source: source.file == path)
    if not there:  # a configuration that never was is told as that
        await on_shelf(world, console, lambda shelf: shelf.text(which), which)
    return await stop_loads(world, console, request, lambda _, source: source.file == path)


@router.post("/stop/{pid}", summary="Stop a process: a task, or a load")
async def stop(
    world: Meant,
    console: Console,
    request: Request,
    pid: Annotated[str, Path(max_length=1000, description=f"{PID} Or the full id.", examples=["8050838"])],
) -> Stopped:
    """A task is stopped if it runs, and cancelled if it waits; a load: all of it."""
    if pid.isascii() and pid.isdecimal() and int(pid[:20]) >= PIDS:
        return await _stop_load(world, console, request, int(pid[:20]))
    async with told():
        seen = await world.fresh(everything=True)
        key = the_one(seen, pid)

        async def chosen(_: Snapshot) -> list[str]:
            return [key]

        plan = await console.plans.make(world, PlanRequest(action="stop", tasks=[key]), chosen)
        found = plan.tasks[0] if plan.tasks else None
        number = _number(key)
        if found is None:
            raise Problem(404, "no_such_process", params={"pid": text_of(pid, 200)})
        if not plan.can_run:
            return Stopped(pid=number, id=key, what="gone", where=found.state, reason=f"it has ended: {found.state}")
        outcome = await console.plans.run(world, plan.id, "", STOPS_S, who(request))
    one = outcome.outcomes[0] if outcome.outcomes else None
    if one is None:
        asked = f"its node has not answered for {STOPS_S:.0f} s; it is still being asked"
        reason = asked if outcome.problem is None else outcome.problem.text.en
        return Stopped(pid=number, id=key, what="unknown", reason=reason)
    reason = "" if one.why is None else one.why.text.en
    return Stopped(pid=number, id=key, what=one.what, where=one.where, reason=reason)


async def _stop_load(world: World, console: ConsoleState, request: Request, pid: int) -> Stopped:
    """All tasks of a load.

    Raises:
        Problem: there is none, or there are several of that number.
    """
    async with jobfiles_told():
        seen = await world.fresh(everything=True)
        there = await sources_of(world, seen, lambda _, source: load_pid(source.file) == pid)
    names = sorted({source.file for source in there.values()})
    if not names:
        raise Problem(404, "no_such_process", f"{pid}: nothing of a load of that number waits or runs")
    if len(names) > 1:
        files = [text_of(one) for one in names[:NAMED_MAX]]
        detail = (
            f"{pid} fits {len(names)} files, and nothing was done; stop one by its mode and index: {', '.join(files)}"
        )
        raise Problem(409, "which_process", detail, params={"files": files})
    stopped = await stop_loads(world, console, request, lambda _, source: source.file == names[0])
    worst = next((what for what in ("unknown", "refused", "gone") if stopped.counts.get(what)), "done")
    told_of = {
        "pid": pid,
        "id": f"{pid - PIDS:06x}",
        "what": worst,
        "where": "failed",
        "reason": stopped.problem,
        "tasks": sum(one.tasks for one in stopped.loads),
        "counts": stopped.counts,
        "agent": stopped.agent,
    }
    return Stopped.model_validate(told_of)


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
        raise Problem(
            404,
            "no_such_process",
            f"{pid}: this queue knows no such load; a task's number is less",
            params={"pid": pid},
        )
    found = sorted({key_of(one.task_id or one.name) for one in called(seen, number)})
    if len(found) > 1:
        detail = (
            f"{pid} fits {len(found)} tasks, and nothing was done; name one of them by its id: {', '.join(found)}"
        )
        raise Problem(
            409, "which_process", detail, params={"pid": pid, "count": len(found), "ids": found[:NAMED_MAX]}
        )
    if found:
        return found[0]
    digits = f"-{number:06x}-"
    ended = [one for tasks in (seen.failed, seen.done) for one in tasks.ids_in_order() if one[18:26] == digits]
    if not ended:
        raise Problem(
            404, "no_such_process", f"{pid}: no task of this queue has the digits {number:06x}", params={"pid": pid}
        )
    return max(ended)
