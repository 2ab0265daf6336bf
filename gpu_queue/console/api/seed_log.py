"""The paths of the user's own document about logs: ``/api/log/…``.  Offsets are bytes of the file."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query

from gpu_queue.console.api.jobfiles import index_of, which_of
from gpu_queue.console.api.jobfiles import told as jobfiles_told
from gpu_queue.console.api.loads import sources_of
from gpu_queue.console.api.logs import READ_S, find_log, log_roots, read_log
from gpu_queue.console.api.seed_scheduler import Meant, the_one
from gpu_queue.console.api.shared import Console, told
from gpu_queue.console.api.tasks import find_task
from gpu_queue.console.jobfiles.boundlogs import BoundLog
from gpu_queue.console.jobfiles.checking import tree_of
from gpu_queue.console.jobfiles.folders import CannotUse
from gpu_queue.console.jobfiles.members import Source
from gpu_queue.console.jobfiles.shelves import shelf_of
from gpu_queue.console.keys import text_of
from gpu_queue.console.logs.bindings import (
    BINDINGS_MAX,
    BOUND,
    Bound,
    all_bindings,
    bind,
    binding_of,
    facts_of,
    place_for,
)
from gpu_queue.console.logs.opening import CannotRead, Opened
from gpu_queue.console.logs.sources import LATEST, Place
from gpu_queue.console.models.seed import PID, Binding, BindRequest, LogContent
from gpu_queue.console.problems import Problem
from gpu_queue.console.schedulers.grouping import pid_of
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.spool.jobfiles import JobFile

router = APIRouter(prefix="/api/log", tags=["log"])
LIMIT_MAX = 1 << 20
FAR = 1 << 60
TAIL_MAX = 4
"""Bytes of a character, at most."""

Offset = Annotated[int, Query(ge=-FAR, le=FAR, description="Where to begin; less than 0: so far before the end.")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Bytes, at most.")]


async def _task(world: World, pid: str) -> tuple[str, str | None]:
    """The key of a task, and its id."""
    async with told():
        key = the_one((await world.latest()).snapshot, pid)
    found = await find_task(world, key)
    return key, found.task_id


def _binding(bound: Bound, roots: list[str]) -> Binding:
    facts = facts_of(bound.path, roots)
    return Binding(
        pid=pid_of(bound.task_id) or 0,
        id=bound.task_id,
        path=text_of(bound.path, 4096),
        exists=facts.size is not None,
        size=facts.size,
        modified_at=facts.modified_s,
        problem=text_of(facts.problem),
    )


@router.post("/bind", summary="Bind a file to a process")
async def bind_log(world: Meant, console: Console, wish: BindRequest) -> Binding:
    """It must be there, in the queue's ``logs/`` or in a folder of ``--log-root``; an earlier one is replaced."""
    if wish.pid is None:
        return await _bind_place(world, console, wish)
    key, task_id = await _task(world, str(wish.pid))
    if task_id is None:
        raise Problem(422, "no_id", params={"task": text_of(key, 200)})
    bound, roots = Bound(task_id, wish.path), log_roots(world, console)

    def work() -> Binding:
        found = _binding(bound, roots)
        if found.exists:
            bind(world.paths, bound)
        return found

    async with told():
        made = await world.logs.within(READ_S, work, "a binding")
    if not made.exists:
        raise Problem(422, "cannot_read.bound", made.problem)
    return made


async def _bind_place(world: World, console: ConsoleState, wish: BindRequest) -> Binding:
    """Bind a file to a place of a configuration: to what of it waits or runs, and to what is loaded later."""
    assert wish.mode is not None
    assert wish.config_index is not None
    assert wish.position is not None
    which = which_of(wish.mode, wish.config_index)
    shelf, roots = shelf_of(world, console.plans.home), log_roots(world, console)
    bound = BoundLog("" if wish.queue is None else str(wish.queue), wish.position, wish.path)

    def look() -> tuple[Binding, str]:
        found = shelf.parsed(which, shelf.text(which).content, shelf.home)
        tree = tree_of(found, found.tasks)
        at = next((task for one in tree for task in one.tasks if (one.queue or "", task.position) == place), None)
        if at is None:
            raise CannotUse("no_such_place", f"queue {bound.queue or '-'} has no task at position {bound.position}")
        return _place_binding(which, bound, roots), at.title

    place = bound.queue, bound.position
    async with jobfiles_told(which):
        made, title = await world.jobfiles.within(READ_S, look, "a job file")
    if not made.exists:
        raise Problem(422, "cannot_read.bound", made.problem)

    def is_there(source: Source) -> bool:
        if source.file != shelf.path_of(which):
            return False
        return source.position == bound.position or (source.mode == "yaml" and source.name == title)

    async with jobfiles_told(which):
        await world.jobfiles.within(READ_S, lambda: shelf.bind(which, bound), "a job file")
        seen = (await world.latest()).snapshot
        now = await sources_of(world, seen, lambda _, source: is_there(source))

        def bind_now() -> None:
            for task_id in now:
                bind(world.paths, Bound(task_id, bound.path))

        await world.logs.within(READ_S, bind_now, "a binding")
    return made


def _place_binding(which: JobFile, bound: BoundLog, roots: list[str]) -> Binding:
    facts = facts_of(bound.path, roots)
    return Binding(
        pid=None,
        id="",
        mode=which.mode,
        config_index=index_of(which),
        queue=text_of(bound.queue) or None,
        position=bound.position,
        path=text_of(bound.path, 4096),
        exists=facts.size is not None,
        size=facts.size,
        modified_at=facts.modified_s,
        problem=text_of(facts.problem),
    )


@router.get("/bindings", summary="All files that are bound")
async def bindings(world: Meant, console: Console) -> list[Binding]:
    """With their size, or why one is not read; at most 1,000 of tasks, then at most 1,000 of places in job files."""
    roots, shelf = log_roots(world, console), shelf_of(world, console.plans.home)
    async with told():
        return await world.logs.within(
            READ_S,
            lambda: [
                *(_binding(one, roots) for one in all_bindings(world.paths)),
                *islice((_place_binding(which, one, roots) for which, one in shelf.all_bound()), BINDINGS_MAX),
            ],
            "bindings",
        )


@router.get("/content", summary="A part of the log of a process")
async def content(
    world: Meant,
    console: Console,
    pid: Annotated[str, Query(max_length=1000, description=f"{PID} Or a full id.", examples=["8050838"])],
    offset: Offset = -65536,
    limit: Limit = 65536,
) -> LogContent:
    """Of the file that is bound to it, else of what it printed itself."""
    key, task_id = await _task(world, pid)
    is_bound = False
    if task_id is not None:
        async with told():
            is_bound = await world.logs.within(READ_S, lambda: binding_of(world.paths, task_id) is not None, "a log")
    place, _ = await find_log(world, console, key, BOUND if is_bound else LATEST)
    return await _part(world, place, offset, limit)


@router.get("/read", summary="A part of a log, by its path")
async def read(
    world: Meant,
    console: Console,
    path: Annotated[str, Query(min_length=1, max_length=4096, description="Absolute, or below the queue's logs.")],
    offset: Offset = -65536,
    limit: Limit = 65536,
) -> LogContent:
    """In the queue's ``logs/``, or in a folder of ``--log-root``."""
    roots = log_roots(world, console)
    try:
        async with told():
            place = await world.logs.within(READ_S, lambda: place_for(path, roots), "a log")
    except CannotRead as error:
        raise Problem(403, error.code, params=error.params) from None
    return await _part(world, place, offset, limit)


async def _part(world: World, place: Place, offset: int, limit: int) -> LogContent:
    def work(file: Opened) -> LogContent:
        begin = min(offset, file.size) if offset >= 0 else max(0, file.size + offset)
        found = file.read(begin, limit)
        ends = begin + len(found)
        if ends < file.size:  # the rest of a character is left to the next part
            found = _whole_characters(found)
            ends = begin + len(found)
        return LogContent(
            content=found.decode("utf-8", "replace"),
            offset=begin,
            next=ends,
            size=file.size,
            path=text_of(f"{place.root}/{place.below}", 4096),
        )

    return await read_log(world, place, work)


def _whole_characters(found: bytes) -> bytes:
    for back in range(1, min(TAIL_MAX, len(found))):
        lead = found[-back]
        if lead & 0xC0 == 0x80:
            continue
        needs = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return found[:-back] if back < needs else found
    return found
