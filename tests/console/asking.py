"""Asking the console's routes without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from gpu_queue.console.problems import Problem
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.worlds import Worlds


class Asker:
    """A console of some routes; each question is asked of a new one."""

    def __init__(self, queue_root: str, *routers: APIRouter, **state: Any) -> None:
        self.queue_root, self.routers, self.state = queue_root, routers, state

    def __call__(self, path: str, **query: Any) -> httpx.Response:
        """The reply to one question below the address of the API."""
        return self.all((path, query))[0]

    def all(self, *questions: tuple[str, dict[str, Any]]) -> list[httpx.Response]:
        """The replies to several questions of one console."""
        return asyncio.run(self._ask(questions))

    async def _ask(self, questions: tuple[tuple[str, dict[str, Any]], ...]) -> list[httpx.Response]:
        app = FastAPI()
        for router in self.routers:
            app.include_router(router)
        app.add_exception_handler(Problem, _told)
        worlds = Worlds(self.queue_root)
        app.state.console = ConsoleState(worlds, **self.state)
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as client:
                return [await client.get(f"/api/v1/{path}", params=query) for path, query in questions]
        finally:
            worlds.close()


async def _told(_: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)
    return JSONResponse(problem.details.model_dump(), problem.details.status)
