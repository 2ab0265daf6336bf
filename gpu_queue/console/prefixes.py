"""Where the console lies below a proxy: what `<base href>` says, and what is taken off the path of a request."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

BASE = "gpu_queue.base"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_LIMIT_CHARS = 500


def base_path(text: str) -> str | None:
    """A base path as it is used, with a slash at both ends; None: it can be none.

    >>> base_path("/user/a/proxy/29214"), base_path("/"), base_path("//evil.example")
    ('/user/a/proxy/29214/', '/', None)
    """
    if len(text) > _LIMIT_CHARS or _PREFIX.fullmatch(text) is None or {".", ".."} & set(text.split("/")):
        return None
    return text if text.endswith("/") else f"{text}/"


class Prefix:
    """Takes the base path off, where the proxy has left it on, and notes the one that the browser sees."""

    def __init__(self, app: ASGIApp, base: str, *, behind_proxy: bool) -> None:
        self._app = app
        self._base = base
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, BASE: self._seen(scope)}
            path: str = scope["path"]
            for base in map(unquote, {self._base, scope[BASE]} - {"/"}):  # as the path of a scope is
                if path.startswith(base) or path == base[:-1]:
                    scope["path"] = f"/{path[len(base) :]}"
                    scope["raw_path"] = scope["path"].encode("utf-8", "surrogateescape")
                    break
        await self._app(scope, receive, send)

    def _seen(self, scope: Scope) -> str:
        if not self._behind_proxy:
            return self._base
        given = Headers(scope=scope).get("x-forwarded-prefix")
        found = base_path(given) if given else None
        return self._base if found is None else found
