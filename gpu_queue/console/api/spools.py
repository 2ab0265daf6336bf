"""A spool as it lives: its snapshot, its stream, its nodes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from gpu_queue.console.api.shared import PREFIX, Console, Spool, told
from gpu_queue.console.keys import name_of
from gpu_queue.console.models.common import Model
from gpu_queue.console.models.living import Attention, Gpu, Node, Queue, Snapshot
from gpu_queue.console.models.spools import SpoolList
from gpu_queue.console.problems import Problem
from gpu_queue.console.world.world import World
from gpu_queue.spool import files
from gpu_queue.texts import printable

router = APIRouter(prefix=PREFIX, tags=["spools"])
PAGE_MAX_BYTES = 256 << 10


class NodeDetail(Model):
    """A node, with its file as it stands there."""

    node: Node
    text: str


@router.get("/spools", summary="All queues below the queue root")
async def list_spools(console: Console) -> SpoolList:
    """The queues that this console shows, with counts of those that somebody looks at."""
    async with told():
        return await console.worlds.listed()


@router.get("/spools/{job}", summary="The living part of a queue", response_model=Snapshot)
@router.get("/spools/{job}/snapshot", summary="The living part of a queue", response_model=Snapshot)
async def snapshot(
    world: Spool, if_none_match: Annotated[str | None, Header(description="The ETag of the last reply.")] = None
) -> Response:
    """Flags, counts, nodes, GPUs, what runs, the head of what waits, what ended last, what needs attention.

    Its ETag changes when something in it does: ask with ``If-None-Match``.  A missing field means null.
    """
    async with told():
        number, content = await world.snapshot()
    etag = f'"{number}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match is not None and etag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@router.get(
    "/spools/{job}/stream",
    summary="The living part of a queue, as it changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def stream(
    world: Spool,
    after: Annotated[str, Query(max_length=100, description="The id of the last event that was seen.")] = "",
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """Events ``snapshot`` (once, and again where too much was missed), ``delta`` (a merge patch) and ``note``."""
    async with told():
        events = await world.stream(last_event_id or after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _living(world: World) -> Snapshot:
    async with told():
        await world.latest()
    return world.reply()


@router.get("/spools/{job}/nodes", summary="The nodes of a queue")
async def nodes(world: Spool) -> dict[str, Node]:
    """All nodes, by key."""
    return (await _living(world)).living.nodes


@router.get("/spools/{job}/nodes/{node}", summary="A node, with its file")
async def node(world: Spool, node: str) -> NodeDetail:
    """What its agent tells, and the file in which it does."""
    found = (await _living(world)).living.nodes.get(node)
    if found is None:
        raise Problem(404, "no_such_node", params={"node": printable(node)})
    path = world.paths.node_json(name_of(node))

    def read() -> str:
        try:
            return files.read_regular(path, PAGE_MAX_BYTES)[0].decode("utf-8", "replace")
        except (files.Vanished, files.FileProblem):
            return ""

    async with told():
        return NodeDetail(node=found, text=await world.call(read, 10.0))


@router.get("/spools/{job}/gpus", summary="The GPUs of a queue")
async def gpus(world: Spool) -> dict[str, Gpu]:
    """All GPUs of living and silent nodes, by ``<node>/<uuid>``."""
    return (await _living(world)).living.gpus


@router.get("/spools/{job}/queues", summary="The serial queues inside a queue")
async def queues(world: Spool) -> dict[str, Queue]:
    """Serial queues that have a token, or of which nodes tell."""
    return (await _living(world)).living.queues


@router.get("/spools/{job}/attention", summary="What a person should look at")
async def attention(world: Spool) -> dict[str, Attention]:
    """Trouble first."""
    return (await _living(world)).living.attention
