"""What is sent with a request: too much, too slowly, or no JSON."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.console.access import bodies
from gpu_queue.console.access.bodies import BODY_MAX_BYTES, SCRIPTS_MAX_BYTES
from gpu_queue.console.process import HEAD_S
from tests.console.conftest import FULL, MakeClient
from tests.console.inside import Inside
from tests.console.served import Served, a_console

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff", b"[NaN]", b"{'a': 1}", b"[" * 100_000, b'{"token": Infinity}', b"\0", b'"\x01"'],
)
def test_what_is_no_json_is_refused(client: Inside, body: bytes) -> None:
    reply = client.post("/access", content=body, headers=JSON)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_json")


def test_a_lone_surrogate_does_no_harm(client: Inside) -> None:
    reply = client.post("/access", content=b'{"token": "\\ud800"}', headers=JSON)
    assert reply.status_code in (401, 422)


def test_a_body_that_says_that_it_is_too_large_is_not_read(client: Inside) -> None:
    headers = {**JSON, "Content-Length": str(BODY_MAX_BYTES + 1)}
    reply = client.post("/access", content=b"{}", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (413, "too_large")
    assert reply.headers["connection"] == "close"


def test_one_that_does_not_say_so_is_read_so_far(client: Inside) -> None:
    assert client.post("/access", content=blanks(17), headers=JSON).status_code == 413
    assert client.post("/access", content=blanks(16), headers=JSON).status_code == 400  # blanks are no JSON


def test_scripts_may_be_larger(client: Inside) -> None:
    body = json.dumps({"a": "x" * (2 * BODY_MAX_BYTES)}).encode()
    assert client.post("/api/v1/spools/exp/plans", content=body, headers=JSON).status_code != 413
    assert client.post("/api/v1/spools/exp/plans/a/run", content=body, headers=JSON).status_code == 413
    headers = {**JSON, "Content-Length": str(SCRIPTS_MAX_BYTES + 1)}
    assert client.post("/api/v1/spools/exp/plans", content=b"", headers=headers).status_code == 413


def test_only_json_changes_something(client: Inside) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
        reply = client.post("/access", content=json.dumps({"token": FULL}), headers={"Content-Type": kind})
        assert (reply.status_code, reply.json()["code"]) == (415, "not_json")


def test_nobody_without_a_token_has_a_body_read(make_client: MakeClient) -> None:
    client = make_client(token=None)
    reply = client.post("/api/v1/spools/exp/plans", content=b"x" * 2_000_000, headers=JSON)
    assert reply.status_code == 401


async def begins(until: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"{"
    await until.wait()


async def blanks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 65536


def test_a_body_that_does_not_come_is_given_up(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    client = make_client()

    reply = client.post("/access", content=begins(asyncio.Event()), headers=JSON)
    assert (reply.status_code, reply.json()["code"]) == (408, "slow_body")


@contextmanager
def a_line(console: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", console.port), timeout=3 * HEAD_S) as made:
        yield made


@pytest.mark.long
def test_connections_on_which_nobody_asks_are_closed(served: Served) -> None:
    """None of them, nor all together, keeps the console from others."""
    begun = time.monotonic()
    with a_line(served) as silent, a_line(served) as drips, a_line(served) as asked:
        drips.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
        asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while b"}" not in answer:
            answer += asked.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")
        asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
        assert served.ask("GET", "healthz").status_code == 200
        assert silent.recv(4096) == b""
        assert drips.recv(4096) == b""
        assert asked.recv(4096) == b""
    assert time.monotonic() - begun < 2 * HEAD_S + 5


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\0\0\0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /api/v1/spools HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"POST /access HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /access HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /access HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    ],
    ids=range(9),
)
def test_what_is_no_request_of_http_is_refused(console: Served, request_bytes: bytes) -> None:
    with a_line(console) as made:
        made.sendall(request_bytes)
        reply = made.recv(4096)
    assert reply[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 421", b"HTTP/1.1 405", b"HTTP/1.1 415", b"HTTP/1.1 401"), reply
    assert console.ask("GET", "healthz").status_code == 200


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base: Path = tmp_path_factory.mktemp("console")
    with a_console(base) as found:
        yield found
