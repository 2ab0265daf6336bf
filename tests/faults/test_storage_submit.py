"""gpu_submit on storage that takes one of several scripts not: the others keep their records."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.storage import bad_storage


def test_of_several_scripts_the_one_that_storage_refuses_is_taken_back_alone(tmp_path: Path) -> None:
    with bad_storage(tmp_path) as bad:
        for number in range(4):
            (tmp_path / f"t{number}.sh").write_text("#!/bin/sh\nexit 0\n")
        bad.fail({"op": "rename", "match": "-t2.sh", "errno": "EIO"})
        said = bad.client("gpu_submit t0.sh t1.sh t2.sh t3.sh")
        assert said.returncode == 1
        assert "t2.sh could not be written, so it is not queued" in said.stderr
        queued = said.stdout.split()
        assert [name[-5:] for name in queued] == ["t0.sh", "t1.sh", "t3.sh"]
        assert sorted(bad.cluster.names("pending")) == sorted(queued)
        records = os.listdir(f"{bad.cluster.paths.root}/records")
        assert sorted(records) == sorted(f"{name[4:]}.json" for name in queued)
