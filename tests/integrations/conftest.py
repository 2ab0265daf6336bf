from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue import Spool
from tests.agent.harness import ROOT, Cluster, a_cluster

PYTHONPATH = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
"""With it processes find this source, and other versions of libraries where somebody tries them."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    base = tmp_path / "it's a $(touch pwned) dir"
    base.mkdir()
    with a_cluster(base) as made:
        yield made


@pytest.fixture
def spool(cluster: Cluster) -> Spool:
    return Spool(cluster.job_id, cluster.queue_root)
