"""Bodies of requests: whole, in time, and no larger than anybody needs.

A body is read before its route begins, so nothing of the console waits for a sender that sleeps.
"""

from __future__ import annotations

import asyncio
import json
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpu_queue.console.access.deciding import CHANGING
from gpu_queue.console.faults import response_of
from gpu_queue.console.problems import Problem

BODY_MAX_BYTES = 1 << 20
SCRIPTS_MAX_BYTES = 64 << 20
"""Of requests that bring scripts; each of these is limited by the model."""
BODY_S = 30.0
FILES_MAX_BYTES = 8 << 20
"""Of requests that bring a job file of up to 1 MiB, as JSON spells it."""
_WITH_FILES = re.compile(r"/api/v1/spools/[^/]+/jobfiles(?:/.*)?|/api/commands/.*", re.DOTALL)
_WITH_SCRIPTS = re.compile(r"/api/v1/spools/[^/]+/(?:plans|read)")


class Bodies:
    """Reads the body of a change."""

    def __init__(self, app: ASGIApp, timeout_s: float | None = None) -> None:
        self._app = app
        self._timeout_s = BODY_S if timeout_s is None else timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] not in CHANGING:
            await self._app(scope, receive, send)
            return
        limit = SCRIPTS_MAX_BYTES if _WITH_SCRIPTS.fullmatch(scope["path"]) else BODY_MAX_BYTES
        limit = FILES_MAX_BYTES if _WITH_FILES.fullmatch(scope["path"]) else limit
        try:
            body = await asyncio.wait_for(_read(scope, receive, limit), self._timeout_s)
            if body:
                await asyncio.to_thread(_check, body)
        except asyncio.TimeoutError:
            await _refuse(Problem(408, "slow_body", params={"seconds": self._timeout_s}), scope, receive, send)
            return
        except Problem as problem:
            await _refuse(problem, scope, receive, send)
            return
        if body is None:
            return  # the sender is gone
        is_given = False

        async def again() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    problem.headers["Connection"] = "close"  # what is still to come of the body is no request
    await response_of(problem)(scope, receive, send)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    too_large = Problem(413, "too_large", params={"limit_bytes": limit, "most_mib": limit >> 20})
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _check(body: bytes) -> None:
    """Refuse what is no JSON, or nested deeper than a reader of it can go.

    Raises:
        Problem: it is so.
    """
    try:
        json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise Problem(400, "bad_json.deep") from None
    except ValueError as error:
        raise Problem(400, "bad_json", params={"problem": str(error)}) from None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")
