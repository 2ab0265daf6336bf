from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sco.acp import HERE, Platform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = Platform(
        tmp_path,
        {
            "PATH": f"{HERE / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path / "home"),
            "LC_ALL": "C.UTF-8",
            "SCO_STAND_IN": str(tmp_path / "acp"),
            "SCO_IMAGE": "registry.example.com/torch:2.3",
            "SCO_MOUNT": "01995892-d478:/mnt/afs",
            "GQ_JOB_ID": "train-exp1",
            "GQ_GPUS": "2",
        },
    )
    yield made
    made.power_off()
