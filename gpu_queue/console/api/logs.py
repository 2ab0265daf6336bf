"""Logs of tasks, and their scripts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.api.tasks import Key, find_task
from gpu_queue.console.keys import text_of
from gpu_queue.console.logs.bindings import BOUND, binding_of, place_for
from gpu_queue.console.logs.opening import CannotRead, Opened, opened
from gpu_queue.console.logs.ranges import part_of
from gpu_queue.console.logs.rows import Blocks, sgr_before, shown, window
from gpu_queue.console.logs.searching import NothingWanted, search, wanted
from gpu_queue.console.logs.sources import Place, place_of
from gpu_queue.console.models.logs import ROWS_MAX, LogHits, LogRow, LogWindow
from gpu_queue.console.models.tasks import ScriptText
from gpu_queue.console.problems import Problem
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.deltas import encode
from gpu_queue.console.world.world import World
from gpu_queue.spool.snapshot.view import RunningTask

router = APIRouter(prefix=f"{PREFIX}/spools/{{job}}/tasks/{{key}}", tags=["logs"])

T = TypeVar("T")
Source = Annotated[
    str,
    Path(
        max_length=100,
        description="The token of a try, `latest`, or `bound`: the file that is bound.",
        examples=["latest", "a079cd"],
    ),
]
Encoding = Annotated[Literal["utf-8", "gb18030"], Query(description="Of the log.")]
READ_S = 10.0
RAW_BYTES = 1 << 20
SCRIPT_BYTES = 1 << 20
OFFSET_MAX = 1 << 60


def log_roots(world: World, console: ConsoleState) -> list[str]:
    """Where files may be read that somebody names: the logs of the queue, and the folders that were allowed."""
    return [world.paths.logs, *console.settings.log_roots]


async def find_log(world: World, console: ConsoleState, key: str, source: str) -> tuple[Place, bool]:
    """The file of a log, and whether its task runs.

    Raises:
        Problem: there is no such task or log, or it is one that is not read.
    """
    task = await find_task(world, key)
    if source == BOUND:
        return await _bound(world, log_roots(world, console), task.task_id), isinstance(task, RunningTask)
    is_running = isinstance(task, RunningTask)
    known = world.places.get(task.name, source)
    if known is not None:
        return known, is_running
    async with told():
        view = await world.call(lambda: world.files.view(task, None, 1), READ_S)
    found = place_of(view, source)
    if found is None:
        raise Problem(404, "no_such_log" if view.logs else "no_log", params={"source": text_of(source, 60)})
    world.places.put(task.name, source, found)
    return found, is_running


async def _bound(world: World, roots: list[str], task_id: str | None) -> Place:
    def work() -> Place | None:
        bound = None if task_id is None else binding_of(world.paths, task_id)
        return None if bound is None else place_for(bound.path, roots)

    try:
        async with told():
            place = await world.logs.within(READ_S, work, "a log")
    except CannotRead as error:
        raise Problem(403, error.code, params=error.params) from None
    if place is None:
        raise Problem(404, "no_such_log.bound")
    return place


async def read_log(world: World, place: Place, work: Callable[[Opened], T]) -> T:
    """Do something with an open log, in a thread.

    Raises:
        Problem: it is none that is read, or the storage does not answer.
    """

    def call() -> T:
        with opened(place.root, place.below) as file:
            return work(file)

    try:
        async with told():
            return await world.logs.within(READ_S, call, "a log")
    except CannotRead as error:
        raise Problem(404 if error.is_missing else 403, error.code, params=error.params) from None


@router.get("/logs/{source}/window", summary="Rows of a log around a byte")
async def log_window(
    world: Spool,
    console: Console,
    key: Key,
    source: Source,
    anchor: Annotated[int, Query(ge=-1, le=OFFSET_MAX, description="A byte; -1: the end.")] = -1,
    before: Annotated[int, Query(ge=0, le=ROWS_MAX, description="Rows before the one that holds it.")] = 300,
    after: Annotated[int, Query(ge=0, le=ROWS_MAX, description="Rows from that one on.")] = 300,
    encoding: Encoding = "utf-8",
) -> LogWindow:
    """What a terminal would show.  Two windows join where ``next`` of one is ``first`` of the other."""
    place, is_running = await find_log(world, console, key, source)

    def work(file: Opened) -> LogWindow:
        blocks = Blocks(file.read, file.size)
        found = window(blocks, file.size if anchor < 0 else anchor, before, after, encoding)
        index = world.indices.of(place, file.inode)
        lines, line = index.before(blocks, file.size), index.before(blocks, found.first)
        return LogWindow(
            rows=found.rows,
            first=found.first,
            next=found.next,
            size_bytes=file.size,
            inode=file.inode,
            is_start=found.first == 0,
            is_end=found.next >= file.size,
            sgr=sgr_before(blocks, found.first),
            line=None if line is None else line + 1,
            lines=lines,
            replaced_bytes=found.replaced_bytes,
            encoding=encoding,
            is_running=is_running,
        )

    found = await read_log(world, place, work)
    if found.lines is None:
        world.indices.count(place, found.inode)
    return found


@router.get("/logs/{source}/row", summary="All of a row")
async def log_row(
    world: Spool,
    console: Console,
    key: Key,
    source: Source,
    offset: Annotated[int, Query(ge=0, le=OFFSET_MAX, description="Where it begins.")],
    encoding: Encoding = "utf-8",
) -> LogRow:
    """All updates of a row, a line each, and all of its text, up to 1 MiB."""
    place, _ = await find_log(world, console, key, source)

    def work(file: Opened) -> LogRow:
        blocks = Blocks(file.read, file.size)
        start = blocks.row_start(offset)
        return shown(blocks.between(start, blocks.row_end(start)), start, encoding, whole=True)[0]

    return await read_log(world, place, work)


@router.get("/logs/{source}/search", summary="Search in a whole log")
async def log_search(
    world: Spool,
    console: Console,
    key: Key,
    source: Source,
    q: Annotated[str, Query(min_length=1, max_length=500, description="Literal; `a|b`: either.")],
    start: Annotated[int, Query(alias="from", ge=0, le=OFFSET_MAX)] = 0,
    to: Annotated[int | None, Query(ge=0, le=OFFSET_MAX)] = None,
    known: Annotated[int, Query(ge=0, description="Offsets that were found already.")] = 0,
    encoding: Encoding = "utf-8",
) -> LogHits:
    """Works for 0.2 s and says where to go on; capitals count where one is typed."""
    try:
        what = wanted(q, encoding)
    except NothingWanted:
        raise Problem(422, "bad_search") from None
    except UnicodeEncodeError:
        raise Problem(422, "bad_search.encoding", params={"text": repr(q), "encoding": encoding}) from None
    place, _ = await find_log(world, console, key, source)
    return await read_log(world, place, lambda file: search(file.read, file.size, what, start, to, known=known))


@router.get(
    "/logs/{source}/follow",
    summary="What is printed, while it is",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def log_follow(
    world: Spool,
    console: Console,
    key: Key,
    source: Source,
    after: Annotated[
        int, Query(ge=0, le=OFFSET_MAX, description="Where to begin: the beginning of a row.")
    ] = OFFSET_MAX,
    encoding: Encoding = "utf-8",
    last_event_id: Annotated[str | None, Header(max_length=30)] = None,
) -> StreamingResponse:
    """Events ``rows`` and ``state`` (cut, replaced, gone, ended); the id of each is the offset to go on from."""
    place, _ = await find_log(world, console, key, source)
    begin = int(last_event_id) if last_event_id is not None and last_event_id.isdecimal() else after

    def is_running() -> bool:
        seen = world.seen
        return seen is not None and any(key == one.task_id for one in seen.snapshot.running)

    async def events() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        async with told():
            async for name, offset, value in world.followers.follow(place, begin, encoding, is_running):
                if value is None:
                    yield b": still there\n\n"
                else:
                    data = encode(value.model_dump())
                    yield b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), offset, data)
                world.attend()

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


@router.get(
    "/logs/{source}/raw",
    summary="A log as it is",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Its bytes."},
        206: {"content": {"text/plain": {}}, "description": "The part that `Range` names."},
    },
)
async def log_raw(
    world: Spool,
    console: Console,
    key: Key,
    source: Source,
    asked: Annotated[str | None, Header(alias="Range", max_length=100, description="One part of it.")] = None,
) -> StreamingResponse:
    """As an attachment; its length is what it had when the reading began."""
    place, _ = await find_log(world, console, key, source)
    size, inode = await read_log(world, place, lambda file: (file.size, file.inode))
    part = part_of(asked, size)
    if part is not None and part[0] >= part[1]:
        params = {"asked": text_of(asked or ""), "size_bytes": size}
        raise Problem(416, "bad_range", params=params, headers={"Content-Range": f"bytes */{size}"})
    begin, end = part or (0, size)

    def piece(file: Opened, offset: int) -> bytes:
        return file.read(offset, min(RAW_BYTES, end - offset)) if file.inode == inode else b""

    async def pieces() -> AsyncIterator[bytes]:
        offset = begin
        while offset < end:
            content = await read_log(world, place, partial(piece, offset=offset))
            if not content:
                return  # it was cut or replaced: the length that was told is not reached, and the reader sees that
            yield content
            offset += len(content)

    name = quote(text_of(os.path.basename(place.below)))
    headers = {
        "Content-Length": str(end - begin),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Cache-Control": "no-store",
        "Accept-Ranges": "bytes",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    status = 200 if part is None else 206
    return StreamingResponse(pieces(), status, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/script", summary="The script of a task")
async def script(world: Spool, key: Key) -> ScriptText:
    """As it lies in the queue, up to 1 MiB."""
    task = await find_task(world, key)
    async with told():
        view = await world.call(lambda: world.files.view(task, None, 1), READ_S)
    directory, name = os.path.split(view.path)

    def work(file: Opened) -> tuple[bytes, int]:
        return file.read(0, min(file.size, SCRIPT_BYTES)), file.size

    content, size = await read_log(world, Place(directory, name, "script"), work)
    first = content.split(b"\n", 1)[0]
    language: Literal["bash", "python", "other"] = "bash"
    if b"python" in first if first.startswith(b"#!") else task.title.endswith(".py"):
        language = "python"
    elif first.startswith(b"#!") and b"sh" not in first:
        language = "other"
    return ScriptText(
        text=content.decode("utf-8", "replace"),
        size_bytes=size,
        is_cut=size > len(content),
        language=language,
    )
