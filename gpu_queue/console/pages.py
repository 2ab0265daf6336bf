"""The built pages: read once at the start, so no request's path ever names a file, and none waits for a disk."""

from __future__ import annotations

import functools
import gzip
import hashlib
import html
import os
import re
import secrets
import stat
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gpu_queue.console.faults import response_of
from gpu_queue.console.prefixes import BASE
from gpu_queue.console.problems import Problem
from gpu_queue.console.replies import policy, takes_gzip

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_PACKED = frozenset({".css", ".html", ".js", ".json", ".svg", ".txt", ".webmanifest"})
_HASHED = "assets/"
"""What lies below bears a hash of its content in its name."""
_FILES_MAX = 2000
_FILE_MAX_BYTES = 8 << 20
_BASE_TAG = re.compile(rb'<base href="[^"]*"')
_NONCE_TAG = re.compile(rb'<meta property="csp-nonce" nonce=""')
_NOT_BUILT = b"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<base href="/"><title>gpu-queue</title></head>
<body><p>The pages of this console were not built: run <code>make console</code> in the clone. The API is served.</p>
</body></html>
"""


class Page:
    """A file, as it is sent."""

    def __init__(self, name: str, content: bytes) -> None:
        self.content = content
        extension = os.path.splitext(name)[1]
        self.kind = _TYPES.get(extension, "application/octet-stream")
        self.is_hashed = name.startswith(_HASHED)
        self.etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        self._is_packed = extension in _PACKED and len(content) >= 1024

    @functools.cached_property
    def packed(self) -> bytes | None:
        """With gzip, where that pays."""
        packed = gzip.compress(self.content, 9, mtime=0) if self._is_packed else self.content
        return packed if len(packed) < len(self.content) else None

    def response(self, request: Headers) -> Response:
        """The reply to a request with these headers."""
        headers = {
            "ETag": self.etag,
            "Cache-Control": "public, max-age=31536000, immutable" if self.is_hashed else "no-cache",
            "Vary": "Accept-Encoding",
        }
        known = {one.strip().removeprefix("W/") for one in request.get("if-none-match", "").split(",")}
        if self.etag in known:
            return Response(status_code=304, headers=headers)
        packed = self.packed if takes_gzip(request) else None
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return Response(self.content if packed is None else packed, 200, headers, self.kind)


def read_pages(directory: str = STATIC) -> dict[str, Page]:
    """All files below a directory, by their paths in it; no links, and nothing hidden."""
    found: dict[str, Page] = {}
    for above, directories, names in os.walk(directory):
        directories[:] = sorted(one for one in directories if not one.startswith("."))
        for name in sorted(names):
            path = os.path.join(above, name)
            facts = os.lstat(path)
            is_fine = stat.S_ISREG(facts.st_mode) and facts.st_size <= _FILE_MAX_BYTES and name[0] != "."
            if is_fine and name != "SOURCE-SHA256" and len(found) < _FILES_MAX:
                with open(path, "rb") as file:
                    inside = os.path.relpath(path, directory).replace(os.sep, "/")
                    found[inside] = Page(inside, file.read(_FILE_MAX_BYTES))
    return found


@functools.lru_cache(maxsize=64)
def _with_base(index: bytes, base: str) -> bytes:
    tag = f'<base href="{html.escape(base, quote=True)}"'.encode()
    return _BASE_TAG.sub(lambda _match: tag, index, count=1)


def _fresh(index: bytes) -> Response:
    """The page with a new word for its styles: nobody keeps it, for the word is of this one reply."""
    nonce = secrets.token_urlsafe(18)
    tag = f'<meta property="csp-nonce" nonce="{nonce}"'.encode()
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy(nonce)}
    return Response(_NONCE_TAG.sub(lambda _match: tag, index, count=1), 200, headers, _TYPES[".html"])


class Pages:
    """Serves the pages; passes on what is none."""

    def __init__(self, app: ASGIApp, pages: Mapping[str, Page]) -> None:
        self._app = app
        self._pages = pages
        index = pages.get(INDEX)
        self._index = _NOT_BUILT if index is None else index.content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        reply = self._reply(scope) if scope["type"] == "http" else None
        if reply is None:
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            refused = Problem(405, "no_such_method", "a page can only be read", headers={"Allow": "GET, HEAD"})
            await response_of(refused)(scope, receive, send)
        else:
            await reply(scope, receive, send)

    def _reply(self, scope: Scope) -> Response | None:
        path, base = scope["path"], scope.get(BASE, "/")
        if path in ("", "/", "/ui") or path.startswith("/ui/"):
            return _fresh(_with_base(self._index, base))
        if path == f"/{INDEX}":
            return RedirectResponse(base, 307)
        page = self._pages.get(path[1:])
        return None if page is None else page.response(Headers(scope=scope))
