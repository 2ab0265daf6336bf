"""What is known of tasks, from a spool in which anything may lie, and in which tasks move meanwhile."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from gpu_queue.experiments.known import members
from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.reporting.collecting import beats, collect, now_s
from gpu_queue.experiments.reporting.facts import RunFacts
from gpu_queue.experiments.reporting.tables import table
from gpu_queue.experiments.reporting.whole import report
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.spool.paths import SpoolPaths, claim_name
from gpu_queue.spool.records import TryRecord, write_tries, write_try
from gpu_queue.task import Claim, End, State, TryResult
from gpu_queue.units import format_utc


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    return SpoolPaths(str(tmp_path / "queues" / "exp"))


def load(paths: SpoolPaths, *names: str, content: str = "1", again: bool = False) -> None:
    runs = tuple(Run(name, "job", "g", "#!/bin/sh\ntrue\n", content, memory="1G") for name in names)
    load_experiment(paths, Experiment("/home/a/g.yaml", "/home/a/g.yaml", runs), again=again)


def known(paths: SpoolPaths) -> list[RunFacts]:
    return collect(paths, members(paths))


def move(paths: SpoolPaths, task_id: str, state: State, claim: Claim | None = None) -> None:
    """As an agent does."""
    target = f"{paths.directory(state)}/500-{task_id}"
    if claim is not None:
        os.makedirs(paths.running("n1"), exist_ok=True)
        target = f"{paths.running('n1')}/{claim_name(claim)}"
    os.rename(f"{paths.directory(State.PENDING)}/500-{task_id}", target)


def done(paths: SpoolPaths, task_id: str, took_s: float = 5.0) -> Claim:
    claim = Claim(500, task_id, 1, "abcdef")
    at = format_utc(time.time())
    begun = TryRecord(claim, node="n1", gpus=("GPU-0",), started_at=at, ended_at=at, duration_s=took_s)
    write_try(paths, TryRecord(**{**vars(begun), "status": 0, "outcome": "succeeded", "to": "done"}))
    move(paths, task_id, State.DONE)
    return claim


def test_runs_stand_in_the_order_in_which_they_were_queued_first_and_the_last_task_of_each_counts(
    paths: SpoolPaths,
) -> None:
    load(paths, "a", "b", "c")
    first = {one.part.name: one.id for one in members(paths)}
    done(paths, first["a"])
    load(paths, "a", "b", "c", content="2")
    told = [(one.submission.name, one.is_current, one.state) for one in known(paths)]
    assert told == [
        ("a", False, State.DONE),
        ("a", True, State.PENDING),
        ("b", False, State.FAILED),
        ("b", True, State.PENDING),
        ("c", False, State.FAILED),
        ("c", True, State.PENDING),
    ]
    (group,) = report(known(paths), time.time(), time.time()).groups
    assert [one.name for one in group.runs] == ["a", "b", "c"]
    assert [one.name for one in group.earlier] == ["a"], "the others never began"


def test_a_claim_without_a_record_runs_and_one_with_it_has_begun(paths: SpoolPaths) -> None:
    load(paths, "a", "b")
    claims = [Claim(500, one.id, 1, f"{number:06x}") for number, one in enumerate(members(paths))]
    for claim in claims:
        move(paths, claim.task_id, State.RUNNING, claim)
    began_s = time.time() - 60
    write_try(paths, TryRecord(claims[1], node="n1", gpus=("GPU-0",), started_at=format_utc(began_s)))
    os.utime(paths.try_record(claims[1]), (began_s, began_s))
    os.utime(paths.record(claims[1].task_id), (began_s - 30, began_s - 30))
    starting, running = known(paths)
    assert [(one.is_live, one.started_s is None, one.gpus) for one in starting.tries] == [(True, True, None)]
    assert [(one.is_live, one.gpus) for one in running.tries] == [(True, 1)]
    made = report([running], time.time(), time.time()).groups[0].runs[0]
    assert made.ran_s == pytest.approx(60, abs=20)


def test_the_index_tells_of_tries_whose_records_are_gone(paths: SpoolPaths) -> None:
    load(paths, "a")
    (one,) = members(paths)
    write_tries(paths, one.id, (TryResult(1, "abcdef", End(1), True, error_type="oom"),))
    move(paths, one.id, State.FAILED)
    (facts,) = known(paths)
    assert [(tried.outcome, tried.error_type, tried.duration_s) for tried in facts.tries] == [
        ("failed(1)", "oom", None)
    ]


def spoil(path: str, how: str, tmp_path: Path) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    if how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        os.symlink(str(tmp_path / "secret"), path)
    elif how == "directory":
        os.mkdir(path)
    elif how == "huge":
        Path(path).write_text(json.dumps({"x": "y" * 100_000}))
    elif how == "bytes":
        Path(path).write_bytes(b"\xff\xfe{\x00")
    elif how == "types":
        odd = {"duration_s": "long", "gpus": 7, "gpu_usage": [3, {"gpu": 1, "samples": -5}], "started_at": ["x"]}
        Path(path).write_text(json.dumps(odd | {"id": Path(path).name.split(".try")[0], "token": "abcdef"}))


@pytest.mark.parametrize("how", ["fifo", "link", "directory", "huge", "bytes", "types", "gone"])
def test_records_that_are_none_are_waited_for_by_nobody_and_hinder_nothing(
    paths: SpoolPaths, tmp_path: Path, how: str
) -> None:
    load(paths, "a", "b")
    first, second = members(paths)
    claims = [done(paths, first.id), done(paths, second.id)]
    (tmp_path / "secret").write_text('{"node": "secret"}')
    spoil(paths.try_record(claims[0]), how, tmp_path)
    spoil(paths.tries_index(first.id), how, tmp_path)
    one, other = known(paths)
    assert [tried.duration_s for tried in one.tries] in ([], [None])
    assert [tried.duration_s for tried in other.tries] == [5]
    rows = list(table(report([one, other], time.time(), time.time()), 80))
    assert "secret" not in "".join(rows)


def test_what_is_forgotten_while_it_is_looked_at_is_not_known(paths: SpoolPaths) -> None:
    load(paths, "a")
    (one,) = found = members(paths)
    claim = done(paths, one.id)
    for path in (paths.record(one.id), paths.try_record(claim), f"{paths.directory(State.DONE)}/500-{one.id}"):
        os.unlink(path)
    (facts,) = collect(paths, found)
    assert (facts.tries, facts.submitted) == ((), None)


def test_now_is_the_storages_and_ours_where_nothing_may_be_written(paths: SpoolPaths) -> None:
    load(paths, "a")
    assert now_s(paths) == pytest.approx(time.time(), abs=5)
    assert now_s(SpoolPaths("/proc/nowhere")) == pytest.approx(time.time(), abs=5)
    assert not [name for name in os.listdir(paths.control) if name.startswith(".now")]


def test_a_nodes_page_tells_of_its_clock_and_a_strange_nodes_name_is_no_path(
    paths: SpoolPaths, tmp_path: Path
) -> None:
    load(paths, "a", "b", "c")
    at = time.time()
    page = json.dumps({"beat_at": format_utc(at + 100)})
    Path(paths.node_json("n1")).write_text(page)
    (tmp_path / "secret.json").write_text(page)
    os.mkfifo(paths.node_json("n2"))
    for node, one in zip(("n1", "n2", "../../../secret"), members(paths), strict=True):
        done(paths, one.id)
        record = TryRecord(Claim(500, one.id, 1, "abcdef"), node=node, status=0, started_at=format_utc(at))
        write_try(paths, record)
    (beat,) = beats(paths, known(paths))
    assert beat.by == "n1"
    assert beat.at_s - beat.stored_s == pytest.approx(100, abs=20)
