"""Trainings with real libraries are warned, save, and go on: ``make test-libraries`` (1 GB)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, a_cluster

EXAMPLES = ROOT / "examples/checkpoints"
pytestmark = [pytest.mark.libraries, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with a_cluster(tmp_path) as made:
        yield made


def path_of_libraries() -> dict[str, str]:
    """An environment whose Python has them."""
    directory = os.environ.get("GPU_QUEUE_TEST_LIBRARIES", "")
    if not directory:
        pytest.skip("GPU_QUEUE_TEST_LIBRARIES names no environment that has them; make test-libraries")
    return {"PATH": f"{directory}/bin:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def copied(cluster: Cluster, *names: str) -> str:
    for name in names:
        shutil.copy(EXAMPLES / name, cluster.base)
    return (EXAMPLES / names[0]).read_text()


def test_lightning_saves_on_usr1_and_requeues_itself(cluster: Cluster) -> None:
    script = copied(cluster, "lightning_train.sh", "lightning_train.py").replace("@90", "@5")
    agent = cluster.start("--leave-grace", "20s", simulate="1", env=path_of_libraries())
    task = cluster.submit(script, "lightning_train.sh")
    cluster.wait_for_line(task, "begins at step 0", 120)
    cluster.command_all("shutdown", wait=False)
    assert agent.wait(60) == 0
    assert [record["outcome"] for record in cluster.tries(task)] == ["again"], cluster.log(task)
    assert "told USR1" in cluster.log(task)
    assert len(list(cluster.base.glob("hpc_ckpt_*.ckpt"))) == 1
    cluster.start(simulate="1", env=path_of_libraries())
    cluster.wait_for(task, "done", 120)
    assert "ends at step 300" in cluster.log(task)
    begun = [int(line.split()[-1]) for line in cluster.log(task).splitlines() if line.startswith("begins at step")]
    assert begun[0] == 0 < begun[1] < 300, begun


def test_the_trainer_of_transformers_saves_on_term_and_ends_well(cluster: Cluster) -> None:
    script = copied(cluster, "trainer_train.py")
    agent = cluster.start("--leave-grace", "20s", simulate="1", env=path_of_libraries())
    task = cluster.submit(script, "trainer_train.py", signal="TERM@30")
    cluster.wait_for_line(task, "begins at step 0", 120)
    cluster.command_all("shutdown", wait=False)
    assert agent.wait(60) == 0
    assert [record["outcome"] for record in cluster.tries(task)] == ["saved"], cluster.log(task)
    cluster.start(simulate="1", env=path_of_libraries())
    cluster.wait_for(task, "done", 120)
    assert "ends at step 300" in cluster.log(task)
    begun = [int(line.split()[-1]) for line in cluster.log(task).splitlines() if line.startswith("begins at step")]
    assert begun[0] == 0 < begun[1] < 300, begun


def test_submitit_checkpoints_on_usr2_and_asks_by_its_status(cluster: Cluster) -> None:
    script = copied(cluster, "submitit_train.sh", "submitit_train.py")
    environment = path_of_libraries()
    subprocess.run(
        ["python", "submitit_train.py"], cwd=cluster.base, env={**os.environ, **environment}, check=True, timeout=60
    )
    agent = cluster.start("--leave-grace", "20s", simulate="1", env=environment)
    task = cluster.submit(script, "submitit_train.sh")
    cluster.wait_for_line(task, "begins at step 0", 60)
    cluster.command_all("shutdown", wait=False)
    assert agent.wait(60) == 0
    assert [record["outcome"] for record in cluster.tries(task)] == ["again"], cluster.log(task)
    cluster.start(simulate="1", env=environment)
    cluster.wait_for(task, "done", 60)
    begun = [int(line.split()[-1]) for line in cluster.log(task).splitlines() if line.startswith("begins at step")]
    assert begun[0] == 0 < begun[1] < 300, begun
