"""Services to which people are told things: a real HTTP server on the loopback, and one that only remembers."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_queue.notify import deliver
from gpu_queue.notify.addresses import Book
from gpu_queue.notify.children import Child, Delivery, Message
from gpu_queue.notify.sending import Outcome, Round
from tests.node.harness import Room


class Letterbox:
    """Takes what is posted to it; a path that begins with a status gets that, ``/hang`` never an answer."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self._closing = threading.Event()
        box = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                box.got.append((self.path, json.loads(body)))
                if self.path.startswith("/hang"):
                    box._closing.wait(60)
                status = self.path[1:4]
                self.send_response(int(status) if status.isdigit() else 200)
                self.end_headers()
                self.wfile.write(b'{"code": 0, "errcode": 0}')

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> Letterbox:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def address(self, path: str = "") -> str:
        return f"json://127.0.0.1:{self.port}/{path}"

    @property
    def titles(self) -> list[str]:
        return [body["title"] for _, body in self.got]


@dataclass
class Memory:
    """Answers at once what it was told to, and remembers messages: for what is decided before they are sent."""

    answer: str = deliver.SENT
    got: list[Message] = field(default_factory=list)

    def __call__(self, addresses: Sequence[str], messages: Sequence[Message]) -> Child:
        memory = self

        class Remembered(Child):
            def __init__(self) -> None:
                memory.got += messages

            def result(self) -> Delivery:
                return Delivery((memory.answer,) * len(messages))

        return Remembered()

    @property
    def titles(self) -> list[str]:
        return [one.title.partition("] ")[2] for one in self.got]


OPS = Book({"OPS": ("json://127.0.0.1:1/",)})


def look(room: Room, memory: Memory, now_s: float = 1e9, book: Book = OPS) -> Outcome:
    """One look at what is to be told, at this moment of the server's clock."""
    return Round(room.paths, book, frozenset({room.root.stat().st_uid}), memory).work(now_s)
