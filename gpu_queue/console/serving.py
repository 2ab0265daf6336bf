"""The application: routers, and what stands before them.

From the outside in: prefix, headers, the guard (who may), gzip, bodies, pages, faults, and then the routes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from gpu_queue import __version__
from gpu_queue.conf import home_of
from gpu_queue.console.access.bodies import Bodies
from gpu_queue.console.access.deciding import ACCESS, CHANGING, House
from gpu_queue.console.access.guard import Access, Guard
from gpu_queue.console.access.tokens import Tokens, directory_of, read_tokens
from gpu_queue.console.api import (
    access,
    batches,
    console,
    health,
    history,
    jobfiles,
    logs,
    metrics,
    plans,
    policy,
    seed_commands,
    seed_log,
    seed_scheduler,
    spools,
    tasks,
    timeline,
    usage,
)
from gpu_queue.console.faults import MEDIA_TYPE, Faults, add_handlers
from gpu_queue.console.history.keeper import Histories
from gpu_queue.console.history.keeper import directory_of as state_directory
from gpu_queue.console.models.common import ProblemDetails
from gpu_queue.console.pages import Page, Pages, read_pages
from gpu_queue.console.plans.journal import Journal
from gpu_queue.console.plans.service import Plans
from gpu_queue.console.prefixes import Prefix
from gpu_queue.console.replies import Fence, Gzip
from gpu_queue.console.settings import ConsoleSettings
from gpu_queue.console.state import ConsoleState
from gpu_queue.console.world.worlds import Worlds

ROUTERS: tuple[APIRouter, ...] = (
    access.router,
    health.router,
    spools.router,
    tasks.router,
    batches.router,
    timeline.router,
    history.router,
    usage.router,
    plans.router,
    jobfiles.router,
    seed_commands.router,
    policy.router,
    seed_scheduler.router,
    logs.router,
    seed_log.router,
    console.router,
    metrics.router,
)
"""One for each noun, in the order of the documentation."""
_PROBLEM = "#/components/schemas/ProblemDetails"
DESCRIPTION = (
    "What the pages of a gpu-queue console are made of, and scripts can use as well. Errors are "
    "`application/problem+json` (RFC 9457). Changes, logs and scripts need the token: `Authorization: Bearer`."
)


def make_state(settings: ConsoleSettings) -> ConsoleState:
    """The parts of a console; none of them has begun."""
    worlds = Worlds(settings.queue_root, default_job=settings.job_id, read_only=settings.read_only)
    journal = Journal(f"{state_directory(os.environ)}/actions.jsonl")
    return ConsoleState(
        worlds,
        plans=Plans(starts_agents=settings.start_agents, journal=journal),
        settings=settings,
        histories=Histories(is_kept=settings.history),
    )


def make_access(settings: ConsoleSettings, tokens: Tokens | None = None) -> Access:
    """Who may do what.

    Raises:
        SettingsError: the file with the token cannot be trusted, or made.
    """
    if tokens is None:
        tokens = read_tokens(directory_of(os.environ, home_of(os.environ)))
    house = House(
        bound=settings.host,
        own_uid=os.geteuid(),
        public=frozenset(name.lower() for name in settings.public_hosts),
        behind_proxy=settings.behind_proxy,
        read_only=settings.read_only,
        metrics_open=settings.metrics_open,
    )
    return Access(house, tokens, f"gpuq-{settings.port}")


def make_app(
    settings: ConsoleSettings, tokens: Tokens | None = None, pages: dict[str, Page] | None = None
) -> FastAPI:
    """The application.

    Args:
        settings: how it serves.
        tokens: None: those of the user, made where there are none.
        pages: None: the built ones.

    Raises:
        SettingsError: the file with the token cannot be trusted, or made.
    """
    state, allowed = make_state(settings), make_access(settings, tokens)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        state.histories.begin(state.worlds)
        try:
            yield
        finally:
            try:
                await state.histories.end()
            finally:
                state.worlds.close()

    app = _App(
        title="gpu-queue console",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page comes from another site, which the policy of ours forbids
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"description": "An error", "content": {MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}}}}},
    )
    app.state.console = state
    app.state.access = allowed
    routers = [reading_only(router) if settings.read_only else router for router in ROUTERS]
    add_handlers(app, functools.partial(methods_of, routers))
    for router in routers:
        app.include_router(router)
    app.add_middleware(Faults)  # each one stands before those that were added earlier
    app.add_middleware(Pages, pages=read_pages() if pages is None else pages)
    app.add_middleware(Bodies)
    app.add_middleware(Gzip)
    app.add_middleware(Guard, access=allowed)
    app.add_middleware(Fence)
    app.add_middleware(Prefix, base=settings.base_path, behind_proxy=settings.behind_proxy)
    return app


class _App(FastAPI):
    """Its document tells of errors as they are."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)  # FastAPI's own, which is never sent
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update({name: one for name, one in problem.pop("$defs", {}).items() if name not in schemas})
            schemas["ProblemDetails"] = problem
        return self.openapi_schema or {}


def reading_only(router: APIRouter) -> APIRouter:
    """The routes of a router that change nothing; that to the token is kept.

    Raises:
        TypeError: it holds another router, of which nobody would know what it changes.
    """
    made = APIRouter()
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise TypeError(f"{route!r}: expected routers without routers in them")
        if route.path == ACCESS or not CHANGING & set(route.methods or ()):
            made.routes.append(route)
    return made


def methods_of(routers: Sequence[APIRouter], scope: Scope) -> set[str]:
    """The methods that a path knows."""
    found: set[str] = set()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.matches(scope)[0] is not Match.NONE:
                found |= set(route.methods or ())
    return found
