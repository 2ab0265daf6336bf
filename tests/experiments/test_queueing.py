"""Experiments in a real spool: tasks come after others by name, links to logs are made, what changed is replaced."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from gpu_queue import Spool
from gpu_queue.errors import BadExperimentFile, NotPublished, SpoolError
from gpu_queue.experiments import known, queueing
from gpu_queue.experiments.known import Census, current, members
from gpu_queue.experiments.queueing import Loaded, load_experiment, plan_experiment
from gpu_queue.experiments.specs.nouns import Experiment, Place, Run
from gpu_queue.sayings import Say, say
from gpu_queue.spool import store
from gpu_queue.spool.desk import find, stamps, steering
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission
from gpu_queue.task import State
from tests.cases import long


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    return SpoolPaths(str(tmp_path / "queues" / "exp"))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Run]:
    def made(name: str, text: str = "true", **more: Any) -> Run:
        log = str(tmp_path / "logs" / "g" / f"{name}.log")
        script = f"#!/usr/bin/env bash\n{text}\n"
        return replace(Run(name, "job", "g", script, text, cwd="/", log=log, gpus="0"), **more)

    return made


def experiment(tmp_path: Path, *runs: Run, name: str = "f.yaml") -> Experiment:
    return Experiment(str(tmp_path / name), str(tmp_path / name), runs)


def news(loaded: Loaded) -> list[str]:
    return [one.news.value for one in loaded.plan.items]


def waiting(paths: SpoolPaths) -> list[str]:
    return [name.split("-", 3)[3] for name in sorted(os.listdir(paths.directory(State.PENDING))) if name[0] != "."]


def settle(paths: SpoolPaths, name: str, state: State) -> None:
    """What an agent does with the one that waits and is called so."""
    (file,) = (one for one in os.listdir(paths.directory(State.PENDING)) if one.endswith(f"-{name}"))
    index = {"tries": [{"try": 1, "token": "abcdef", "status": 1, "why": None, "final": True}]}
    Path(paths.tries_index(file[4:])).write_text(json.dumps(index))
    if state is State.RUNNING:
        os.makedirs(paths.running("n1"), exist_ok=True)
        os.rename(f"{paths.directory(State.PENDING)}/{file}", f"{paths.running('n1')}/{file}.try1.abcdef")
    else:
        os.rename(f"{paths.directory(State.PENDING)}/{file}", f"{paths.directory(state)}/{file}")


# -- what is queued


def test_the_record_says_which_run_of_which_file_it_is(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    one = make("a", params=(("lr", "1e-5"), ("seed", "0")), memory="2G", time="4h", retries=3, queue="q", priority=7)
    loaded = load_experiment(paths, experiment(tmp_path, one))
    ((_, task),) = loaded.queued
    record = json.loads(Path(paths.record(task.id or "")).read_text())
    assert record["experiment"] == {
        "file": str(tmp_path / "f.yaml"),
        "group": "g",
        "job": "job",
        "name": "a",
        "content": "true",
        "log": one.log,
        "params": {"lr": "1e-5", "seed": "0"},
    }
    assert record["needs"] == {"gpus": "0", "memory": "2G", "time": "4h", "retries": "3", "queue": "q"}
    assert task.priority == 7
    (member,) = members(paths)
    assert member.part.params == one.params
    assert loaded.ids == {"a": member.id}


def test_runs_come_after_others_of_the_same_file_wherever_these_stand_in_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    runs = [make("table", after=("x", "y")), make("x"), make("y", after=("z",)), make("w"), make("z")]
    loaded = load_experiment(paths, experiment(tmp_path, *runs))
    assert waiting(paths) == ["x", "w", "z", "y", "table"]
    ids = loaded.ids
    after = {one.part.name: one.after for one in members(paths)}
    assert after == {"table": (ids["x"], ids["y"]), "x": (), "y": (ids["z"],), "w": (), "z": ()}
    needs = {run.name: task.needs.after for run, task in loaded.queued if task.needs is not None}
    assert needs == after


def test_a_run_comes_after_tasks_of_an_earlier_load_that_wait_run_or_are_done(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    before = [make(name) for name in "abc"]
    load_experiment(paths, experiment(tmp_path, *before))
    settle(paths, "a", State.DONE)
    settle(paths, "b", State.RUNNING)
    loaded = load_experiment(paths, experiment(tmp_path, *before, make("d", after=("a", "b", "c"))))
    assert news(loaded) == ["done", "runs", "waits", "new"]
    (last,) = (one for one in members(paths) if one.part.name == "d")
    assert list(last.after) == [loaded.ids[name] for name in "abc"]


def test_a_thousand_runs_that_one_comes_after_fit_its_record(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    names = [f"mnist_fedavg_s{number}" for number in range(1000)]
    loaded = load_experiment(
        paths, experiment(tmp_path, make("table", after=tuple(names)), *(make(name, log="") for name in names))
    )
    assert len(loaded.queued) == 1001
    (table,) = (one for one in members(paths) if one.part.name == "table")
    assert len(table.after) == 1000


def test_what_can_never_run_is_told_all_at_once_with_its_place_and_nothing_is_changed(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("b")))
    wrong = "CUDA_VISIBLE_DEVICES=0,1 python train.py"
    runs = [
        make("a", "else"),
        make("b", wrong, gpus="1", place=Place(7, 3)),
        make("c", memory="x", place=Place(9, 3)),
    ]
    with pytest.raises(BadExperimentFile) as problem:
        load_experiment(paths, experiment(tmp_path, *runs))
    first, second = problem.value.problems
    assert first.startswith(f"{tmp_path}/f.yaml:7:3: b: asks for what cannot be:")
    assert second.startswith(f"{tmp_path}/f.yaml:9:3: c: asks for what cannot be:")
    assert waiting(paths) == ["a", "b"]
    with pytest.raises(BadExperimentFile):
        plan_experiment(paths, experiment(tmp_path, *runs))


def test_a_circle_is_refused_here_too(tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]) -> None:
    with pytest.raises(BadExperimentFile, match=r"f\.yaml: a comes after itself"):
        load_experiment(paths, experiment(tmp_path, make("a", after=("b",)), make("b", after=("a",))))


def test_a_plan_makes_nothing(tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]) -> None:
    plan = plan_experiment(paths, experiment(tmp_path, make("a")))
    assert [one.news.value for one in plan.items] == ["new"]
    assert os.listdir(tmp_path) == []


def test_retries_are_those_that_are_given_for_runs_that_say_nothing(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("b", retries=2)), retries=0)
    assert [one.submission.needs["retries"] for one in members(paths)] == ["0", "2"]


# -- loaded again


def test_what_was_changed_or_is_gone_waits_no_longer_and_what_it_fed_is_queued_anew(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("b", after=("a",)), make("c"), make("d")))
    settle(paths, "d", State.DONE)
    loaded = load_experiment(paths, experiment(tmp_path, make("a", "else"), make("b", after=("a",)), make("e")))
    assert news(loaded) == ["changed", "moved", "new"]
    assert sorted(one.part.name for one in loaded.cancelled) == ["a", "b", "c"]
    assert [one.part.name for one in loaded.plan.past] == ["d"]
    assert waiting(paths) == ["a", "b", "e"]
    assert {one.part.name: one.after for one in current(members(paths))}["b"] == (loaded.ids["a"],)
    again = load_experiment(paths, experiment(tmp_path, make("a", "else"), make("b", after=("a",)), make("e")))
    assert news(again) == ["waits", "waits", "waits"]
    assert again.cancelled == ()


def test_what_failed_is_tried_again_under_its_id_and_what_comes_after_it_behind_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = experiment(tmp_path, make("b", after=("a",)), make("a"))
    ids = load_experiment(paths, runs).ids
    settle(paths, "a", State.FAILED)
    settle(paths, "b", State.FAILED)
    order: list[str] = []
    move = store.move

    def moves(source: str, target: str) -> store.MoveResult:
        order.append(source.rpartition("-")[2])
        return move(source, target)

    monkeypatch.setattr(store, "move", moves)
    loaded = load_experiment(paths, runs, retry_failed=True)
    assert order == ["a", "b"]
    assert [one.part.name for one in loaded.retried] == ["a", "b"]
    assert loaded.queued == ()
    assert loaded.ids == ids


def test_a_changed_run_is_not_queued_beside_itself_nor_what_comes_after_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("t", after=("a",)), make("u", after=("t",))))
    settle(paths, "a", State.RUNNING)
    runs = experiment(tmp_path, make("a", "else"), make("t", after=("a",)), make("u", after=("t",)), make("v"))
    loaded = load_experiment(paths, runs)
    assert news(loaded) == ["later", "later", "later", "new"]
    assert [one.part.name for one in loaded.plan.outdated] == ["a"]
    assert waiting(paths) == ["v"]
    assert sorted(loaded.ids) == ["a", "v"], "the others have no task"
    assert news(load_experiment(paths, runs)) == ["later", "later", "later", "waits"]
    (running,) = os.listdir(paths.running("n1"))
    os.rename(f"{paths.running('n1')}/{running}", f"{paths.directory(State.DONE)}/{running.partition('.try1')[0]}")
    assert news(load_experiment(paths, runs)) == ["changed", "new", "new", "waits"]
    assert waiting(paths) == ["v", "a", "t", "u"]


def test_what_starts_while_its_change_is_loaded_goes_on_alone(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a")))

    def cancel(where: SpoolPaths, task: Task) -> steering.Outcome:
        settle(where, "a", State.RUNNING)
        return steering.cancel(where, task)

    monkeypatch.setattr(queueing, "cancel", cancel)
    assert news(load_experiment(paths, experiment(tmp_path, make("a", "else")))) == ["later"]
    assert waiting(paths) == []


def test_another_file_is_another_experiment(tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]) -> None:
    load_experiment(paths, experiment(tmp_path, make("a")))
    loaded = load_experiment(paths, experiment(tmp_path, make("a"), name="g.yaml"))
    assert news(loaded) == ["new"]
    assert len(members(paths)) == 2
    assert len(members(paths, file=str(tmp_path / "f.yaml"))) == 1
    assert len(members(paths, group="g")) == 2
    assert len(current(members(paths))) == 2


def test_what_starts_at_that_moment_is_not_queued_beside_itself(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a", queue="q"), make("b", queue="q"), make("c", queue="q")))
    started: list[str] = []

    def cancel(where: SpoolPaths, task: Task) -> steering.Outcome:
        if task.plain_title == "b" and not started:
            started.append(task.name)
            settle(where, "b", State.RUNNING)
        return steering.cancel(where, task)

    monkeypatch.setattr(queueing, "cancel", cancel)
    runs = [make("x", queue="q"), make("a", queue="q"), make("b", queue="q"), make("c", queue="q")]
    loaded = load_experiment(paths, experiment(tmp_path, *runs))
    assert news(loaded) == ["new", "moved", "runs", "moved"]
    assert sorted(one.part.name for one in loaded.cancelled) == ["a", "c"]
    assert waiting(paths) == ["x", "a", "c"]


def was_requeued(paths: SpoolPaths, name: str) -> None:
    """It had a try that ended with its agent, and waits again."""
    (file,) = (one for one in os.listdir(paths.directory(State.PENDING)) if one.endswith(f"-{name}"))
    index = {"tries": [{"try": 1, "token": "abcdef", "status": 143, "why": "requeue", "final": False}]}
    Path(paths.tries_index(file[4:])).write_text(json.dumps(index))


def test_what_had_tries_and_waits_is_not_lost_where_another_one_starts_at_that_moment(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a", queue="q"), make("b", queue="q")))
    was_requeued(paths, "a")

    def cancel(where: SpoolPaths, task: Task) -> steering.Outcome:
        if task.plain_title == "b" and "b" in waiting(paths):
            settle(where, "b", State.RUNNING)
        return steering.cancel(where, task)

    monkeypatch.setattr(queueing, "cancel", cancel)
    runs = [make("x", queue="q"), make("a", queue="q"), make("b", queue="q")]
    assert news(load_experiment(paths, experiment(tmp_path, *runs))) == ["new", "moved", "runs"]
    assert waiting(paths) == ["x", "a"]


def test_what_had_tries_and_waits_is_not_lost_where_loading_is_killed_in_between(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a", queue="q")))
    was_requeued(paths, "a")
    moved = experiment(tmp_path, make("x", queue="q"), make("a", queue="q"))
    with monkeypatch.context() as killed:
        killed.setattr("gpu_queue.spool.desk.entrance.put_in", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            load_experiment(paths, moved)
    assert waiting(paths) == []
    assert news(load_experiment(paths, moved)) == ["new", "new"]
    assert waiting(paths) == ["x", "a"]


def test_a_task_that_cannot_be_taken_out_is_told_of(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a")))
    monkeypatch.setattr(queueing, "cancel", lambda _, task: steering.refused(task, say(Say.NOT_MOVED, place="a")))
    with pytest.raises(SpoolError, match="load it again"):
        load_experiment(paths, experiment(tmp_path, make("a", "else")))
    assert waiting(paths) == ["a"]


def test_storage_that_takes_only_a_part_takes_nothing_that_comes_after_the_rest(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = experiment(tmp_path, make("a"), make("b"), make("c", after=("b",)), make("d", after=("a",)))
    load_experiment(paths, experiment(tmp_path))
    move = store.move

    def fails(source: str, target: str) -> store.MoveResult:
        if source.endswith("-b"):
            return store.MoveResult(store.Moved.LOST, OSError(28, "No space left on device"))
        return move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(store, "move", fails)
        with pytest.raises(NotPublished, match="No space left"):
            load_experiment(paths, runs)
    assert waiting(paths) == ["a", "d"]
    assert sorted(name.split("-", 2)[2] for name in os.listdir(paths.records)) == ["a.json", "d.json"]
    assert sorted(os.listdir(tmp_path / "logs" / "g")) == ["a.log", "d.log"]
    assert not [name for name in os.listdir(paths.directory(State.PENDING)) if name.startswith(".")]
    loaded = load_experiment(paths, runs)
    assert news(loaded) == ["waits", "new", "new", "waits"]
    assert waiting(paths) == ["a", "d", "b", "c"]


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.spool import store
from gpu_queue.spool.paths import SpoolPaths

left, move = int(sys.argv[2]), store.move

def moves(source, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return move(source, target)

store.move = moves
log = sys.argv[1] + "/logs/{{}}.log"
runs = [Run(name, "job", "g", "#!/bin/sh\\ntrue\\n", "new", cwd="/", gpus="0", after=after, log=log.format(name))
        for name, after in (("a", ("e",)), ("b", ()), ("c", ("b",)), ("d", ()), ("e", ("d",)))]
path = sys.argv[1] + "/f.yaml"
load_experiment(SpoolPaths(sys.argv[1] + "/queues/exp"), Experiment(path, path, tuple(runs)))
"""


def load_killed(tmp_path: Path, moves: int) -> int:
    code = KILLED.format(root=str(Path(__file__).parents[2]))
    return subprocess.run([sys.executable, "-c", code, str(tmp_path), str(moves)], check=False).returncode


@pytest.mark.parametrize("moves", [0, 4, 8, *long(2, 6)])
def test_after_a_kill_in_the_midst_of_a_load_another_one_completes_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], moves: int
) -> None:
    load_experiment(paths, experiment(tmp_path, *(make(name, "old") for name in "abcdx")))
    assert load_killed(tmp_path, moves) == -9
    assert all(set(one.after) <= {other.id for other in members(paths)} for one in members(paths))
    assert load_killed(tmp_path, 100) == 0
    counting = [one for one in current(members(paths)) if not one.was_cancelled]
    assert sorted(waiting(paths)) == [*"abcde"]
    assert {one.part.content for one in counting} == {"new"}
    ids = {one.part.name: one.id for one in counting}
    wanted = {"a": (ids["e"],), "b": (), "c": (ids["b"],), "d": (), "e": (ids["d"],)}
    assert {one.part.name: one.after for one in counting} == wanted
    for one in counting:
        assert os.readlink(one.part.log) == paths.first_log(one.id)


# -- links to logs


def test_links_to_the_logs_are_there_before_the_tasks_are(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    move = store.move

    def look(source: str, target: str) -> store.MoveResult:
        seen.append(os.path.islink(tmp_path / "logs" / "g" / "a.log"))
        return move(source, target)

    monkeypatch.setattr(store, "move", look)
    loaded = load_experiment(paths, experiment(tmp_path, make("a")))
    assert seen == [True]
    assert os.readlink(tmp_path / "logs" / "g" / "a.log") == paths.first_log(loaded.ids["a"])


def test_a_run_whose_log_was_removed_after_it_was_done_runs_again(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    runs = experiment(tmp_path, make("a"), make("b"))
    load_experiment(paths, runs)
    settle(paths, "a", State.DONE)
    settle(paths, "b", State.DONE)
    assert news(load_experiment(paths, runs)) == ["done", "done"]
    os.unlink(tmp_path / "logs" / "g" / "b.log")
    loaded = load_experiment(paths, runs)
    assert news(loaded) == ["done", "again"]
    assert os.readlink(tmp_path / "logs" / "g" / "b.log") == paths.first_log(loaded.ids["b"])


def test_what_is_no_link_of_ours_stays_and_is_told_of(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    directory = tmp_path / "logs" / "g"
    directory.mkdir(parents=True)
    (directory / "a.log").write_text("mine")
    (directory / "b.log").symlink_to(tmp_path / "elsewhere.txt")
    loaded = load_experiment(paths, experiment(tmp_path, make("a"), make("b"), make("c")))
    notes = {run.name: task.notes for run, task in loaded.queued}
    assert all("is there already and stays as it is" in notes[name][0] for name in "ab")
    assert notes["c"] == ()
    assert (directory / "a.log").read_text() == "mine"
    assert os.readlink(directory / "b.log") == str(tmp_path / "elsewhere.txt")
    settle(paths, "a", State.DONE)
    assert news(load_experiment(paths, experiment(tmp_path, make("a"), make("b"), make("c")))) == [
        "done",
        "waits",
        "waits",
    ]


def test_a_directory_for_links_that_cannot_be_made_is_told_of_and_its_runs_are_not_run_again_for_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    (tmp_path / "taken").write_text("")
    log = str(tmp_path / "taken" / "x" / "a.log")
    runs = experiment(tmp_path, make("a", log=log), make("b"))
    loaded = load_experiment(paths, runs)
    assert loaded.notes == (f"{tmp_path}/taken/x: no links to logs there: Not a directory",)
    assert [one.part.log for one in members(paths)] == ["", str(tmp_path / "logs" / "g" / "b.log")]
    settle(paths, "a", State.DONE)
    assert news(load_experiment(paths, runs)) == ["done", "waits"]


def test_a_directory_to_run_in_that_is_not_here_is_told_of(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    gone = str(tmp_path / "gone")
    runs = experiment(tmp_path, make("a"), make("b", cwd=gone), make("c", cwd=gone))
    assert load_experiment(paths, runs).notes == (f"{gone} is no directory here: cwd of b and 1 more",)
    assert load_experiment(paths, runs).notes == (), "of what waits it was told"


def test_a_filesystem_that_has_no_links_is_told_of_and_its_runs_are_not_run_again_for_it(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # so vfat does

    runs = experiment(tmp_path, make("a"))
    monkeypatch.setattr(os, "symlink", refuses)
    assert load_experiment(paths, runs).notes == (f"{tmp_path}/logs/g: no links to logs there: it has no links",)
    settle(paths, "a", State.DONE)
    assert news(load_experiment(paths, runs)) == ["done"]


@pytest.mark.parametrize("error", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_what_was_done_is_not_run_again_where_nobody_can_look_for_its_log(
    error: int, tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = experiment(tmp_path, make("a"))
    load_experiment(paths, runs)
    settle(paths, "a", State.DONE)
    looked = os.lstat

    def fails(path: str, **more: Any) -> os.stat_result:
        if str(path) == runs.runs[0].log:
            raise OSError(error, os.strerror(error), path)
        return looked(path, **more)

    monkeypatch.setattr(os, "lstat", fails)
    assert news(load_experiment(paths, runs)) == ["done"]


def test_what_was_queued_while_the_clock_was_ahead_hides_nothing_that_is_queued_later(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr(stamps._STAMPS, "_behind_s", 0.0)
    monkeypatch.setattr(stamps._STAMPS, "_last_ms", now_ms + 10_000_000)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    load_experiment(paths, experiment(tmp_path, make("a"), make("b")))
    stamps._STAMPS._last_ms = now_ms
    settle(paths, "a", State.DONE)
    changed = experiment(tmp_path, make("a", "echo changed"), make("b"))
    assert news(load_experiment(paths, changed)) == ["changed", "waits"]
    assert news(load_experiment(paths, changed)) == ["waits", "waits"]
    settle(paths, "a", State.DONE)
    assert news(load_experiment(paths, changed)) == ["done", "waits"]
    assert {one.part.content for one in current(members(paths))} == {"echo changed", "true"}


def test_a_link_that_led_nowhere_yet_is_taken_away_with_its_task(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("b")))
    load_experiment(paths, experiment(tmp_path, make("a")))
    assert os.listdir(tmp_path / "logs" / "g") == ["a.log"]


@pytest.mark.parametrize("tries", [1, 2])
def test_where_a_change_is_taken_back_before_it_ran_the_link_leads_to_the_log_of_what_was_done(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], tries: int
) -> None:
    first = load_experiment(paths, experiment(tmp_path, make("a"))).ids["a"]
    settle(paths, "a", State.DONE)
    index = {"tries": [{"try": tries, "token": "abcdef", "status": 0, "why": None, "final": True}]}
    Path(paths.tries_index(first)).write_text(json.dumps(index))
    load_experiment(paths, experiment(tmp_path, make("a", "else")))
    assert news(load_experiment(paths, experiment(tmp_path, make("a")))) == ["done"]
    log = f"{first}.log" if tries == 1 else f"{first}.try2.abcdef.log"
    assert os.readlink(tmp_path / "logs" / "g" / "a.log") == f"{paths.logs}/{log}"
    assert news(load_experiment(paths, experiment(tmp_path, make("a")))) == ["done"]
    assert os.listdir(tmp_path / "logs" / "g") == ["a.log"]


# -- which tasks there are


def test_of_the_tasks_of_a_run_the_last_that_was_not_cancelled_counts(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a")))
    settle(paths, "a", State.DONE)
    first = load_experiment(paths, experiment(tmp_path, make("a"))).ids["a"]
    second = load_experiment(paths, experiment(tmp_path, make("a")), again=True).ids["a"]
    assert [one.id for one in current(members(paths))] == [second]
    spool = Spool("exp", str(tmp_path / "queues"))
    assert all(spool.cancel(second))
    (counting,) = current(members(paths))
    assert counting.id == first
    assert {one.id: one.was_cancelled for one in members(paths)} == {first: False, second: True}


@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED])
def test_a_task_that_goes_back_while_it_is_looked_for_is_found(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    runs = experiment(tmp_path, make("a"), make("b"))
    load_experiment(paths, runs)
    (file,) = (one for one in os.listdir(paths.directory(State.PENDING)) if one.endswith("-a"))
    settle(paths, "a", state)
    look = find.look

    def back(where: SpoolPaths, which: State) -> list[Task]:
        seen = look(where, which)
        if which is State.PENDING and "a" not in waiting(
            paths
        ):  # an agent that leaves, or gpu_retry, right after that
            there = next(path for path in Path(paths.root).glob("[rf]*/**/*") if file in path.name)
            os.rename(there, f"{paths.directory(State.PENDING)}/{file}")
        return seen

    monkeypatch.setattr(known, "look", back)
    assert [one.part.name for one in members(paths)] == ["a", "b"]
    assert news(load_experiment(paths, runs)) == ["waits", "waits"]


def test_a_census_reads_each_record_once_and_follows_what_moves(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_experiment(paths, experiment(tmp_path, make("a"), make("b")))
    spool = Spool("exp", str(tmp_path / "queues"))
    other = spool.submit(__file__)
    census = Census(paths)
    assert len(census.members()) == 2
    read: list[str] = []

    def reads(where: SpoolPaths, task_id: str, allowed: frozenset[int] | None) -> object:
        read.append(task_id)
        return read_submission(where, task_id, allowed)

    monkeypatch.setattr("gpu_queue.experiments.known.read_submission", reads)
    settle(paths, "a", State.RUNNING)
    states = {one.part.name: one.state for one in census.members()}
    assert states == {"a": State.RUNNING, "b": State.PENDING}
    assert read == []
    assert other.id not in {one.id for one in census.members()}


@pytest.mark.parametrize(
    "said",
    [
        7,
        [],
        {"file": "/f", "name": ""},
        {"file": "a\0b", "name": "x"},
        {"file": 1, "name": "x"},
        {"file": "/f", "name": ["x"]},
    ],
)
def test_a_record_that_does_not_say_which_run_it_is_makes_no_member_and_hinders_nothing(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run], said: object
) -> None:
    loaded = load_experiment(paths, experiment(tmp_path, make("a"), make("b")))
    record = Path(paths.record(loaded.ids["a"]))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"experiment": said}))
    assert [one.part.name for one in members(paths)] == ["b"]
    submission = read_submission(paths, loaded.ids["a"], None)
    assert (submission.experiment, submission.problem, submission.name) == (None, "", "a")


def test_what_a_record_says_of_a_run_reaches_no_terminal_as_it_is(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    loaded = load_experiment(paths, experiment(tmp_path, make("a")))
    evil = "\x1b[2J" + "x" * 10_000
    part = {"file": "/f", "name": evil, "group": evil, "job": evil, "content": evil, "log": 3}
    part |= {"params": {evil: evil, "b": 7, "c": "1e-5"}}
    record = Path(paths.record(loaded.ids["a"]))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"experiment": part}))
    (member,) = members(paths)
    texts = (member.part.name, member.part.group, member.part.job, member.part.content, *sum(member.part.params, ()))
    assert all(text.isprintable() and len(text) <= 301 for text in texts)
    assert member.part.log == ""
    assert [value for _, value in member.part.params] == [texts[0], "1e-5"]


def test_members_do_not_wait_for_a_pipe_and_follow_no_link(
    tmp_path: Path, paths: SpoolPaths, make: Callable[..., Run]
) -> None:
    loaded = load_experiment(paths, experiment(tmp_path, *(make(name) for name in "abc")))
    for name, replace_with in (("a", os.mkfifo), ("b", lambda path: os.symlink(paths.record(loaded.ids["c"]), path))):
        os.unlink(paths.record(loaded.ids[name]))
        replace_with(paths.record(loaded.ids[name]))
    assert [one.part.name for one in members(paths)] == ["c"]


def test_a_queue_that_is_not_there_has_no_members(paths: SpoolPaths) -> None:
    assert members(paths) == []
