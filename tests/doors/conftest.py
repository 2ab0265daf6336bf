from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpu_queue import Spool as Face
from tests.doors.door import Door, PythonDoor, ShellDoor
from tests.shell.helpers import WEIRD, Shell, Spool, shells

DOORS = [*shells(), "python"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is, and what his environment says; the shells bring their own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name, value in (("USER", "alice"), ("GPU_QUEUE_PATIENCE", "1"), ("PWD", str(home))):
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of all queues; its name has everything that a name can have."""
    return tmp_path / WEIRD / "queues"


def the_door(kind: str, home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    if kind == "python":
        return PythonDoor(Face("exp 1", root), monkeypatch)
    return ShellDoor(Shell(kind, home, root))


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    return the_door(str(request.param), home, root, monkeypatch)


@pytest.fixture
def spool(root: Path) -> Spool:
    """The queue of both doors, there already."""
    return Spool(root / "exp 1").make()


@pytest.fixture
def aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Where a wish waits for its answers while the test plays the agents: on a busy machine that takes its time."""
    assert home
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "10")
    with ThreadPoolExecutor() as pool:
        yield pool
