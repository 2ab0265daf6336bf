"""Functions as tasks, on a real agent with simulated GPUs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gpu_queue import Script, Spool, TaskFailed
from gpu_queue.errors import BadScript, SpoolError
from gpu_queue.spool import calls
from gpu_queue.spool.desk import waiting
from gpu_queue.spool.desk.results import RemoteTraceback
from tests.agent.harness import Cluster
from tests.integrations import work


def test_functions_run_where_gpus_are_and_what_they_return_comes_back(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    task = spool.submit(partial(work.times, 3, factor=4), gpus=2)
    assert (task.title, task.needs and task.needs.gpus_min) == ("times", 2)
    assert spool.result(task, timeout_s=40) == 12
    assert "3 times 4 on GPU 0,1\n" in spool.log_tail(task)
    bias = 7
    assert list(spool.map(lambda one: one + bias, [1, 2, 3], chunksize=2, gpus=0)) == [8, 9, 10]
    assert list(spool.map(work.times, [5, 6], [2, 3])) == [10, 18]
    names = [found.title for found in spool.find("")]
    assert sorted(names) == ["lambda", "lambda", "times", "times", "times"]
    for ended in spool.wait(*spool.find("")):
        assert (bool(ended), ended.outcome, str(ended)) == (True, "succeeded", f"{ended.task_id}: succeeded")


def test_with_a_snapshot_a_function_and_its_modules_are_those_of_the_copy(
    cluster: Cluster, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the tree's own name, and by a link to it."""
    tree = cluster.base / "tree"
    (tree / "src").mkdir(parents=True)
    (cluster.base / "link").symlink_to(tree)
    asked = {}
    for name, place in (("of_tree", tree / "src"), ("of_link", cluster.base / "link")):
        module = place / f"{name}.py"
        module.write_text("def answer():\n    return 'as it was', __file__\n")
        monkeypatch.syspath_prepend(place)
        function = importlib.import_module(name).answer
        asked[name] = spool.submit(function, gpus=0, cwd=str(tree), snapshot=True)
        module.write_text("raise RuntimeError('edited since')\n")
    cluster.start()
    for task in asked.values():
        said, file = spool.result(task, timeout_s=40)
        assert said == "as it was"
        assert file.startswith(str(cluster.local / "copies"))


def test_what_does_not_return_tells_why(cluster: Cluster, spool: Spool) -> None:
    cluster.start("--simulate", "8", simulate=None)
    hows = ["raise", "odd", "exit 3", "exit 0", "leave", "lock", "kill"]
    tasks = dict(zip(hows, spool.publish([partial(work.end, how) for how in hows], gpus=1), strict=True))
    assert [bool(one) for one in spool.wait(*tasks.values(), timeout_s=60)] == [how == "leave" for how in hows]
    with pytest.raises(KeyError, match="raise") as raised:
        spool.result(tasks["raise"])
    assert isinstance(raised.value.__cause__, RemoteTraceback)
    assert "in end\n" in str(raised.value.__cause__)
    with pytest.raises(TypeError, match="pickle") as unsent:
        spool.result(tasks["lock"])
    assert "What end returned cannot be pickled" in str(unsent.value.__cause__)
    failed: dict[str, TaskFailed] = {}
    for how in ("odd", "exit 3", "exit 0", "leave", "kill"):
        with pytest.raises(TaskFailed) as told:
            spool.result(tasks[how])
        failed[how] = told.value
    assert failed["odd"].raised == "tests.integrations.work.Odd: one"
    assert 'raise Odd("one", 2)' in str(failed["odd"].__cause__)
    outcomes = {how: (one.outcome, one.status, one.error_type) for how, one in failed.items()}
    assert outcomes["exit 3"] == ("failed(3)", 3, "unknown")
    assert outcomes["exit 0"] == ("failed(1)", 1, "unknown")
    assert "left by sys.exit and returned nothing" in str(failed["exit 0"])
    assert "ended without a result" in str(failed["leave"])
    assert outcomes["kill"] == ("failed(137)", 137, "signal")
    assert "before the end\n" in str(failed["kill"])


def test_a_task_that_is_tried_again_is_settled_by_its_last_try(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    task = spool.submit(partial(work.second_time, str(cluster.base)), gpus=0, retries=1)
    later = spool.submit(partial(work.times, 1), gpus=1, after=task, priority=100, name="behind")
    assert spool.result(task, timeout_s=40) == 2
    assert (cluster.base / "try 1").exists()
    assert (later.title, spool.result(later, timeout_s=40)) == ("behind", 1)


def test_scripts_are_waited_for_as_well(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    good, bad = spool.publish([Script("good.sh", "exit 0\n"), Script("bad.sh", "exit 4\n")], gpus=1)
    assert {one.outcome for one in spool.as_completed([good, bad.id or ""], timeout_s=40)} == {
        "succeeded",
        "failed(4)",
    }
    ended, again = spool.wait([bad], "good.sh")
    assert (ended.status, ended.error_type, bool(ended), bool(again)) == (4, "unknown", False, True)
    with pytest.raises(TaskFailed, match="is it no call"):
        spool.result(good)
    spool.pause()
    waiting = spool.submit(Script("later.sh", "true\n"))
    with pytest.raises(TimeoutError, match=r"1 of 2 tasks have not ended after 0\.1 s"):
        spool.wait(waiting, good, timeout_s=0.1)
    spool.priority(waiting, 3)
    (cancelled,) = spool.cancel((waiting,))
    assert cancelled
    (ended,) = spool.wait(waiting)
    assert (ended.outcome, ended.status) == ("cancelled", None)
    with pytest.raises(TaskFailed, match=r"later\.sh .*: cancelled"):
        spool.result(waiting)


def test_what_cannot_be_sent_is_refused_before_anything_is_written(
    cluster: Cluster, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TypeError, match="generator"):
        spool.publish([partial(work.times, 1), partial(print, (one for one in range(3)))])
    with pytest.raises(BadScript, match="partial"):
        spool.submit(print, arguments=["1"])
    with pytest.raises(BadScript, match="publish a list"):
        spool.submit(print, array="0-3")
    with pytest.raises(TypeError, match="gpu= is nothing that a task can be given; expected gpus, memory"):
        spool.map(work.times, [1], gpu=1)
    with pytest.raises(ValueError, match="chunksize=0"):
        spool.map(work.times, [1], chunksize=0)
    with pytest.raises(BadScript, match="no number of GPUs"):
        spool.map(work.times, [1], gpus="3-2")
    monkeypatch.setattr(calls, "PICKLE_MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="write them to a file"):
        spool.submit(partial(print, "x" * 2000))
    assert not os.path.exists(cluster.paths.calls)
    assert cluster.names("pending") + os.listdir(cluster.paths.records) == []


def test_a_python_that_the_node_has_not_is_told_in_the_log(cluster: Cluster, spool: Spool) -> None:
    cluster.start()
    task = spool.submit(partial(work.times, 1), gpus=0, python="/nowhere/bin/python3.12")
    with pytest.raises(
        TaskFailed, match=r"failed\(127\)[\s\S]*no /nowhere/bin/python3.12 on .* name another by python="
    ):
        spool.result(task, timeout_s=40)


def test_a_task_that_somebody_removes_is_told_as_gone(
    cluster: Cluster, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOKS", 4)
    task = spool.submit(partial(work.times, 1))
    os.unlink(Path(cluster.paths.root, "pending", task.name))
    with pytest.raises(SpoolError):
        spool.wait(task.id or "")
    (ended,) = spool.wait(task)
    assert (ended.outcome, ended.state, bool(ended)) == ("gone", None, False)


def test_the_package_without_cloudpickle_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "cloudpickle.py").write_text("raise ModuleNotFoundError('No module named cloudpickle')\n")
    code = "from gpu_queue import Spool; Spool('exp', 'q').submit(print)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'gpu-queue[futures]'" in done.stderr
    assert not (tmp_path / "q").exists()
