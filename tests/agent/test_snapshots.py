"""A task runs in a copy of the tree that it was submitted with, which nobody changes and which is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue.code.entries import FILE, LINK, Entry, key_of
from gpu_queue.code.tape import Member
from gpu_queue.execution import launcher
from gpu_queue.execution.unpacking import Refused, link, unpack
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.spool.desk.steering import retry
from gpu_queue.task import State
from tests.agent.harness import Cluster, wait_until
from tests.code.builders import archive, repository, write

SHOW = """\
echo "in $PWD"; cat ../lib.py; ../tool; readlink ../far
echo "of $GPU_QUEUE_SUBMIT_DIR $GPU_QUEUE_SCRIPT $GPU_QUEUE_COPY"
touch made; mkdir -m 500 readonly
"""


@pytest.fixture
def tree(cluster: Cluster) -> Path:
    here = repository(
        cluster.base / "p",
        lib_dot_py="V = 1\n",
        tool="#!/bin/sh\necho a tool\n",
        jobs__a_dot_sh=SHOW,
        jobs__near_dot_py="V = 1\n",
    )
    (here / "tool").chmod(0o755)
    (here / "far").symlink_to("/scratch/data")
    return here


def submit(cluster: Cluster, tree: Path, text: str, name: str = "x.sh", path: str = "", **said: object) -> str:
    options = Options(gpus=0, cwd=str(tree / "jobs"), snapshot=True, **said)  # type: ignore[arg-type]
    (task,) = entrance.submit(cluster.paths, [Script(name, text, path)], options)
    assert task.id is not None
    return task.id


def copies(cluster: Cluster) -> list[Path]:
    return [path for path in (cluster.local / "copies").glob("*/*") if not path.name.startswith(".")]


def test_a_task_runs_in_its_own_copy_whatever_is_edited_later(cluster: Cluster, tree: Path) -> None:
    script = str(tree / "jobs/a.py")
    holds = '[ -e ../lib.py ] && echo ready; until [ -e "$GPU_QUEUE_SUBMIT_DIR"/go ]; do sleep 0.05; done\n'
    shown = submit(cluster, tree, f"#!/bin/bash\n{SHOW}", path=str(tree / "jobs/a.sh"))
    fails = submit(cluster, tree, f"{holds}cat ../lib.py; exit 1\n", name="fails.sh", retries=0)
    python = submit(cluster, tree, "import os, near; print('V', near.V, near.__file__)\n", name="a.py", path=script)
    write(tree, lib_dot_py="V = 2\n", tool="exit 1\n", jobs__near_dot_py="V = 2\n")
    (tree / "jobs/a.sh").unlink()
    cluster.start()
    cluster.wait_for(shown, "done")
    log = cluster.log(shown)
    (where,) = (line.removeprefix("in ") for line in log.splitlines() if line.startswith("in "))
    assert Path(where).parent.parent.parent == cluster.local / "copies"
    assert where.endswith("/jobs")
    assert f"of {tree}/jobs {where}/a.sh {where.removesuffix('/jobs')}\n" in log
    assert "V = 1\na tool\n/scratch/data\n" in log
    assert "==== code: commit " in log
    assert "changed since; snapshot " in log  # the link was not committed
    assert f"is written to $GPU_QUEUE_SUBMIT_DIR ({tree}/jobs)" in log
    cluster.wait_for(python, "done")
    assert f"V 1 {cluster.local}/copies/" in cluster.log(python)
    # Its record tells where it was submitted, and its copy goes with its try.
    (record,) = cluster.tries(shown)
    assert record["cwd"] == f"{tree}/jobs"
    assert not (tree / "jobs/made").exists()
    cluster.wait_for_line(fails, "ready")
    only = cluster.names("running")
    wait_until(lambda: [path.name for path in copies(cluster)] == only, "the copy of what runs", dump=cluster.dump)
    (tree / "jobs/go").touch()
    cluster.wait_for(fails, "failed")
    retry(cluster.paths, Task(State.FAILED, next(iter(cluster.names("failed")))))
    wait_until(lambda: len(cluster.tries(fails)) == 2 and cluster.where(fails) == ["failed"], "the second try")
    assert cluster.log(fails).count("V = 1\n") == 2
    wait_until(lambda: not list((cluster.local / "copies").glob("*/*")), "no copy", dump=cluster.dump)


def test_what_is_missing_or_damaged_is_not_started_and_the_reason_told(cluster: Cluster, tree: Path) -> None:
    missing = submit(cluster, tree, "echo ran\n")
    os.unlink(cluster.paths.snapshot(os.listdir(cluster.paths.snapshots)[0].split(".")[0]))
    write(tree, lib_dot_py="V = 3\n")
    damaged = submit(cluster, tree, "echo ran\n")
    (kept,) = (name for name in os.listdir(cluster.paths.snapshots) if name.endswith(".tgz"))
    packed = Path(cluster.paths.snapshots, kept)
    packed.write_bytes(packed.read_bytes()[:-200])
    other = cluster.submit("echo ran\n", said={"code": {"snapshot": "../../etc/passwd", "root": "/"}}, gpus="0")
    drop = Path(cluster.paths.root, "pending", "drop.sh")
    drop.write_text("#GPUQ --snapshot --gpus 0\necho ran $PWD\n")
    cluster.start()
    for task, why in (
        (missing, "is missing; submit the task again"),
        (damaged, "ends too soon"),
        (other, "is no key"),
    ):
        wait_until(lambda task=task: cluster.tries(task), "its first try", dump=cluster.dump)  # type: ignore[misc]
        wait_until(lambda task=task: cluster.where(task) == ["pending"], "it back", dump=cluster.dump)  # type: ignore[misc]
        (record,) = cluster.tries(task)
        assert (record["why"], record["outcome"]) == ("nostart", "not started")
        assert why in record["problem"]
        assert "==== not started: " in cluster.log(task)
        assert "ran\n" not in cluster.log(task)
    wait_until(lambda: any("drop.sh" in name for name in cluster.names("done")), "the dropped one", dump=cluster.dump)
    (dropped,) = cluster.ids("done")
    assert "note: it asks for a snapshot, which is taken by whoever submits it, and none was" in cluster.log(dropped)
    wait_until(lambda: not list((cluster.local / "copies").glob("*/*")), "no copy", dump=cluster.dump)


def test_an_agent_that_is_killed_leaves_no_copy_that_nobody_removes(cluster: Cluster, tree: Path) -> None:
    agent = cluster.start()
    running = submit(
        cluster, tree, 'echo begun; until [ -e "$GPU_QUEUE_SUBMIT_DIR"/go ]; do sleep 0.05; done; cat ../lib.py\n'
    )
    cluster.wait_for_line(running, "begun")
    ended = submit(cluster, tree, "echo begun; exec sleep 60\n", name="y.sh")
    cluster.wait_for_line(ended, "begun")
    cluster.kill(agent)
    (shim,) = (Path(path) for path in cluster.local.glob(f"agents/*/tries/*{ended}*/pid"))
    for pid in cluster.own_processes():  # of the second one nothing is left, and half of a third
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # some end by themselves
            if ended in Path(f"/proc/{pid}/environ").read_text("utf-8", "replace"):
                os.kill(pid, signal.SIGKILL)
    os.kill(int(shim.read_text()), signal.SIGKILL)
    stray = copies(cluster)[0].parent / "500-20260101T000000000-000000-z.sh.try1.abcdef"
    write(stray, half="of a file")
    cluster.start()
    wait_until(lambda: not stray.exists(), "no half", dump=cluster.dump)
    (tree / "jobs/go").touch()
    cluster.wait_for(running, "done")
    assert "V = 1\n" in cluster.log(running)
    wait_until(lambda: len(copies(cluster)) <= 1, "the copies of what runs alone", dump=cluster.dump)


def test_what_git_ignores_is_in_reach_of_a_copy_and_results_there_are_kept(cluster: Cluster, tree: Path) -> None:
    write(
        tree, _dot_gitignore="__pycache__/\nenv/\nruns/\n*.pt\n", env__bin__python="", runs__old="1\n", x_dot_pt="1\n"
    )
    write(tree, jobs__deep__runs__log="")
    (tree / "jobs/__pycache__").mkdir()
    (tree / "jobs/__pycache__/x.pyc").touch()
    text = "ls -d ../env/bin/python deep/runs ../x.pt __pycache__; echo best >../runs/best; readlink ../runs\n"
    task = submit(cluster, tree, text, retries=0)
    cluster.start()
    cluster.wait_for(task, "done")
    said = cluster.log(task)
    assert "\n../env/bin/python\n" in said
    assert "\ndeep/runs\n" in said
    assert f"\n{tree}/runs\n" in said
    assert "cannot access '../x.pt'" in said
    assert "cannot access '__pycache__'" in said
    wait_until(lambda: not copies(cluster), "the copy's end")
    assert (tree / "runs/best").read_text() == "best\n"
    assert (tree / "env/bin/python").exists()


# -- unpacking ------------------------------------------------------------------------------------------------------


def refused(tmp_path: Path, packed: bytes, *entries: Entry) -> str:
    (tmp_path / "x.tgz").write_bytes(packed)
    with pytest.raises(Refused) as why:
        unpack(str(tmp_path / "x.tgz"), key_of(entries), str(tmp_path / "copy"))
    return str(why.value)


def test_a_hostile_archive_writes_nowhere_but_into_the_copy(tmp_path: Path) -> None:
    def file(name: bytes, text: bytes = b"1") -> tuple[Member, bytes]:
        return Member(FILE, name, len(text), b""), text

    def link(name: bytes, target: bytes) -> tuple[Member, bytes]:
        return Member(LINK, name, 0, target), b""

    outside = tmp_path / "outside"
    outside.mkdir()
    away = os.fsencode(outside)
    for count, members in enumerate(
        (
            [link(b"d", away), file(b"d/x")],
            [link(b"x", away + b"/x"), file(b"x")],
            [file(b"a"), file(b"a")],
            [file(b"a"), file(b"a/b")],
            [link(b"l", b"a"), link(b"l", b"b")],
            [link(b"d", away), link(b"d/l", b"x")],
            [file(b"../outside/x")],
        )
    ):
        where = tmp_path / str(count)
        where.mkdir()
        assert refused(where, archive(*members))
    assert os.listdir(outside) == []
    assert "holds other files than its name says" in refused(
        tmp_path, archive(file(b"a")), Entry(FILE, b"a", "0" * 64, 1)
    )


def test_a_copy_is_bounded_whatever_an_archive_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three = archive(*((Member(FILE, name, 4, b""), b"1234") for name in (b"a", b"b", b"c")))
    for number, (limit, most) in enumerate(
        (("FILES_MOST", 2), ("SIZE_MOST_BYTES", 10), ("ROOM_LEFT_BYTES", 1 << 60))
    ):
        (tmp_path / str(number)).mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(f"gpu_queue.execution.unpacking.{limit}", most)
            told = refused(tmp_path / str(number), three)
        assert ("holds more than" if number < 2 else "has no room for its copy (0 MiB are left)") in told


def test_links_lead_out_of_a_copy_only_from_where_there_is_nothing(tmp_path: Path) -> None:
    copy, data = tmp_path / "copy", tmp_path / "data"
    data.mkdir()
    (copy / "kept").mkdir(parents=True)
    (copy / "out").symlink_to(data)
    names = ("a", "deep/er/b", "kept", "out/c", "../d", "/e", "kept/../f")
    link(str(copy), {**dict.fromkeys(names, str(data)), "gone": str(tmp_path / "gone")})
    made = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_symlink()}
    assert made == {"a", "deep/er/b", "out"}
    assert not list(data.iterdir())


def test_a_directory_that_is_none_of_the_tree_is_not_entered(tmp_path: Path) -> None:
    packed = tmp_path / "x.tgz"
    packed.write_bytes(archive((Member(FILE, b"a", 1, b""), b"1")))
    one = Entry(FILE, b"a", "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b", 1)
    (tmp_path / "try").mkdir()
    for cwd, status in (("../..", 255), ("/etc", 255), ("new/place", 0)):
        copy = tmp_path / f"copy{status}{len(cwd)}"
        words = launcher.in_copy(["pwd"], str(tmp_path / "try"), str(packed), key_of([one]), str(copy), cwd, {})
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == status, done
        assert done.stdout == ("" if status else f"{copy}/new/place\n")
    assert (tmp_path / "try/why").read_text() == "nostart\n"
    assert "which is none of the tree" in (tmp_path / "try/reason").read_text()
