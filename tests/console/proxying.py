"""A reverse proxy as a cluster has it: what lies below a prefix comes from a console, streams as they come."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})


@contextlib.contextmanager
def a_proxy(port: int, prefix: str, *, keeps: bool, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start one before the console on a port; the address below which it shows it.

    Args:
        port: of the console.
        prefix: without a slash at its end; all else is 404, as if it were another's.
        keeps: the prefix is left on the path, else it is taken off.
        headers: added to each request.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # a connection ends with its reply: its length need not be known

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                self.pass_on()

        def pass_on(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                path = self.path if keeps else self.path[len(prefix) :]
                sent |= {"X-Forwarded-Host": self.headers["host"], "X-Forwarded-For": "127.0.0.1", **(headers or {})}
                upstream.request(self.command, path, body, sent)
                reply = upstream.getresponse()
                self.send_response_only(reply.status, reply.reason)
                for name, value in reply.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.end_headers()
                while piece := reply.read1(65536):
                    self.wfile.write(piece)
            except (ConnectionError, http.client.HTTPException, TimeoutError):
                self.close_connection = True  # either side has gone
            finally:
                upstream.close()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
