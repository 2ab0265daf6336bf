from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell.helpers import WEIRD, Shell, Spool, shells


@pytest.fixture(params=shells())
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """bash and zsh, with a queue root whose name has everything that a name can have."""
    home = tmp_path / "home"
    home.mkdir()
    return Shell(str(request.param), home, tmp_path / WEIRD / "queues")


@pytest.fixture
def spool(shell: Shell) -> Spool:
    """A spool that is there already."""
    return shell.spool.make()
