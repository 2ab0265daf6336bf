"""The routes of plans over one real queue, and who asks them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from gpu_queue.console.api import plans, seed_scheduler
from gpu_queue.console.faults import add_handlers
from gpu_queue.console.models.living import StreamNote
from gpu_queue.console.plans.service import Plans
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.world import World
from gpu_queue.console.world.worlds import Worlds

T = TypeVar("T")


class Console:
    """The app, in an event loop of its own."""

    def __init__(self, path: str | Path, **options: Any) -> None:
        root, self.job = os.path.split(str(path))
        self.state = ConsoleState(Worlds(root, default_job=self.job), Plans(**options))
        app = FastAPI()
        app.state.console = self.state
        add_handlers(app)
        app.include_router(plans.router)
        app.include_router(seed_scheduler.router)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://console", timeout=60)
        self.notes: list[StreamNote] = []
        world: World = self.do(self.state.worlds.world(self.job))
        say = world.say

        def heard(note: StreamNote) -> None:
            self.notes.append(note)
            say(note)

        world.say = heard  # type: ignore[method-assign]

    def do(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(waited(), self._loop).result(90)

    def close(self) -> None:
        async def end() -> None:
            self.state.worlds.close()
            await self._client.aclose()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reply(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.do(self._client.request(method, path, json=body))

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Any path; a body is JSON."""
        reply = self.reply(method, path, body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self.ask("POST", f"/api/v1/spools/{self.job}{path}", body, status)

    def get(self, path: str, status: int = 200) -> Any:
        return self.ask("GET", f"/api/v1/spools/{self.job}{path}", None, status)

    # -- what a person does ------------------------------------------------------------------------------------------

    def plan(self, action: str, *tasks: str, status: int = 201, **wish: Any) -> Any:
        return self.post("/plans", {"action": action, "tasks": list(tasks), **wish}, status)

    def run(self, plan: Any, typed: str = "", wait_s: float = 30, status: int = 200) -> Any:
        return self.post(f"/plans/{plan['id']}/run", {"typed": typed, "wait_s": wait_s}, status)

    def undo(self, plan: Any, status: int = 200) -> Any:
        return self.post(f"/plans/{plan['id']}/undo", {"wait_s": 30}, status)

    def do_it(self, action: str, *tasks: str, **wish: Any) -> tuple[Any, Any]:
        plan = self.plan(action, *tasks, **wish)
        return plan, self.run(plan, plan["must_type"])
