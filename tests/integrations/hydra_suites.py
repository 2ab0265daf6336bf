"""Hydra's own suites for launchers, on ours: run by ``test_hydra`` in a process of its own."""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite


def test_hydra_finds_it() -> None:
    assert "GpuQueueLauncher" in [one.__name__ for one in Plugins.instance().discover(Launcher)]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("gpu_queue", [])])
class TestLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/launcher=gpu_queue"])],
)
class TestIntegration(IntegrationTestSuite):
    pass
