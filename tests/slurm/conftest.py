"""A real Slurm for the tests of `make test-slurm`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Slurm, a_slurm, missing

ASKED = os.environ.get("GPU_QUEUE_TEST_SLURM", "")
"""Set by `make test-slurm` to ``1``, or to ``all``: a Slurm that cannot be brought up fails then."""

only_with_all = pytest.mark.skipif(ASKED != "all", reason="takes minutes: make test-slurm ALL=1")


def refuse_unless_asked() -> None:
    """Skip a test of a real Slurm where nobody asked for one; fail it where it was asked for and cannot be."""
    if not ASKED:
        pytest.skip("a real Slurm is tried by: make test-slurm")
    if reason := missing():
        pytest.fail(f"no Slurm to try: {reason}", pytrace=False)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Two nodes of four GPUs, shared by the tests of one process: a test ends the jobs that it starts."""
    refuse_unless_asked()
    with a_slurm() as cluster:
        yield cluster
