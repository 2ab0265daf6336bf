"""Batches: the tasks of one command file, or of one group of experiment files, with what they took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.batches.books import Batches, NoSuchBatch, task_id_of
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.batches import BatchDetail, BatchList, BatchPlace
from gpu_queue.console.problems import Problem
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.looking import Seen
from gpu_queue.console.world.world import World
from gpu_queue.errors import SpoolError
from gpu_queue.spool.paths import safe_name

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}/batches", tags=["batches"])
T = TypeVar("T")

Key = Annotated[str, Path(max_length=100, description="As the list of batches has it.", examples=["3f9a1c0b7d42"])]


async def _ask(console: ConsoleState, world: World, question: Callable[[Batches, Seen], T]) -> T:
    async with told():
        try:
            return await console.batches.ask(world, question)
        except NoSuchBatch as missing:
            detail = f"no task of this queue is of a batch {text_of(str(missing), 100)}; they may have been removed"
            raise Problem(404, "no_such_batch", detail) from None
        except SpoolError as error:
            raise Problem(503, "storage_failed", text_of(str(error))) from error


@router.get("", summary="The batches of a queue")
async def batches(console: Console, world: Spool) -> BatchList:
    """Command files and groups of experiment files of which there are tasks, the one that was loaded last first.

    That stands in the tasks' records, which are read once; while some are ``unread`` there may be more batches.
    """
    return await _ask(console, world, lambda known, seen: known.all(seen))


@router.get("/of", summary="The batch of a task, and its place there")
async def of(
    console: Console, world: Spool, task: Annotated[str, Query(max_length=1000, description="Its key.")]
) -> BatchPlace:
    """Nothing where it is of none."""
    return await _ask(console, world, lambda known, seen: known.place(seen, task_id_of(task)))


@router.get("/{key}", summary="A batch in full")
async def batch(console: Console, world: Spool, key: Key) -> BatchDetail:
    """What ``gpu-queue report`` tells, a row a run, and when all will have ended as ``gpu-queue run`` reckons it."""
    return await _ask(console, world, lambda known, seen: known.detail(seen, key))


@router.get("/{key}/csv", summary="The same as a table", response_class=Response)
async def csv(console: Console, world: Spool, key: Key) -> Response:
    """What ``gpu-queue report --csv`` gives."""
    name, content = await _ask(console, world, lambda known, seen: known.csv(seen, key))
    file = quote(safe_name(name.encode("utf-8", "surrogateescape")) or "batch")
    headers = {"Content-Disposition": f'attachment; filename="{file}.csv"', "Cache-Control": "no-cache"}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
