"""The examples of the pages do what they say, on a real agent."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, a_cluster
from tests.integrations.conftest import PYTHONPATH


def examples(page: str, heading: str, language: str = "python") -> list[str]:
    """The blocks of code behind a heading, up to the next one of its level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    level = heading.partition(" ")[0]
    section = re.split(rf"^{level} ", text.split(f"\n{heading}\n", 1)[1], flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def run(cluster: Cluster, code: str) -> str:
    """What a script says that lies in a directory of its own."""
    path = Path(cluster.base, "example.py")
    path.write_text(code)
    done = subprocess.run(
        [sys.executable, path],
        env=cluster.environment(QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=PYTHONPATH),
        cwd=cluster.base,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions(tmp_path: Path) -> None:
    with a_cluster(tmp_path, "train-exp1") as cluster:
        cluster.start(simulate="4")
        functions, executor = examples("python.md", "## Functions")
        told = run(cluster, functions)
        assert told.startswith("0.9090909090909091\n")
        assert len(re.findall(r"^\d{8}T\d{9}-[0-9a-f]{6}-train: succeeded$", told, re.MULTILINE)) == 2
        assert re.search(r"^lr=2 is too much \n\"\"\"\nTraceback ", told, re.MULTILINE)
        *squares, total, first = run(cluster, executor).splitlines()
        assert sorted(int(line.split()[1]) for line in squares) == [0, 1, 4, 9]
        assert (total, first) == ("328350", "0")


def test_submitit_and_hydra(tmp_path: Path) -> None:
    with a_cluster(tmp_path, "train-exp1") as cluster:
        cluster.start(simulate="4")
        (example,) = examples("submitit.md", "## submitit")
        one, array = run(cluster, example).splitlines()
        assert one.split()[1] == "0.9090909090909091"
        assert float(array) == pytest.approx(1 / 1.1 + 1 / 1.2 + 1 / 1.3)
        (app,) = examples("submitit.md", "## Hydra")
        (command,) = examples("submitit.md", "## Hydra", "bash")
        Path(cluster.base, "app.py").write_text(app)
        environment = cluster.environment(QUEUE_ROOT=str(cluster.queue_root), PYTHONPATH=PYTHONPATH)
        words = [sys.executable, *command.replace("0.1,0.2,0.3", "0.1").split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert sum("training with lr=" in cluster.log(task_id) for task_id in cluster.ids("done")) == 5
