"""Errors of the storage, before an operation and after it was done: each task runs once all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.storage import BadStorage, bad_storage

SCRIPT = '#!/bin/sh\n#GPUQ --gpus 0\necho "$GPU_QUEUE_TASK" >>{ran}\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadStorage]:
    """One agent for all: what one fault leaves behind, the next must live with."""
    with bad_storage(tmp_path_factory.mktemp("bad")) as bad:
        bad.start()
        yield bad


def error(op: str, match: str, name: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "match": match, "errno": name, "times": 1, **more}


ONCE = [
    error("rename", "/running/", "ENOENT", after=True),
    error("rename", "/running/", "EIO", after=True),
    error("rename", "/running/", "ESTALE"),
    error("rename", "/running/", "ENOSPC"),
    error("rename", "/done/", "ENOENT", after=True),
    error("rename", "/done/", "EEXIST", after=True),
    error("rename", "/done/", "EIO"),
    error("rename", "/done/", "EDQUOT"),
    error("readdir", "/running/", "ESTALE", times=2),
    error("readdir", "/pending", "EIO"),
    error("open", "/running/", "ESTALE", times=3),
    error("read", "/running/", "EIO"),
    error("create", "/records/", "ENOSPC"),
    error("create", "/logs/", "ENOSPC"),
    error("flush", "/records/", "EDQUOT"),
]
"""The faults; `times` is more where the kernel itself asks once more."""


def named(rule: dict[str, Any]) -> str:
    return f"{rule['op']}{rule['match'].replace('/', '-')}{rule['errno']}{'-done' if rule.get('after') else ''}"


@pytest.mark.parametrize("rule", ONCE, ids=named)
def test_a_task_runs_once_whatever_fails_on_its_way(served: BadStorage, rule: dict[str, Any]) -> None:
    cluster = served.cluster
    ran = cluster.base / "ran"
    before = len(served.hits())
    served.fail(rule)
    task = cluster.submit(SCRIPT.format(ran=ran))
    cluster.wait_for(task, "done")
    served.mend()
    assert served.hits()[before:], "the fault was not met"
    assert ran.read_text().split().count(task) == 1
