"""Records of tries and their index: what is written is read, and what does not fit is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import (
    MAX_TRIES_KEPT,
    MAX_TRY_NUMBER,
    TryRecord,
    encode_submission,
    read_submission,
    read_tries,
    read_try,
    write_submission,
    write_tries,
    write_try,
)
from gpu_queue.task import ArrayPart, BatchPart, Claim, End, ExperimentPart, Submission, TryResult, Why

TASK = "20260101T000000000-abcdef-x.sh"
CLAIM = Claim(0, TASK, 2, "0a0b0c")


@pytest.fixture
def paths(tmp_path: Path) -> SpoolPaths:
    (tmp_path / "records").mkdir()
    return SpoolPaths(str(tmp_path))


def test_the_record_of_a_try_is_read_as_it_was_written(paths: SpoolPaths) -> None:
    begun = TryRecord(CLAIM, "n1", ("GPU-3",), (3,), "x.sh", "/home/a\udcff", "2026-01-01T00:00:00Z")
    ended = replace(
        begun,
        ended_at="2026-01-01T00:01:00Z",
        duration_s=60.5,
        status=143,
        why=Why.STOPPED,
        outcome="stopped",
        reason="a person asked",
        to="failed",
        settled_by="n2",
    )
    for record in (begun, ended, TryRecord(CLAIM, "n1", status=0, outcome="succeeded", to="done", problem="none")):
        write_try(paths, record)
        assert read_try(paths, CLAIM) == record


@pytest.mark.parametrize("other", [{"token": "ffffff"}, {"id": TASK.replace("abcdef", "fedcba")}, {"token": None}])
def test_what_names_another_try_tells_nothing_of_this_one(paths: SpoolPaths, other: dict[str, object]) -> None:
    write_try(paths, TryRecord(CLAIM, "n1"))
    path = Path(paths.try_record(CLAIM))
    path.write_text(json.dumps({**json.loads(path.read_text()), **other}))
    assert read_try(paths, CLAIM) is None


def test_the_index_keeps_the_latest_tries(paths: SpoolPaths) -> None:
    tries = tuple(TryResult(number, f"{number:06x}", End(1), final=False) for number in range(1, MAX_TRIES_KEPT + 8))
    write_tries(paths, TASK, tries)
    assert read_tries(paths, TASK) == tries[7:]


@pytest.mark.parametrize(
    "wrong",
    [
        {"try": 0},
        {"try": MAX_TRY_NUMBER + 1},
        {"try": "1"},
        {"status": -1},
        {"status": 256},
        {"status": None},
        {"status": True},
        {"token": 7},
    ],
)
def test_an_entry_that_cannot_be_is_left_out_and_hinders_no_other(
    paths: SpoolPaths, wrong: dict[str, object]
) -> None:
    good = TryResult(1, "000001", End(255, Why.LOST), final=True, node="n1", reason="its shim died")
    write_tries(paths, TASK, (good, good))
    path = Path(paths.tries_index(TASK))
    index = json.loads(path.read_text())
    index["tries"][0] |= wrong
    path.write_text(json.dumps(index))
    assert read_tries(paths, TASK) == (good,)


def test_arguments_and_the_part_of_an_array_are_read_as_they_were_written(paths: SpoolPaths) -> None:
    array = ArrayPart(TASK, 6, 2, 10, 2, 5, 2)
    said = Submission(TASK, name="x.sh", arguments=("a b", "", "--lr=1e-3", "\udcff"), array=array)
    write_submission(paths, said)
    assert read_submission(paths, TASK, None) == said
    assert b"arguments" not in encode_submission(Submission(TASK))
    assert b"array" not in encode_submission(Submission(TASK))


def test_an_array_says_at_least_whose_part_a_task_is_and_which(paths: SpoolPaths) -> None:
    record = {"protocol": 1, "id": TASK, "array": {"job": TASK, "index": 3, "of": "later versions"}}
    Path(paths.record(TASK)).write_text(json.dumps(record))
    assert read_submission(paths, TASK, None) == Submission(TASK, array=ArrayPart(TASK, 3, 3, 3))


@pytest.mark.parametrize("wrong", ["a b", ["a", 1], {"0": "a"}, 7, ["a\0b"], ["\ud800"], [["a"]], True])
def test_arguments_that_are_none_are_left_out_as_a_whole_and_told(paths: SpoolPaths, wrong: object) -> None:
    Path(paths.record(TASK)).write_text(json.dumps({"protocol": 1, "id": TASK, "name": "x.sh", "arguments": wrong}))
    read = read_submission(paths, TASK, None)
    assert (read.name, read.arguments) == ("x.sh", ())
    assert read.problem == f"records/{TASK}.json: arguments is no list of texts that a program can be given"


@pytest.mark.parametrize(
    "wrong",
    [
        *("3", [], {}, {"job": TASK}, {"index": 3}, {"job": "../x", "index": 3}, {"job": TASK, "index": True}),
        *({"job": TASK, "index": 3, "min": 4}, {"job": TASK, "index": 3, "max": 2}, {"job": TASK, "index": -1}),
        *(
            {"job": TASK, "index": 3, "step": 0},
            {"job": TASK, "index": 3, "count": -1},
            {"job": TASK, "index": 2**31},
        ),
    ],
)
def test_what_is_no_part_of_an_array_hinders_nothing_else(paths: SpoolPaths, wrong: object) -> None:
    record = {"protocol": 1, "id": TASK, "arguments": ["a"], "needs": {"gpus": "2"}, "array": wrong}
    Path(paths.record(TASK)).write_text(json.dumps(record))
    read = read_submission(paths, TASK, None)
    assert (read.array, read.arguments, read.needs) == (None, ("a",), {"gpus": "2"})
    assert read.problem == f"records/{TASK}.json: array is no part of an array"


def test_the_block_of_a_command_file_is_read_as_it_was_written(paths: SpoolPaths) -> None:
    said = Submission(TASK, name="x.sh", batch=BatchPart("/a b/\udcff.txt", "multi", 2, 7, "0123456789abcdef"))
    write_submission(paths, said)
    assert read_submission(paths, TASK, None) == said
    assert b"batch" not in encode_submission(Submission(TASK))


def test_which_run_of_an_experiment_a_task_was_made_of_comes_back_as_it_was_written(paths: SpoolPaths) -> None:
    params = (("lr", "1e-5"), ("version", "3.10"), ("算法", "no"))
    part = ExperimentPart("/a b/\udcff.yaml", "g", "train", "训练_0", "0123abcd", "/l/\udcff.log", params)
    said = Submission(TASK, name="x", experiment=part)
    write_submission(paths, said)
    assert read_submission(paths, TASK, None) == said
    bare = replace(part, log="", params=())
    assert read_back(paths, Submission(TASK, experiment=bare)).experiment == bare
    assert b"experiment" not in encode_submission(Submission(TASK))


def read_back(paths: SpoolPaths, said: Submission) -> Submission:
    write_submission(paths, said)
    return read_submission(paths, TASK, None)


@pytest.mark.parametrize(
    "wrong", ["3", [], {}, {"file": "/a"}, {"position": 1}, {"file": 7, "position": 1}, {"file": "\0", "position": 1}]
)
def test_what_is_no_block_of_a_file_hinders_nothing_else(paths: SpoolPaths, wrong: object) -> None:
    Path(paths.record(TASK)).write_text(json.dumps({"id": TASK, "name": "x.sh", "batch": wrong}))
    assert read_submission(paths, TASK, None) == Submission(TASK, name="x.sh")


def test_what_was_noticed_of_a_try_that_runs_is_read(paths: SpoolPaths) -> None:
    running = TryRecord(CLAIM, "n1", ("GPU-3",), (3,), started_at="2026-01-01T00:00:00Z", reason="it uses GPU 1")
    write_try(paths, running)
    assert read_try(paths, CLAIM) == running
