"""``gpu-queue report`` as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.running.place import make_place, own_spool
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.spool.paths import SpoolPaths

ROOT = Path(__file__).parents[3]
GPU_QUEUE = [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())"]


class Desk:
    """A person's shell."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GPU_QUEUE_", "JOB_ID", "QUEUE"))
        }
        self.environment = {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "JOB_ID": "exp", "COLUMNS": "80"}

    def load(self, file: str = "g.yaml", group: str = "g", *names: str, paths: SpoolPaths | None = None) -> None:
        runs = tuple(Run(name, "job", group, "#!/bin/sh\ntrue\n", "1") for name in names)
        place = str(self.home / file)
        load_experiment(paths or SpoolPaths(str(self.home / "gpu_queue" / "exp")), Experiment(place, place, runs))

    def report(self, *words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**self.environment, **variables}
        command = [*GPU_QUEUE, "report", *words]
        return subprocess.run(command, env=environment, cwd=self.home, capture_output=True, timeout=60, check=False)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_group_is_told_of_and_the_others_are_not(desk: Desk) -> None:
    desk.load("g.yaml", "g", "a", "b")
    desk.load("h.yaml", "h", "c")
    done = desk.report("g")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "g: 2 runs: 2 waiting"
    assert [line.split()[:2] for line in lines[2:4]] == [["a", "waiting"], ["b", "waiting"]]
    assert lines[4:] == ["nothing has started yet"]
    value = json.loads(desk.report("g", "--json").stdout)
    assert [run["name"] for run in value["groups"][0]["runs"]] == ["a", "b"]
    table = desk.report("h", "--csv").stdout.decode().splitlines()
    assert [line.split(",")[:2] for line in table] == [["group", "name"], ["h", "c"]]


def test_a_file_means_its_own_queue_and_else_the_one_that_others_share(desk: Desk) -> None:
    desk.load("g.yaml", "g", "shared")
    assert b"shared" in desk.report("g.yaml").stdout
    own = own_spool(str(desk.home / "g.yaml"))
    make_place(own)
    desk.load("g.yaml", "g", "own", paths=own)
    assert b"own" in desk.report("./g.yaml", JOB_ID="").stdout
    assert b"shared" in desk.report("g.yaml", "--job-id", "exp").stdout
    (desk.home / "link.yaml").symlink_to("g.yaml")
    assert b"own" in desk.report("link.yaml").stdout, "a link's file is what was loaded"


def test_a_group_that_is_not_there_is_answered_with_those_that_are(desk: Desk) -> None:
    desk.load("g.yaml", "gamma", "a")
    desk.load("h.yaml", "multi_seed", "b")
    done = desk.report("multi_sed")
    assert (done.returncode, done.stdout) == (1, b"")
    queue = f"{desk.home}/gpu_queue/exp"
    assert done.stderr.decode() == (
        f"gpu-queue report: the queue {queue} has no group multi_sed; it has groups: multi_seed, gamma\n"
    )
    done = desk.report("other.yaml")
    assert done.returncode == 1
    assert f"has no runs of other.yaml; it has runs of experiment files: {desk.home}/" in done.stderr.decode()


def test_where_there_is_no_queue_that_is_said(desk: Desk) -> None:
    done = desk.report("g")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"there is no queue" in done.stderr
    done = desk.report("g", JOB_ID="")
    assert done.returncode == 1
    assert b"or give an experiment's file in the place of its group" in done.stderr
    done = desk.report("no.yaml", JOB_ID="")
    assert done.stderr == b"gpu-queue report: no.yaml: there is no such file\n"
    (desk.home / "new.yaml").write_text("jobs: {a: {run: x}}\n")
    done = desk.report("new.yaml", JOB_ID="")
    assert b"new.yaml was not run here: gpu-queue run does it" in done.stderr
    assert desk.report("g", "--csv", "--json").returncode == 2


def test_a_queue_without_experiments_has_no_groups(desk: Desk) -> None:
    submit = "from gpu_queue import Script, Spool; Spool('exp').submit(Script('a.sh', 'true'))"
    subprocess.run([sys.executable, "-c", submit], env=desk.environment, cwd=desk.home, check=True)
    done = desk.report("g")
    assert done.returncode == 1
    assert b"has no runs of experiment files; gpu-queue load FILE.yaml" in done.stderr


@pytest.mark.parametrize("columns", ["120", "80", "40"])
def test_the_table_fits_the_terminal(desk: Desk, columns: str) -> None:
    desk.load("g.yaml", "g", *(f"a-name-that-is-long-{at}-" + "x" * 70 for at in range(3)))
    lines = desk.report("g", COLUMNS=columns).stdout.decode().splitlines()
    assert max(map(len, lines)) <= int(columns)


def test_a_terminal_that_shows_ascii_alone_gets_no_more(desk: Desk) -> None:
    desk.load("g.yaml", "g", "实验" + "x" * 80)
    done = desk.report("g", PYTHONIOENCODING="ascii", COLUMNS="40")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_a_reader_that_has_seen_enough_is_no_failure(desk: Desk) -> None:
    desk.load("g.yaml", "g", *(f"run{at}" for at in range(300)))
    with subprocess.Popen(
        [*GPU_QUEUE, "report", "g", "--json"], env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
