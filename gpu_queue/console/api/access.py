"""The token for a cookie, and back."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from gpu_queue.console.access import peers
from gpu_queue.console.access.deciding import Level
from gpu_queue.console.access.guard import Access, grant_of, set_cookie
from gpu_queue.console.api.shared import Console
from gpu_queue.console.models.common import Model
from gpu_queue.console.prefixes import BASE
from gpu_queue.console.problems import Problem

router = APIRouter(tags=["access"])


def access_of(request: Request) -> Access:
    """Who may do what with the console that serves a request."""
    return cast(Access, request.app.state.access)


Shared = Annotated[Access, Depends(access_of)]


class ShownToken(Model):
    """A token."""

    token: str = Field(min_length=1, max_length=200, description="What stands in `console.token`.")


class AccessReply(Model):
    """What this browser may from now on."""

    may: str = Field(description="`change`, `texts` (logs and scripts), `state` or `open` (the pages alone).")


def _is_secure(request: Request, *, behind_proxy: bool) -> bool:
    forwarded = request.headers.get("x-forwarded-proto", "") if behind_proxy else ""
    return request.url.scheme == "https" or forwarded.rpartition(",")[2].strip().lower() == "https"


@router.post("/access", summary="Trade the token for a cookie", responses={401: {}, 429: {}})
async def show_token(
    shown: ShownToken, request: Request, response: Response, console: Console, access: Shared
) -> AccessReply:
    """The cookie is `gpuq-<port>`: HttpOnly, SameSite=Strict, for the base path alone."""
    level = access.tokens.level_of(shown.token)
    if level is Level.OPEN:
        access.refuse_wrong(peers.plain(request.client.host) if request.client else "")
        raise Problem(401, "wrong_token")
    is_secure = _is_secure(request, behind_proxy=console.settings.behind_proxy)
    cookie = set_cookie(access.cookie_name, access.tokens.cookie(level), request.scope[BASE], is_secure=is_secure)
    response.headers["Set-Cookie"] = cookie
    return AccessReply(may=level.name.lower())


@router.delete("/access", status_code=204, summary="Take the cookie away")
async def forget_token(request: Request, response: Response, console: Console, access: Shared) -> None:
    """The token itself counts on; remove its file and start the console anew to end that."""
    is_secure = _is_secure(request, behind_proxy=console.settings.behind_proxy)
    response.headers["Set-Cookie"] = set_cookie(access.cookie_name, "", request.scope[BASE], is_secure=is_secure)


@router.get("/access", summary="What this browser may")
async def may(request: Request) -> AccessReply:
    """Of this request: with its token, its cookie, or as the same user on the same machine."""
    return AccessReply(may=grant_of(request).level.name.lower())
