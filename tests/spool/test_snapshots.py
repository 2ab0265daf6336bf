"""Snapshots in a queue: written once, used by many tasks, removed when nothing needs them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.code.noun import Code
from gpu_queue.code.tape import Tape
from gpu_queue.errors import BadScript, NotPublished
from gpu_queue.spool.desk import entrance
from gpu_queue.spool.desk.collecting import UNUSED_S, collect
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.publishing import Options, Script
from gpu_queue.spool.desk.storing import Codes, keep
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.spool import Spool
from tests.code.builders import git, repository, write

ROOT = Path(__file__).parents[2]
WEEK_LATER_S = UNUSED_S + 60


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, in a directory of which we are."""
    where = repository(tmp_path / "p", train_dot_py="print(1)\n", pkg__a_dot_py="2\n")
    monkeypatch.chdir(where / "pkg")
    monkeypatch.setenv("PWD", str(where / "pkg"))
    return where


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    return entrance.named("exp", tmp_path / "queues")


def submit(paths: SpoolPaths, *scripts: Script, snapshot: bool | None = True) -> tuple[Task, ...]:
    given = scripts or (Script("x.sh", "true\n"),)
    return entrance.submit(paths, given, Options(gpus=0, snapshot=snapshot))


def code_of(paths: SpoolPaths, task: Task) -> Code:
    assert task.id is not None
    code = read_submission(paths, task.id, None).code
    assert code is not None
    return code


def packed(paths: SpoolPaths) -> list[str]:
    return sorted(name for name in os.listdir(paths.snapshots) if name.endswith(".tgz"))


def test_a_snapshot_is_written_once_for_many_tasks_and_the_record_names_it(here: Path, paths: SpoolPaths) -> None:
    first, *rest = submit(paths, *(Script(f"{n}.sh", "true\n") for n in range(20)))
    code = code_of(paths, first)
    assert code == Code(git(here, "rev-parse", "HEAD"), False, code.snapshot, str(here), "pkg")
    assert {code_of(paths, one) for one in rest} == {code}
    (name,) = packed(paths)
    assert name == f"{code.snapshot}.tgz"
    inode = os.stat(paths.snapshot(code.snapshot)).st_ino
    os.utime(paths.snapshot(code.snapshot), (1, 1))
    submit(paths)
    facts = os.stat(paths.snapshot(code.snapshot))
    assert facts.st_ino == inode  # not written again
    assert facts.st_mtime > 1  # but somebody has used it
    told = json.loads(Path(paths.snapshot_facts(code.snapshot)).read_text())
    assert (told["files"], told["dirty"], "diff" in told) == (2, False, False)
    write(here, train_dot_py="print(2)\n")
    (later,) = submit(paths)
    assert code_of(paths, later).is_dirty
    diff = json.loads(Path(paths.snapshot_facts(code_of(paths, later).snapshot)).read_text())["diff"]
    assert "-print(1)\n+print(2)\n" in diff
    tape = Tape(io.BytesIO(Path(paths.snapshot(code_of(paths, later).snapshot)).read_bytes()).read)
    assert {one.name: b"".join(tape.content(one)) for one in tape.members()} == {
        b"pkg/a.py": b"2\n",
        b"train.py": b"print(2)\n",
    }


def test_a_line_of_the_script_asks_for_one_and_what_is_said_beside_it_counts_more(
    here: Path, paths: SpoolPaths
) -> None:
    asks = Script("x.sh", "#GPUQ --snapshot\ntrue\n", str(here / "x.sh"))
    ours, theirs = submit(paths, asks, Script("y.sh", "true\n"), snapshot=None)
    assert code_of(paths, ours).snapshot
    assert code_of(paths, ours).script == "x.sh"
    # Without a snapshot the record still names the commit.
    assert code_of(paths, theirs) == Code(git(here, "rev-parse", "HEAD"), False)
    write(here, train_dot_py="print(2)\n")
    (not_now,) = submit(paths, asks, snapshot=False)
    assert code_of(paths, not_now) == Code(git(here, "rev-parse", "HEAD"), is_dirty=True)
    spool = Spool("exp", os.path.dirname(paths.root))
    assert code_of(paths, spool.submit(Script("w.sh", "true\n"), gpus=0, snapshot=True)).snapshot
    commit, key = git(here, "rev-parse", "--short=12", "HEAD"), code_of(paths, ours).snapshot[:12]
    assert spool.explain(ours).code == f"commit {commit}; snapshot {key} of {here}"
    assert spool.explain(not_now).code.endswith(", changed since")
    with pytest.raises(BadScript, match="--snapshot takes no value"):
        submit(paths, Script("z.sh", "#GPUQ --snapshot=yes\n"), snapshot=None)


def test_what_lies_outside_of_the_tree_is_named(here: Path, paths: SpoolPaths, tmp_path: Path) -> None:
    outside = Script("x.sh", "#SBATCH --chdir=/tmp\ntrue\n")
    with pytest.raises(BadScript, match=f"it runs in /tmp, which lies outside of {here}"):
        submit(paths, outside)
    assert not os.path.exists(paths.root)
    names_it = Script("x.sh", f"cd ..\npython {here}/train.py\n", str(tmp_path / "x.sh"))
    (task,) = submit(paths, names_it)
    beside, line = task.notes
    assert beside == f"snapshot: {tmp_path}/x.sh lies outside of {here}: what lies beside it is not in it"
    assert line == f"snapshot: line 2 names a path in {here}, and not in the copy: later edits change it"


def test_nothing_is_queued_where_it_is_too_large_changes_or_the_disk_takes_it_not(
    here: Path, paths: SpoolPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_QUEUE_SNAPSHOT_FILES", "1")
    with pytest.raises(BadScript, match="more than 1 files"):
        submit(paths)
    monkeypatch.delenv("GPU_QUEUE_SNAPSHOT_FILES")
    monkeypatch.setattr("gpu_queue.code.tree.KEPT_BYTES", 0)
    prepared = entrance.look_at(paths, [Script("x.sh", "true\n")], Options(gpus=0, snapshot=True))
    write(here, train_dot_py="print(3)\n")  # of the same length
    with pytest.raises(NotPublished, match=r"train\.py was changed while its snapshot was taken"):
        entrance.put_in(paths, prepared)
    assert os.listdir(paths.snapshots) == [name for name in os.listdir(paths.snapshots) if name.endswith(".json")]
    Path(paths.snapshots).rename(f"{paths.root}/away")
    Path(paths.snapshots).write_text("no directory\n")
    with pytest.raises(NotPublished, match="should be a directory, and is a regular file"):
        submit(paths)
    assert os.listdir(f"{paths.root}/pending") == os.listdir(f"{paths.root}/records") == []


def test_a_client_that_is_killed_while_it_packs_leaves_nothing_that_is_used(here: Path, paths: SpoolPaths) -> None:
    (here / "noise").write_bytes(os.urandom(8 << 20))
    program = (
        "import os, sys; from gpu_queue.spool.desk import storing\n"
        "from gpu_queue.spool import files; write_all = files.write_all\n"
        "def slowly(descriptor, piece):\n"
        "    write_all(descriptor, piece[:1000]); print('half', flush=True); sys.stdin.read()\n"
        "files.write_all = lambda d, p: (slowly if len(p) > 10000 else write_all)(d, p)\n"
        "from gpu_queue import Script; from gpu_queue.spool.desk import entrance\n"
        "from gpu_queue.spool.desk.publishing import Options\n"
        f"entrance.submit(entrance.named('exp', {os.path.dirname(paths.root)!r}), [Script('x.sh', 'true')],"
        " Options(snapshot=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"half\n"
        client.send_signal(signal.SIGKILL)
    assert packed(paths) == []
    (half,) = (name for name in os.listdir(paths.snapshots) if not name.endswith(".json"))
    assert half.startswith(".")
    assert os.listdir(f"{paths.root}/pending") == []
    (task,) = submit(paths)
    assert packed(paths) == [f"{code_of(paths, task).snapshot}.tgz"]
    now_s = time.time()
    assert collect(paths, now_s) == 0
    assert half in os.listdir(paths.snapshots)  # somebody may be at work on it
    collect(paths, now_s + 2 * 86400)
    assert half not in os.listdir(paths.snapshots)
    assert packed(paths) == [f"{code_of(paths, task).snapshot}.tgz"]


def test_what_no_record_names_goes_after_a_week(here: Path, paths: SpoolPaths) -> None:
    (task,) = submit(paths)
    key = code_of(paths, task).snapshot
    spool = Spool("exp", os.path.dirname(paths.root))
    spool.cancel(task)
    week_later_s = time.time() + WEEK_LATER_S
    assert collect(paths, week_later_s) == 0  # gpu_retry may want it
    assert len(spool.clean(0)) == 1
    assert packed(paths) == [f"{key}.tgz"]  # it was used lately
    assert collect(paths, week_later_s) == 1
    assert os.listdir(paths.snapshots) == []


def test_who_submits_while_it_is_removed_has_it_all_the_same(
    here: Path, paths: SpoolPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Codes(paths).tree(str(here))
    entrance.make(paths)
    target = paths.snapshot(tree.key)

    def away_and(do: Callable[[], object]) -> None:
        """Collect, and in the moment when it has been renamed, do this."""
        real = os.rename

        def rename(source: str, to: str) -> None:
            monkeypatch.setattr(os, "rename", real)
            real(source, to)
            do()

        os.utime(target, (1, 1))
        monkeypatch.setattr(os, "rename", rename)
        collect(paths, time.time())

    assert keep(paths, tree)
    packed_anew: list[bool] = []
    away_and(lambda: packed_anew.append(keep(paths, tree)))
    assert packed_anew == [True]
    assert packed(paths) == [f"{tree.key}.tgz"]
    # A touch that the server takes late, of the file under its new name.
    away_and(lambda: subprocess.run(["touch", *(f"{paths.snapshots}/{name}" for name in packed(paths))], check=True))
    assert packed(paths) == [f"{tree.key}.tgz"]
    # A record that came in between.
    away_and(lambda: Path(f"{paths.records}/x.json").write_text(f'{{"code":{{"snapshot":"{tree.key}"}}}}'))
    assert packed(paths) == [f"{tree.key}.tgz"]


def test_what_was_cut_off_while_it_was_removed_goes_back(here: Path, paths: SpoolPaths) -> None:
    (task,) = submit(paths)
    key = code_of(paths, task).snapshot
    os.rename(paths.snapshot(key), paths.snapshot_taken(key, "0" * 12))
    collect(paths, time.time())
    assert packed(paths) == [f".removing-{'0' * 12}-{key}.tgz"]
    collect(paths, time.time() + 3600)
    assert packed(paths) == [f"{key}.tgz"]
