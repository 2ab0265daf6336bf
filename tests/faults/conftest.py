"""Fixtures of the tests with injected faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import Cluster, a_cluster
from tests.node.harness import Room, a_spool


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with a_spool(tmp_path / "room") as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    base = tmp_path / "it's a $(touch pwned) dir"
    base.mkdir()
    with a_cluster(base) as made:
        yield made
