"""Consoles for the tests: real ones, and the application in this process for what is quick."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.console.access.tokens import Tokens
from gpu_queue.console.pages import Page
from gpu_queue.console.serving import make_app
from gpu_queue.console.settings import ConsoleSettings
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths
from tests.console.inside import Inside
from tests.console.served import Served, a_console

FULL, READ = "full-token-of-the-tests-0123456789abcdef", "read-token-of-the-tests-0123456789abcdef"
PAGES = {
    "index.html": Page(
        "index.html",
        b'<!doctype html><base href="/" /><meta property="csp-nonce" nonce="" /><script src="theme.js"></script>',
    ),
    "theme.js": Page("theme.js", b"document.title;"),
    "assets/main-1a2b3c4d.js": Page("assets/main-1a2b3c4d.js", b"// " + b"x" * 3000),
}


@pytest.fixture
def queue_root(tmp_path: Path) -> Path:
    """A directory with one empty queue, `exp`."""
    root = tmp_path / "queues"
    root.mkdir()
    previous = os.umask(0o077)
    make_spool(SpoolPaths(str(root / "exp")))
    os.umask(previous)
    return root


@pytest.fixture
def served(tmp_path: Path, queue_root: Path) -> Iterator[Served]:
    """A real console over one empty queue, `exp`."""
    with a_console(tmp_path, queue_root=queue_root) as console:
        yield console


MakeClient = Callable[..., Inside]


@pytest.fixture
def make_client(queue_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeClient]:
    """Makes clients of an application in this process: `make_client(token=FULL, read_only=True)`.

    A request comes from 127.0.0.1, from a socket that does not exist: only a token lets it in.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with ExitStack() as stack:

        def make(token: str | None = FULL, peer: str = "127.0.0.1", **settings: Any) -> Inside:
            chosen = replace(ConsoleSettings(str(queue_root), history=False), **settings)
            app = make_app(chosen, Tokens(FULL, READ), PAGES)
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            client = Inside(app, headers, peer)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> Inside:
    """An application in this process, over one empty queue, `exp`; requests bear the token."""
    return make_client()
