"""Errors as they go over the wire: ``application/problem+json`` (RFC 9457), also what FastAPI refuses."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpu_queue.console.problems import Problem
from gpu_queue.errors import GpuQueueError
from gpu_queue.texts import printable

MEDIA_TYPE = "application/problem+json"
_PROBLEMS_MAX = 20
_log = logging.getLogger("gpu_queue.console")


def response_of(problem: Problem) -> Response:
    """The reply."""
    # Names in a spool are bytes that may be no text: such a character is told, and not sent.
    content = json.dumps(problem.details.model_dump(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, problem.details.status, problem.headers, MEDIA_TYPE)


def of_validation(error: RequestValidationError) -> Problem:
    """What is wrong with a request, each with its place; not what was sent, for that may be a token."""
    found = []
    for one in error.errors()[:_PROBLEMS_MAX]:
        place = ".".join(str(part) for part in one.get("loc", ()))
        found.append({"place": printable(place, 200), "text": printable(str(one.get("msg", "")), 300)})
    detail = "; ".join(f"{one['place']}: {one['text']}" for one in found)
    return Problem(422, "bad_request", detail, params={"problems": found})


def of_http(error: HTTPException) -> Problem:
    """What FastAPI and Starlette refuse."""
    codes = {404: "no_such_path", 405: "no_such_method"}
    code = codes.get(error.status_code, "refused")
    return Problem(error.status_code, code, str(error.detail), headers=error.headers)


def of_ours(error: GpuQueueError) -> Problem:
    """What the desk or the snapshot refuses, and no router made more of."""
    return Problem(409, "refused", str(error))


def add_handlers(app: FastAPI, methods_of: Callable[[Scope], Collection[str]] | None = None) -> None:
    """Make all errors of an app problems.

    Args:
        app: the application.
        methods_of: the methods that the path of a request knows; None: nobody tells.
    """

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return response_of(error)

    async def validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response_of(of_validation(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = of_http(error)
        if error.status_code == 405 and methods_of is not None:
            problem.headers["Allow"] = ", ".join(sorted(methods_of(request.scope)))  # Starlette's names one route's
        return response_of(problem)

    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, GpuQueueError)
        return response_of(of_ours(error))

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(GpuQueueError, ours)


class Faults:
    """Makes a problem of what nobody expected, and tells the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if scope["type"] != "http":
                raise
            _log.exception("%s %s: a fault", scope["method"], printable(scope["path"], 300))
            if has_begun:
                raise  # the connection is cut, so that nobody takes it for the whole
            fault = Problem(500, "fault")
            await response_of(fault)(scope, receive, sending)
