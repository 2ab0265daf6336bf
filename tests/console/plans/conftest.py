from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.plans.console import Console
from tests.shell.helpers import Spool


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A queue that is made and served by hand; whoever asks in vain waits for a second."""
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "1")
    monkeypatch.setenv("USER", "alice")
    return Spool(tmp_path / "exp").make()


@pytest.fixture
def console(spool: Spool, tmp_path: Path) -> Iterator[Console]:
    made = Console(spool.path, home=str(tmp_path))
    yield made
    made.close()
