"""The edge: gathers the facts of a request, asks for the decision, refuses, and tells the log what was changed."""

from __future__ import annotations

import asyncio
import logging
import time
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpu_queue.console.access import deciding, peers
from gpu_queue.console.access.deciding import Facts, Granted, House, Level
from gpu_queue.console.access.rates import WrongTokens
from gpu_queue.console.access.tokens import Tokens
from gpu_queue.console.faults import response_of
from gpu_queue.console.problems import Problem
from gpu_queue.texts import printable

PROXY_HEADERS = (
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"),
    *("x-forwarded-port", "x-forwarded-server", "x-forwarded-context", "x-proxycontextpath", "x-real-ip", "via"),
)
_FETCH = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user")
GRANT = "gpu_queue.grant"
_actions = logging.getLogger("gpu_queue.console.actions")


class Access:
    """What all requests share: the console, its tokens, who was wrong how often."""

    def __init__(self, house: House, tokens: Tokens, cookie_name: str) -> None:
        self.house = house
        self.tokens = tokens
        self.cookie_name = cookie_name
        self.wrong = WrongTokens()

    def refuse_wrong(self, peer: str) -> None:
        """Count a wrong token.

        Raises:
            Problem: 429, it was one too many.
        """
        wait_s = self.wrong.wait_s(peer, time.monotonic())
        if wait_s:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            raise Problem(429, "too_many_wrong_tokens", headers=headers)


def grant_of(connection: HTTPConnection) -> Granted:
    """What the request may, as the guard has decided."""
    found = connection.scope[GRANT]
    assert isinstance(found, Granted)
    return found


class Guard:
    """Asks for each request whether it may."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            scope[GRANT] = granted = await self._granted(scope)
        except Problem as problem:
            await response_of(problem)(scope, receive, send)
            return
        if scope["method"] not in deciding.CHANGING:
            await self._app(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            path = printable(scope["path"], 400)
            _actions.info("%s %s by %s from %s: %d", scope["method"], path, granted.who or "-", _peer(scope), status)

    async def _granted(self, scope: Scope) -> Granted:
        access = self._access
        facts = facts_of(scope, access)
        if deciding.asks_for_peer(facts, access.house) and scope.get("client") and scope.get("server"):
            near, far = tuple(scope["server"]), tuple(scope["client"])
            # On a machine with many connections it takes a while to read of all of them.
            uid = await asyncio.to_thread(peers.peer_uid, near, far)
            facts = facts_of(scope, access, uid)
        decision = deciding.decide(facts, access.house)
        if isinstance(decision, Granted):
            return decision
        if decision.code == "wrong_token":
            access.refuse_wrong(facts.peer)
        headers = {"WWW-Authenticate": 'Bearer realm="gpu-queue console"'} if decision.status == 401 else {}
        raise Problem(decision.status, decision.code, decision.detail, headers=headers)


def _peer(scope: Scope) -> str:
    return peers.plain(scope["client"][0]) if scope.get("client") else ""


def facts_of(scope: Scope, access: Access, peer_uid: int | None = None) -> Facts:
    """What is known of a request."""
    headers = Headers(scope=scope)
    host = headers.getlist("host")
    authorization = headers.getlist("authorization")
    value = _cookie(headers, access.cookie_name)
    forwarded = next((name for name in PROXY_HEADERS if name in headers), "")
    return Facts(
        method=scope["method"],
        path=scope["path"],
        host=host[0] if len(host) == 1 else None,
        peer=_peer(scope),
        peer_uid=peer_uid,
        token=_token(authorization, access.tokens),
        cookie=None if value is None else access.tokens.level_of_cookie(value),
        has_cookie="cookie" in headers,
        origin=headers.get("origin"),
        fetch_site=headers.get("sec-fetch-site"),
        has_fetch=any(name in headers for name in _FETCH),
        forwarded=forwarded,
        forwarded_host=headers.get("x-forwarded-host"),
        has_body="transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0",
        content_type=headers.get("content-type", ""),
    )


def _token(authorization: list[str], tokens: Tokens) -> Level | None:
    if not authorization:
        return None
    scheme, _, token = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "bearer":
        return Level.OPEN
    return tokens.level_of(token.strip())


def _cookie(headers: Headers, name: str) -> str | None:
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            key, equals, value = part.strip().partition("=")
            if equals and key == name:
                return value
    return None


def set_cookie(name: str, value: str, path: str, *, is_secure: bool) -> str:
    """The header that gives a browser the cookie; an empty value takes it away."""
    made: SimpleCookie = SimpleCookie()
    try:
        made[name] = value
    except CookieError as error:  # the name is ours
        raise ValueError(str(error)) from error
    one = made[name]
    one["path"], one["httponly"], one["samesite"] = path, True, "Strict"
    one["max-age"] = 400 * 86400 if value else 0
    if is_secure:
        one["secure"] = True
    return one.OutputString()
