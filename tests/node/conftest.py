from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.harness import Room, a_spool


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A spool, and a machine to serve it."""
    with a_spool(tmp_path) as one:
        yield one
