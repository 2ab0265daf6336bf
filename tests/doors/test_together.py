"""What goes in at one door comes out at the other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpu_queue import Script
from gpu_queue import Spool as Face
from tests.cases import long
from tests.doors.conftest import the_door
from tests.doors.door import Door, a_script
from tests.shell.helpers import WEIRD, Shell, Spool, shells


@pytest.fixture(params=shells())
def shell(request: pytest.FixtureRequest, home: Path, root: Path) -> Shell:
    return Shell(str(request.param), home, root)


@pytest.fixture
def face(home: Path, root: Path) -> Face:
    return Face("exp 1", root)


@pytest.mark.parametrize(
    "name", ["a\nb;&.sh", "\udcff.sh", "\\n\\\n\t\x7f\\.sh", WEIRD, *long("train.sh", "训练 一.sh")]
)
def test_what_python_submits_the_shell_finds_explains_and_cancels(shell: Shell, face: Face, name: str) -> None:
    task = face.submit(Script(name, "true\n"), memory="20G")
    assert "no agent is alive" in shell.ok('gpu_explain "$NAME"', NAME=name).out
    said = shell.ok('gpu_cancel "$NAME"', NAME=name)
    assert str(task) in said.out
    (found,) = face.find(name)
    assert (found.where, found.id) == ("failed", task.id)
    assert face.record(task).name == name


@pytest.mark.parametrize("name", ["a\nb;&.sh", "\udcff.sh", "\\n\\\n\t\x7f\\.sh", *long("train.sh", "训练 一.sh")])
def test_what_the_shell_submits_python_finds_explains_and_cancels(
    shell: Shell, face: Face, home: Path, name: str
) -> None:
    (full,) = shell.ok('gpu_submit -- "$FILE"', FILE=a_script(home, name)).lines
    (found,) = face.find(name)
    assert str(found) == full
    assert face.explain(name).lines == ("no agent is alive; start one with ./submit.sh",)
    assert face.record(name).path == str(home / name)
    assert all(face.cancel(name))
    assert face.find(name)[0].where == "failed"


@pytest.mark.parametrize("first", [*shells(), "python"])
@pytest.mark.parametrize("second", [*shells(), "python"])
def test_what_one_pauses_another_resumes(
    first: str, second: str, home: Path, root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def door(kind: str) -> Door:
        return the_door(kind, home, root, monkeypatch)

    assert door(first).pause("x").ok
    assert (spool.path / "paused").exists()
    assert door(second).resume().ok
    assert not (spool.path / "paused").exists()


def test_two_doors_at_once_lose_and_double_nothing(shell: Shell, face: Face, home: Path) -> None:
    """Each script is there once, however the two take turns."""
    a_script(home, "s.sh")
    started = shell.start("for i in 1 2 3 4 5; do gpu_submit s.sh s.sh; done")
    mine = [str(task) for _ in range(10) for task in face.publish([Script("p.sh", "true\n")] * 3)]
    try:
        out, err = started.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        started.kill()
        raise
    assert (started.returncode, len(out.split())) == (0, 10), err
    names = [str(task) for task in face.find()]
    assert sorted(names) == sorted([*mine, *out.split()])
    assert mine == sorted(mine)


def test_a_task_over_several_nodes_has_a_log_for_each_and_is_forgotten_with_them(shell: Shell, face: Face) -> None:
    task = face.submit(Script("train.sh", "true\n"), nodes=2, gpus=1)
    assert task.id is not None
    logs = Path(face.path, "logs")
    for ending in ("", ".rank1", ".rank10", ".try2.abcdef", ".try2.abcdef.rank1"):
        (logs / f"{task.id}{ending}.log").write_text(f"of {ending or 'rank 0'}\n")
    os.rename(Path(face.path, "pending", str(task)), Path(face.path, "done", str(task)))
    assert [path.rpartition("train.sh")[2] for path in face.logs(task)] == [".log", ".try2.abcdef.log"]
    later = [".rank1.log", ".try2.abcdef.rank1.log"]
    assert [path.rpartition("train.sh")[2] for path in face.logs(task, rank=1)] == later
    assert face.log_tail(task, rank=10) == "of .rank10\n"
    said = shell.ok("gpu_logs train.sh")
    assert "of rank 0" in said.out
    assert "rank1" not in said.out
    assert "others: --rank 1" in said.err
    said = shell.ok("gpu_logs --rank 1 train.sh")
    assert [line for line in said.lines if line.startswith("of")] == ["of .rank1", "of .try2.abcdef.rank1"]
    assert len([line for line in shell.ok("gpu_logs train.sh --rank=all").lines if line.startswith("of")]) == 5
    assert shell.ok("gpu_tail --rank 10 train.sh").out == "of .rank10\n"
    assert "has no rank 5" in shell.run("gpu_logs --rank 5 train.sh").err
    assert shell.run("gpu_logs --rank x train.sh").status == 2


@pytest.mark.parametrize("door", ["shell", "python"])
def test_what_a_task_over_several_nodes_printed_is_forgotten_with_it(shell: Shell, face: Face, door: str) -> None:
    task, other = (face.submit(Script(name, "true\n"), nodes=2, gpus=1) for name in ("a", "a.rank1"))
    logs = Path(face.path, "logs")
    for ending in ("", ".rank1", ".try2.abcdef.rank1", ".rank1.log"):
        (logs / f"{task.id}{ending}.log").write_text("of ours\n")
    kept = logs / f"{other.id}.log"
    kept.write_text("of one that is called so\n")
    os.rename(Path(face.path, "pending", str(task)), Path(face.path, "done", str(task)))
    if door == "shell":
        shell.ok("gpu_clean --older-than 0s")
    else:
        face.clean(older_than=0)
    assert sorted(path.name for path in logs.iterdir()) == sorted([kept.name, f"{task.id}.rank1.log.log"])
