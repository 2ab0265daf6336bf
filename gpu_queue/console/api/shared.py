"""What the routes have in common: the spool that an address names, and faults as replies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from gpu_queue.console.keys import text_of
from gpu_queue.console.problems import Problem
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.storage import StorageCrowded, StorageSilent
from gpu_queue.console.world.world import TooManyStreams, Unseen, World
from gpu_queue.console.world.worlds import NoSuchSpool
from gpu_queue.texts import printable

PREFIX = "/api/v1"


def console_of(request: Request) -> ConsoleState:
    """The console that serves a request."""
    return cast(ConsoleState, request.app.state.console)


Console = Annotated[ConsoleState, Depends(console_of)]


def problem_of(error: Exception) -> Problem | None:
    """How a fault of the storage, or of what was asked for, is told; None: it is another one."""
    if isinstance(error, StorageSilent):
        params = {"silent_s": round(error.silent_s), "waits_for": error.waits_for}
        return Problem(503, "storage_silent", params=params)
    if isinstance(error, (StorageCrowded, TooManyStreams)):
        return Problem(503, "crowded", str(error))
    if isinstance(error, NoSuchSpool):
        return Problem(404, error.code, params=error.params)
    if isinstance(error, Unseen):
        return Problem(500, "unseen", params={"problem": text_of(str(error))})
    if isinstance(error, OSError):
        name = "" if error.filename is None else f"{printable(str(error.filename))}: "
        return Problem(503, "storage_failed", params={"problem": f"{name}{error.strerror or error}"})
    return None


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """Faults inside are raised as problems."""
    try:
        yield
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        raise problem from error


async def spool_of(
    console: Console, job: Annotated[str, Path(description="The name of a queue.", examples=["train-exp1"])]
) -> World:
    """The spool that an address names."""
    async with told():
        return await console.worlds.world(job)


Spool = Annotated[World, Depends(spool_of)]
