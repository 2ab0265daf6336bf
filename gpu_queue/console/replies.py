"""What each reply has: headers that keep browsers from doing more than the page needs, and gzip where it pays."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def policy(nonce: str = "") -> str:
    """What a page may load and do; ``nonce``: styles that bear this word may be added to it, by its editor."""
    styles = "'self'" if not nonce else f"'self' 'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )


CSP = policy()
_ALWAYS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_GZIPPED = ("application/json", "application/problem+json")
_GZIP_MIN_BYTES = 1024
_GZIP_LEVEL = 4
_IN_THREAD_BYTES = 64 << 10


class Fence:
    """Adds the headers of section 10 of the design, and keeps what is private out of caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "private, no-cache" if "etag" in headers else "no-store")
            await send(message)

        await self._app(scope, receive, sending)


def takes_gzip(headers: Headers) -> bool:
    """Whether whoever asks understands gzip."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class Gzip:
    """Packs JSON that comes in one piece; never streams, which would be held back, nor logs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not takes_gzip(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                kind = headers.get("content-type", "").partition(";")[0]
                if kind in _GZIPPED and "content-encoding" not in headers:
                    headers.add_vary_header("Accept-Encoding")
                    start = message
                    return
            elif start is not None:
                begun, start = start, None
                if not message.get("more_body", False) and len(message.get("body", b"")) >= _GZIP_MIN_BYTES:
                    message = await _packed(begun, message)
                await send(begun)
            await send(message)

        await self._app(scope, receive, sending)


async def _packed(start: Message, message: Message) -> Message:
    body: bytes = message["body"]
    if len(body) > _IN_THREAD_BYTES:
        packed = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0)
    else:
        packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    headers = MutableHeaders(scope=start)
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(packed))
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers["etag"] = f"W/{etag}"  # the same, but not byte for byte
    return {**message, "body": packed}
