"""The server process: one event loop on a socket that was bound before it, until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_S = 10.0
"""So long the head of a request may take, and twice as long a connection may be idle."""
CONNECTIONS_MAX = 512
HEAD_MAX_BYTES = 64 << 10
LEAVE_S = 2
"""So long streams may go on when it ends."""


class Protocol(H11Protocol):
    """Closes connections on which nobody asks: any user of the machine can open them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._served: object = None
        self._look = self.loop.call_later(HEAD_S, self._close_if_unasked)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._look.cancel()
        super().connection_lost(exc)

    def _close_if_unasked(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or (cycle.response_complete and cycle is self._served):
            self.transport.close()  # nothing was asked since the last look
            return
        self._served = cycle
        self._look = self.loop.call_later(HEAD_S, self._close_if_unasked)


class Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        OSError: the port is taken, or the address is not of this machine.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host in ("::", ""):
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(address)
        made.listen(128)  # taken from now on, and not only when the loop runs
    except OSError:
        made.close()
        raise
    return made


def serve(app: FastAPI, bound: socket.socket, ready: Callable[[], None], log_config: dict[str, Any]) -> None:
    """Serve until TERM or INT."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=log_config,
        access_log=False,
        proxy_headers=False,  # they would put another in the place of the peer, whose user is asked for
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=LEAVE_S,
        h11_max_incomplete_event_size=HEAD_MAX_BYTES,
    )
    signal.signal(signal.SIGTERM, _leave)  # uvicorn ends in order, and then raises again what it was told
    Server(config, ready).run([bound])


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def log_config(path: str) -> dict[str, Any]:
    """Where messages go: to a file that keeps within bounds, else to stderr.

    Args:
        path: of the file; empty: stderr.
    """
    handler: dict[str, Any] = {"class": "logging.StreamHandler", "formatter": "line"}
    if path:
        handler = {
            "class": "logging.handlers.RotatingFileHandler",
            "formatter": "line",
            "filename": path,
            "maxBytes": 4 << 20,
            "backupCount": 1,
            "encoding": "utf-8",
            "errors": "backslashreplace",
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
        "handlers": {"out": handler},
        "loggers": {
            "uvicorn": {"level": "WARNING"},
            "gpu_queue.console": {"level": "INFO"},
        },
        "root": {"level": "WARNING", "handlers": ["out"]},
    }


READY_FD = "GPU_QUEUE_CONSOLE_READY_FD"


def tell_ready(line: str) -> None:
    """Tell whoever started this in the background that it answers."""
    number = os.environ.pop(READY_FD, "")
    if number.isdecimal():
        try:
            os.write(int(number), line.encode("utf-8", "surrogateescape"))
            os.close(int(number))
        except OSError:
            pass  # it waits no more
