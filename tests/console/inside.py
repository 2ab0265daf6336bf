"""The application in this process, asked without a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

T = TypeVar("T")


class Inside:
    """Asks an application; between two questions its event loop goes on, in a thread."""

    def __init__(self, app: FastAPI, headers: dict[str, str], peer: str) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._lifespan = app.router.lifespan_context(app)
        self.do(self._lifespan.__aenter__())
        # What the application raises is what a server would log: the test shall see the reply.
        transport = httpx.ASGITransport(app, client=(peer, 1), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:29214", headers=headers)

    def do(self, work: Coroutine[Any, Any, T], timeout_s: float = 30.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.do(self._client.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def raw(self, path: str) -> tuple[httpx.Headers, bytes]:
        """Headers and body as they come, packed or not."""

        async def ask() -> tuple[httpx.Headers, bytes]:
            async with self._client.stream("GET", path) as reply:
                return reply.headers, b"".join([part async for part in reply.aiter_raw()])

        return self.do(ask())

    def close(self) -> None:
        async def end() -> None:
            await self._client.aclose()
            await self._lifespan.__aexit__(None, None, None)
            await self._loop.shutdown_default_executor()

        self.do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
