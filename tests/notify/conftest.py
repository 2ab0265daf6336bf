from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.harness import Room, a_spool
from tests.notify.services import Letterbox


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A spool, and a machine to serve it."""
    with a_spool(tmp_path / "paper") as one:
        yield one


@pytest.fixture
def letterbox() -> Iterator[Letterbox]:
    """An HTTP server on the loopback."""
    with Letterbox() as one:
        yield one
