"""Tasks: lists of them, and one in full."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from gpu_queue.console.api.shared import PREFIX, Spool, told
from gpu_queue.console.keys import name_of, text_of
from gpu_queue.console.lists.choosing import AnyTask
from gpu_queue.console.lists.detail import detail_of
from gpu_queue.console.lists.groups import By
from gpu_queue.console.logs.bindings import BOUND, binding_of
from gpu_queue.console.models.tasks import (
    ENDED_MAX_S,
    LIMIT_MAX,
    GroupPage,
    LogSource,
    Sort,
    StateFilter,
    TaskDetail,
    TaskFilter,
    TaskPage,
)
from gpu_queue.console.problems import Problem
from gpu_queue.console.world.world import World
from gpu_queue.spool.snapshot.view import Snapshot

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}", tags=["tasks"])
READ_S = 15.0

Key = Annotated[
    str,
    Path(
        max_length=1000,
        description="The id of a task, or its key in a list.",
        examples=["20261123T014415123-7ad896-sft.sh"],
    ),
]


def _wanted(
    state: StateFilter = "now",
    q: Annotated[str, Query(max_length=500, description="Words, and `queue: node: is: why: user: ended:`.")] = "",
    queue: Annotated[str, Query(max_length=200)] = "",
    node: Annotated[str, Query(max_length=300)] = "",
    user: Annotated[str, Query(max_length=200)] = "",
    why: Annotated[str, Query(max_length=100, description="The code of why it waits, or how it failed.")] = "",
    ended_within_s: Annotated[int, Query(ge=0, le=ENDED_MAX_S, description="0: whenever it ended.")] = 0,
    experiment: Annotated[str, Query(max_length=500)] = "",
    batch: Annotated[str, Query(max_length=5000, description="A job file, as `S/groups?by=batch` names it.")] = "",
    without: Annotated[
        Literal["", "queue", "batch", "experiment"], Query(description="Those that are of none of these.")
    ] = "",
) -> TaskFilter:
    return TaskFilter(
        state=state,
        q=q,
        queue=queue,
        node=node,
        user=user,
        why=why,
        ended_within_s=ended_within_s,
        experiment=experiment,
        batch=batch,
        without=without,
    )


Wanted = Annotated[TaskFilter, Depends(_wanted)]


@router.get("/tasks", summary="A window of a list of tasks")
async def tasks(
    world: Spool,
    wanted: Wanted,
    sort: Sort = "run",
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    around: Annotated[str, Query(max_length=1000, description="A key: the window that holds it.")] = "",
) -> TaskPage:
    """What waits comes in run order, what runs by its start, what ended by its end as far as that is known."""
    async with told():
        seen = (await world.latest()).snapshot
        return await world.call(lambda: world.lists.page(seen, wanted, sort, offset, limit, around), READ_S)


@router.get("/groups", summary="Tasks by queue, job file or experiment")
async def groups(
    world: Spool,
    wanted: Wanted,
    by: By = "queue",
    state: StateFilter = "all",
) -> GroupPage:
    """How many of each group wait, run, are done and have failed.

    Records are read once each, for a second at a request: ``unread`` tells how many are left.
    """
    meant = wanted.model_copy(update={"state": state})
    async with told():
        seen = (await world.latest()).snapshot
        return await world.call(lambda: world.lists.groups(seen, meant, by), READ_S)


async def find_task(world: World, key: str) -> AnyTask:
    """The task that an address names.

    Raises:
        Problem: there is none.
    """
    try:
        name = name_of(key)
    except ValueError:
        name = key
    async with told():
        found = (await world.latest()).snapshot.find(name)
        if found is None:
            found = (await world.complete()).find(name)
    if found is None:
        raise Problem(404, "no_such_task", params={"task": text_of(key, 150)})
    return found


@router.get("/tasks/{key}", summary="A task in full")
async def task(world: Spool, key: Key) -> TaskDetail:
    """Its needs and the lines that say them, why it waits, its tries, its logs, its record."""
    found = await find_task(world, key)
    async with told():
        seen = (await world.latest()).snapshot
        return await world.call(lambda: _detail(world, seen, found), READ_S)


def _detail(world: World, seen: Snapshot, found: AnyTask) -> TaskDetail:
    detail = detail_of(world.files, seen, found)
    bound = None if found.task_id is None else binding_of(world.paths, found.task_id)
    if bound is None:
        return detail
    source = LogSource(source=BOUND, kind="bound", title=text_of(bound.path), size_bytes=None)
    return detail.model_copy(update={"logs": [*detail.logs, source]})
