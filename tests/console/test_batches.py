"""Batches: which tasks are of one, what they took as `gpu-queue report` says it, and when they will have ended."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.console.api import batches as api
from gpu_queue.console.batches.census import Census, key_of_file, key_of_group
from gpu_queue.console.batches.expecting import expected
from gpu_queue.console.batches.figuring import Figuring, commands_in
from gpu_queue.console.models.batches import BatchDetail, BatchList, BatchPlace
from gpu_queue.experiments.commandfiles.loading import Load, load_files
from gpu_queue.experiments.commandfiles.reading import read_command_files
from gpu_queue.experiments.known import members
from gpu_queue.experiments.progress.nouns import Phase
from gpu_queue.experiments.reporting import collecting, exports, whole
from gpu_queue.experiments.reporting.facts import RunFacts
from gpu_queue.experiments.reporting.figures import RunFigures
from gpu_queue.spool.desk.steering import cancel
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.task import ExperimentPart, State, Submission
from tests.console.asking import Asker
from tests.console.stage.batches import BLOCKS, COMMAND_FILE, GROUP
from tests.console.stage.past import Machine, make_past

NOW = 1_700_000_000.0


def made(base: Path) -> SpoolPaths:
    paths = SpoolPaths(str(base / "root" / "exp"))
    before = os.umask(0o077)
    make_spool(paths)
    os.umask(before)
    return paths


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SpoolPaths]:
    base = tmp_path_factory.mktemp("batches")
    paths = made(base)
    make_past(paths, [Machine("gpu1-00000001", 4)], time.time(), tasks=400)
    return base, paths


def settled(ask: Asker, path: str, **query: str) -> Any:
    """The reply once all is read."""
    replies = ask.all(*[(path, query)] * 8)
    last = replies[-1].json()
    assert last["unread"] == 0
    return last


def test_a_batch_is_told_as_the_report_tells_it(played: tuple[Path, SpoolPaths]) -> None:
    base, paths = played
    ask = Asker(str(base / "root"), api.router)
    told = BatchDetail.model_validate(settled(ask, f"spools/exp/batches/{key_of_group(GROUP)}"))
    tasks = collecting.collect(paths, members(paths, group=GROUP))
    report = whole.report(tasks, collecting.now_s(paths), time.time(), collecting.beats(paths, tasks))
    (group,) = report.groups
    assert told.params == ["lr", "seed"]
    assert [(one.name, one.state, one.tries) for one in told.runs] == [
        (run.name, run.phase.value, run.tries) for run in group.runs
    ]
    assert [one.ran_s for one in told.runs] == [run.ran_s for run in group.runs]
    assert told.batch.counts.model_dump() == {phase.value: count for phase, count in report.sum.counts.items()}
    assert told.batch.counts.failed > 0
    assert (told.sum.gpu_s, told.sum.failed_tries) == (report.sum.gpu_s, report.sum.failed_tries)
    assert told.sum.earlier_tasks == len(group.earlier) > 0
    assert told.expected is None
    table = ask(f"spools/exp/batches/{key_of_group(GROUP)}/csv")
    assert table.content == exports.as_csv(report)
    assert table.headers["content-disposition"] == f'attachment; filename="{GROUP}.csv"'


def test_all_batches_are_listed_and_each_task_knows_its_place(played: tuple[Path, SpoolPaths]) -> None:
    base, _ = played
    ask = Asker(str(base / "root"), api.router)
    listed = BatchList.model_validate(settled(ask, "spools/exp/batches"))
    by_key = {one.key: one for one in listed.batches}
    assert set(by_key) == {key_of_group(GROUP), key_of_file(COMMAND_FILE)}
    commands = by_key[key_of_file(COMMAND_FILE)]
    assert (commands.kind, commands.name) == ("commands", "command_gpu.txt")
    assert 1 < commands.runs <= BLOCKS
    detail = BatchDetail.model_validate(settled(ask, f"spools/exp/batches/{commands.key}"))
    assert detail.params == ["command"]
    number = int(detail.runs[0].name.rpartition("-")[2])
    assert detail.runs[0].params == [f"python merge.py --model ckpt/{number:02}; python push.py --to hub/{number:02}"]
    place = BatchPlace.model_validate(settled(ask, "spools/exp/batches/of", task=detail.runs[0].key))
    assert place.batch == commands
    assert 1 <= (place.number or 0) <= commands.runs
    assert not place.is_superseded
    other = settled(ask, "spools/exp/batches/of", task="20260101T000000000-0a0a0a-a.sh")
    assert other["batch"] is None
    missing = ask("spools/exp/batches/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_batch")


def test_a_command_file_that_waits_is_a_batch_and_what_is_cancelled_counts_as_that(tmp_path: Path) -> None:
    paths = made(tmp_path)
    file = tmp_path / "run_list" / "command_gpus.txt"
    file.parent.mkdir()
    file.write_text("1\npython a.py --seed 1\n2\n20\n\n1\npython a.py --seed 2\n2\n20\n\n2\npython b.py\n1\n10\n")
    loaded = load_files(paths, Load(tuple(read_command_files([str(file)]))))
    assert len(loaded.tasks) == 3
    cancel(paths, loaded.tasks[1])
    ask = Asker(str(tmp_path / "root"), api.router)
    told = BatchDetail.model_validate(settled(ask, f"spools/exp/batches/{key_of_file(os.path.realpath(file))}"))
    assert [(one.state, one.params) for one in told.runs] == [
        ("waiting", ["python a.py --seed 1"]),
        ("cancelled", ["python a.py --seed 2"]),
        ("waiting", ["python b.py"]),
    ]
    assert told.batch.counts.model_dump() == {"done": 0, "failed": 0, "cancelled": 1, "running": 0, "waiting": 2}
    assert told.batch.files == [os.path.realpath(file)]
    assert (told.sum.gpu_s, told.expected) == (None, None)


def test_what_has_settled_is_read_once(played: tuple[Path, SpoolPaths], monkeypatch: pytest.MonkeyPatch) -> None:
    _, paths = played
    seen = SnapshotReader(paths).refresh(time.monotonic())
    census, figuring = Census(paths), Figuring(paths)
    assert census.read(seen, 60) == 0
    batch = census.batches[key_of_group(GROUP)]
    found = census.members(batch, seen)
    assert figuring.of(found, time.time(), 60).unread == frozenset()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(collecting, "facts_of", refuse)
    assert figuring.of(census.members(batch, seen), time.time()).report.sum.runs > 30


def test_where_there_is_no_time_states_are_told_and_the_rest_later(played: tuple[Path, SpoolPaths]) -> None:
    _, paths = played
    seen = SnapshotReader(paths).refresh(time.monotonic())
    ticks = iter(range(1_000_000))
    census, figuring = Census(paths, lambda: next(ticks)), Figuring(paths, lambda: next(ticks))
    left = census.read(seen, 10)
    assert left > 0
    assert census.read(seen, 1e6) == 0
    found = census.members(census.batches[key_of_group(GROUP)], seen)
    figured = figuring.of(found, time.time(), 5)
    assert 0 < len(figured.unread) < len(found)
    assert figured.report.sum.counts[Phase.DONE] > 0


def run(number: int, phase: Phase, took_s: float | None = None, queue: str | None = None) -> RunFigures:
    state = {Phase.DONE: State.DONE, Phase.RUNNING: State.RUNNING, Phase.WAITING: State.PENDING}[phase]
    part = ExperimentPart("/f", "g", "train", f"r{number}", "")
    said = Submission(f"t{number}", needs={"queue": queue} if queue else {}, experiment=part)
    return RunFigures(RunFacts(said, state), phase, last_ran_s=took_s)


def test_what_is_left_is_expected_to_take_what_its_like_has_taken() -> None:
    done = [run(number, Phase.DONE, 100) for number in range(3)]
    left = [run(3, Phase.RUNNING, 40), run(4, Phase.RUNNING, 40), *(run(one, Phase.WAITING) for one in range(5, 9))]
    order = {f"t{number}": number for number in range(5, 9)}
    told = expected([*done, *left], "experiment", order, 2, NOW)
    assert told is not None
    assert (told.until - NOW, told.is_least) == (60 + 200, False)
    assert expected([*done[:2], *left], "experiment", order, 2, NOW) is None, "too few have ended"
    assert (
        expected([run(0, Phase.DONE, 10), run(1, Phase.DONE, 100), *done, *left], "experiment", order, 2, NOW) is None
    )
    serial = [run(3, Phase.RUNNING, 40, "q"), *(run(one, Phase.WAITING, None, "q") for one in range(5, 9))]
    told = expected([*done, *serial], "commands", order, 4, NOW)
    assert told is not None
    assert told.until - NOW == 60 + 400


def test_commands_are_found_in_the_script_that_was_made_of_them() -> None:
    script = "#!/bin/sh\nexport A=1\nbash -c 'python a.py --name '\"'\"'x y'\"'\"'' || exit\nbash -c 'b' || exit\n"
    assert commands_in(script) == "python a.py --name 'x y'; b"
    assert commands_in("python a.py\nbash -c 'open\nquote' || exit\n") == ""
