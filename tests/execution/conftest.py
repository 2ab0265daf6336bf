from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.execution.helpers import SHELLS, Bench, bench


@pytest.fixture(params=SHELLS)
def each_shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A try's surroundings, once for each shell that /bin/sh may be."""
    if not shutil.which(SHELLS[request.param][0]):
        pytest.skip(f"no {request.param} here")
    with bench(tmp_path / "spool", request.param) as one:
        yield one


@pytest.fixture
def all_shells(tmp_path: Path) -> Iterator[list[Bench]]:
    """The same for all of them at once, where a test must let seconds pass."""
    with ExitStack() as stack:
        there = [name for name, words in SHELLS.items() if shutil.which(words[0])]
        yield [stack.enter_context(bench(tmp_path / name, name)) for name in there]


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Bench]:
    """The same with this system's own /bin/sh."""
    with bench(tmp_path / "spool") as one:
        one.shell = ("/bin/sh",)
        yield one
