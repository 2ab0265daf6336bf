from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell_submit.machine import HERE, MOON_WAY, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    code = tmp_path / "the code"
    code.mkdir()
    shutil.copy(HERE / "stand_in_agent.py", code / "perpetual_motion.py")
    made = Machine(
        tmp_path,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / "home"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "CODE_DIR": str(code),
            "PYTHON": sys.executable,
            "SUBMIT_WAY": "local",
            "SUBMIT_PREFIX": "alice",
            "STAND_IN": "serves",
            "STAND_IN_FACTS": str(tmp_path / "facts"),
        },
    )
    yield made
    if (tmp_path / "facts").exists():
        try:
            os.kill(made.agent["pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.fixture
def moon(machine: Machine) -> Path:
    """The jobs of a cluster to which there is a way in the home directory."""
    jobs = machine.root / "moon"
    jobs.mkdir()
    machine.own_way("moon", MOON_WAY)
    machine.env |= {"MOON": str(jobs), "SUBMIT_WAY": "", "MOON_MOOD": "", "PYTHON": "/opt/py/bin/python"}
    return jobs
