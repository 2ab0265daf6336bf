"""The launcher of Hydra on a real agent, also by Hydra's own suites for launchers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.harness import Cluster
from tests.integrations.conftest import PYTHONPATH

APP = """
import hydra
from hydra.core.config_store import ConfigStore
ConfigStore.instance().store(name="config", node={"lr": 0.1})

@hydra.main(version_base=None, config_name="config")
def train(config):
    if config.lr > 1:
        raise ValueError(f"lr={config.lr} is too much")
    return config.lr

if __name__ == "__main__":
    train()
"""


def test_a_sweep_is_queued_at_once_and_a_run_that_fails_is_failed(cluster: Cluster) -> None:
    app = cluster.base / "app.py"
    app.write_text(APP)
    cluster.start(simulate="4")
    words = ["--multirun", "hydra/launcher=gpu_queue", "hydra.launcher.gpus_per_node=1", "hydra.launcher.priority=77"]
    environment = cluster.environment(
        JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=PYTHONPATH
    )
    done = subprocess.run(
        [sys.executable, app, *words, "lr=0.5,2"],
        cwd=cluster.base,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    assert "ValueError: lr=2 is too much" in done.stderr
    assert ", in train\n" in done.stderr  # where on the node it was raised
    ((good,), (bad,)) = cluster.names("done"), cluster.names("failed")
    assert (good[:4], bad[:4], good[-3:]) == ("077-", "077-", "app")
    assert "ValueError: lr=2 is too much" in cluster.log(bad[4:])


def test_hydra_without_the_other_launcher_hears_nothing_of_ours(tmp_path: Path) -> None:
    """Who has this distribution for something else, and Hydra too."""
    (tmp_path / "app.py").write_text(APP)
    code = (
        "import importlib.util as util, runpy, sys; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if 'submitit' in name else find(name, *more)\n"
        "sys.argv = ['app.py', 'lr=0.5']; runpy.run_path('app.py', run_name='__main__')\n"
    )
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_hydras_own_suites_for_launchers_pass(cluster: Cluster) -> None:
    cluster.start("--simulate", "8", simulate=None)
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, str(Path(__file__).with_name("hydra_suites.py"))]
    # Of Hydra 1.4: it asks for the file of a function that is pickled as it is, which cloudpickle leaves out.
    command += ["-k", "not test_failure_preserves_task_traceback"]
    environment = cluster.environment(
        JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=PYTHONPATH
    )
    run = subprocess.run(
        command, env=environment, cwd=cluster.base, capture_output=True, text=True, check=False, timeout=880
    )
    assert run.returncode == 0, run.stdout + run.stderr + cluster.dump()
    assert "21 passed" in run.stdout
