"""The routes of plans over one real spool, and who asks them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from gpu_queue.console.api.plans import make_router
from gpu_queue.console.keys import key_of
from gpu_queue.console.models.living import StreamNote
from gpu_queue.console.models.tasks import TaskFilter
from gpu_queue.console.plans.service import Plans, Sight
from gpu_queue.console.problems import Problem
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.view import Snapshot

T = TypeVar("T")


@dataclass
class Look:
    """A spool, looked at anew whenever somebody asks."""

    paths: SpoolPaths
    job: str = "exp"
    notes: list[StreamNote] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reader = SnapshotReader(self.paths)

    def _see(self) -> Snapshot:
        with self.lock:
            return self.reader.refresh(time.monotonic(), everything=True)

    async def fresh(self) -> Snapshot:
        return await asyncio.to_thread(self._see)

    async def call(self, function: Callable[[], object], timeout_s: float) -> object:
        return await asyncio.wait_for(asyncio.to_thread(function), timeout_s)

    def say(self, note: StreamNote) -> None:
        self.notes.append(note)


async def select(sight: Sight, wanted: TaskFilter) -> list[str]:
    """As much of a filter as these tests need: a state, and a word of the title."""
    seen = await sight.fresh()
    tasks: dict[str, list[Any]] = {
        "waiting": list(seen.waiting),
        "running": list(seen.running),
        "done": list(seen.done),
        "failed": list(seen.failed),
    }
    tasks["now"] = [*tasks["waiting"], *tasks["running"]]
    return [key_of(one.task_id or one.name) for one in tasks[wanted.state] if wanted.q in one.title]


class Console:
    """The app, in an event loop of its own."""

    def __init__(self, path: str | Path, **options: Any) -> None:
        self.look = Look(SpoolPaths(str(path)))
        self.plans = Plans(**options)
        app = FastAPI()

        @app.exception_handler(Problem)
        async def tell(request: Request, problem: Problem) -> Response:
            details = problem.details
            return JSONResponse(details.model_dump(), details.status, media_type="application/problem+json")

        def sight_of(job: str) -> Sight:
            if job != self.look.job:
                raise Problem(404, "no_such_spool", job)
            return self.look

        app.include_router(make_router(self.plans, sight_of, select, lambda request: "alice"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://console/api/v1/spools/exp", timeout=60)

    def do(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(waited(), self._loop).result(90)

    def close(self) -> None:
        self.do(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        reply = self.do(self._client.post(path, json=body))
        assert reply.status_code == status, reply.text
        return reply.json()

    def get(self, path: str, status: int = 200) -> Any:
        reply = self.do(self._client.get(path))
        assert reply.status_code == status, reply.text
        return reply.json()

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
