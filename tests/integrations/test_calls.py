"""Calls and results as files: what is loaded, and what never is.  The test is the node."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gpu_queue import Spool, TaskFailed
from gpu_queue.integrations import call
from gpu_queue.spool import calls
from gpu_queue.spool.calls import Result, Versions
from gpu_queue.spool.desk import results
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.paths import SpoolPaths, ended_name
from gpu_queue.spool.records import write_tries
from gpu_queue.task import Claim, End, TryResult
from tests.integrations import work

NODE = "n1-00000001"


class Node:
    """Claims a task, runs what it calls in a process of its own, and settles it."""

    def __init__(self, paths: SpoolPaths) -> None:
        self.paths = paths
        os.makedirs(paths.running(NODE))

    def claim(self, task: Task, number: int = 1) -> str:
        claim = f"{self.paths.running(NODE)}/{task}.try{number}.00000{number}"
        os.rename(f"{self.paths.root}/pending/{task}", claim)
        return claim

    def call(self, claim: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GPU_QUEUE_CLAIM": claim, "CUDA_VISIBLE_DEVICES": "0", **more}
        return subprocess.run(
            ["/bin/sh", claim], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def settle(self, claim: str, to: str, *statuses: int) -> None:
        name = os.path.basename(claim).rpartition(".try")[0]
        tries = [
            TryResult(number, f"00000{number}", End(status), final=number == len(statuses))
            for number, status in enumerate(statuses, 1)
        ]
        if statuses != (0,):
            write_tries(self.paths, name[4:], tuple(tries))
        os.rename(claim, f"{self.paths.root}/{to}/{name}")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool("exp", tmp_path / "q")
    spool.cancel(spool.submit(print))  # it is there
    return spool


@pytest.fixture
def node(spool: Spool) -> Node:
    return Node(SpoolPaths(spool.path))


def by(python: str = calls.versions_here().python, cloudpickle: str = calls.versions_here().cloudpickle) -> Versions:
    return Versions(python, cloudpickle)


class Mine:
    """A pickle that does something when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self._path), "w")


def test_a_call_of_another_python_is_refused_before_it_is_loaded(spool: Spool, node: Node, tmp_path: Path) -> None:
    task = spool.submit(partial(work.times, 1))
    trap = pickle.dumps(Mine(tmp_path / "loaded"))
    made = calls.Call(by("3.9.1"), "times", (), trap)
    Path(node.paths.call(task.id or "")).write_bytes(calls.encode_call(task.id or "", made))
    claim = node.claim(task)
    done = node.call(claim)
    assert (done.returncode, "pickled by Python 3.9.1, and this is" in done.stderr) == (1, True)
    assert not (tmp_path / "loaded").exists()
    node.settle(claim, "failed", 1)
    with pytest.raises(TaskFailed, match=r"times was not called: it was pickled by Python 3\.9\.1") as told:
        spool.result(task)
    assert "python= names another" in told.value.raised


@pytest.mark.parametrize(
    ("versions", "why"),
    [(by("3.9.1"), "pickled by Python 3.9.1"), (by(cloudpickle="99.0"), "pickled by cloudpickle 99.0")],
)
def test_a_result_of_other_versions_is_refused_before_it_is_loaded(
    spool: Spool, node: Node, tmp_path: Path, versions: Versions, why: str
) -> None:
    task = spool.submit(partial(work.times, 1))
    claim = node.claim(task)
    trap = pickle.dumps(Mine(tmp_path / "loaded"))
    calls.write_result(node.paths, task.id or "", Result(versions, os.path.basename(claim), True, trap))
    node.settle(claim, "done", 0)
    with pytest.raises(TaskFailed, match=f"its result is not loaded: it was {why}"):
        spool.result(task)
    assert not (tmp_path / "loaded").exists()


def test_neither_is_one_of_somebody_else(
    spool: Spool, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = spool.submit(partial(work.times, 1))
    claim = node.claim(task)
    trap = pickle.dumps(Mine(tmp_path / "loaded"))
    calls.write_result(node.paths, task.id or "", Result(by(), os.path.basename(claim), True, trap))
    node.settle(claim, "done", 0)
    monkeypatch.setattr(results, "trusted", lambda _: frozenset({os.geteuid() + 1}))
    with pytest.raises(TaskFailed, match=f"belongs to uid {os.geteuid()}"):
        spool.result(task)
    assert not (tmp_path / "loaded").exists()


def test_done_and_failed_decide_and_not_what_a_try_left(spool: Spool, node: Node) -> None:
    # A try wrote its result, its node was lost, and the next one failed: it failed.
    task = spool.submit(partial(work.times, 2))
    claim = node.claim(task)
    assert node.call(claim).returncode == 0
    assert os.path.exists(node.paths.result(task.id or ""))
    with pytest.raises(TimeoutError):
        spool.result(task, timeout_s=0.1)
    node.settle(claim, "failed", 255, 1)
    with pytest.raises(TaskFailed, match=r"failed\(1\)"):
        spool.result(task)
    # A try raised, and the next one was killed before it could say anything.
    task = spool.submit(partial(work.end, "raise"))
    claim = node.claim(task)
    assert node.call(claim).returncode == 1
    node.settle(claim, "failed", 1, 137)
    with pytest.raises(TaskFailed, match=r"failed\(137\)"):
        spool.result(task)
    # A try that was taken for lost raises after the next one was done.
    task = spool.submit(partial(work.end, "raise"))
    claim = node.claim(task)
    node.call(claim)
    node.settle(claim, "done", 255, 0)
    with pytest.raises(TaskFailed, match="its result is that of a try that failed"):
        spool.result(task)


@pytest.mark.parametrize("what", ["torn", "empty", "no header", "another's", "fifo", "link", "directory"])
def test_results_that_are_none_hinder_nobody(spool: Spool, node: Node, tmp_path: Path, what: str) -> None:
    task = spool.submit(partial(work.times, 2))
    claim = node.claim(task)
    node.call(claim)
    path = Path(node.paths.result(task.id or ""))
    whole = path.read_bytes()
    header = json.loads(whole.partition(b"\n")[0])
    path.unlink()
    if what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        (tmp_path / "elsewhere").write_bytes(whole)
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "directory":
        path.mkdir()
    else:
        other = (
            json.dumps({**header, "id": "20261123T014415123-4f0c2a-x"}).encode() + b"\n" + whole.partition(b"\n")[2]
        )
        path.write_bytes({"torn": whole[:-1], "empty": b"", "no header": b"\x80" * 10**6, "another's": other}[what])
    node.settle(claim, "done", 0)
    with pytest.raises(TaskFailed, match=r"succeeded: .*\.result: it "):
        spool.result(task)


def test_a_runner_without_a_call_says_what_is_missing(spool: Spool, node: Node, capsys: Any) -> None:
    task = spool.submit(partial(work.times, 2))
    claim = node.claim(task)
    os.unlink(node.paths.call(task.id or ""))
    assert "it is gone; submit the function again" in node.call(claim).stderr
    assert call.main({}) == 1
    assert "GPU_QUEUE_CLAIM names no task" in capsys.readouterr().err


def test_of_a_task_over_several_nodes_the_first_rank_brings_the_result(spool: Spool, node: Node) -> None:
    task = spool.submit(partial(work.times, 2), nodes=2)
    claim = node.claim(task)
    members = f"{node.paths.root}/gangs/{os.path.basename(claim)}/members"
    os.makedirs(members)
    member = f"{members}/{os.path.basename(claim)[:-1]}2"
    Path(member).touch()
    assert node.call(member, GPU_QUEUE_NODE_RANK="1").returncode == 0
    assert not os.path.exists(node.paths.result(task.id or ""))
    assert node.call(claim, GPU_QUEUE_NODE_RANK="0").returncode == 0
    node.settle(claim, "done", 0)
    assert spool.result(task) == 2


def test_modules_of_the_submitter_are_found_before_those_of_the_directory(
    spool: Spool, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "only_here.py").write_text("def answer():\n    import os\n    return os.getcwd()\n")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    import only_here  # type: ignore[import-not-found]

    task = spool.submit(only_here.answer)
    # Nor are those of Python, of ours and of others that a call needs before it is loaded.
    for module in ("only_here", "pickle", "traceback", "json", "signal", "gpu_queue", "cloudpickle"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.chdir(tmp_path)
    claim = node.claim(task)
    assert node.call(claim).returncode == 0
    node.settle(claim, "done", 0)
    assert spool.result(task) == str(tmp_path)


@pytest.mark.parametrize("how", ["value", "exception"])
def test_what_leaves_while_it_is_pickled_or_loaded_has_not_succeeded(spool: Spool, node: Node, how: str) -> None:
    claim = node.claim(task := spool.submit(partial(work.leaving, how)))
    ran = node.call(claim)
    assert ran.returncode == 1, ran.stderr
    node.settle(claim, "failed", 1)
    with pytest.raises(TaskFailed) as told:
        spool.result(task)
    assert told.value.raised == {"value": "", "exception": "tests.integrations.work.Leaving: it leaves"}[how]


def test_forgetting_a_task_forgets_its_call_and_its_result(spool: Spool, node: Node) -> None:
    kept, gone = spool.publish([partial(work.times, 1)] * 2)
    claim = node.claim(gone)
    node.call(claim)
    node.settle(claim, "done", 0)
    orphan = f"{node.paths.calls}/20251123T014415123-4f0c2a-never.call"
    Path(orphan).write_bytes(b"{}\n")
    assert sorted(os.listdir(node.paths.calls)).count(os.path.basename(orphan)) == 1
    spool.clean(0)
    assert sorted(os.listdir(node.paths.calls)) == [os.path.basename(orphan), f"{kept.id}.call"]


def test_a_claims_name_and_its_end_are_told_apart() -> None:
    claim = Claim(500, "20261123T014415123-4f0c2a-x", 1, "000001")
    ended = Result(by(), ended_name(claim, End(0)), True, b"")
    assert results._is_of(ended, claim)
    assert not results._is_of(ended, Claim(0, claim.task_id, 1, "000002"))
