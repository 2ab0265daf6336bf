"""What stands there when all has ended, and what is asked at Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.experiments.progress.lines import UNICODE, Glyphs, line_width, text_of
from gpu_queue.experiments.progress.model import advance
from gpu_queue.experiments.progress.nouns import Progress, Queue, Standing
from gpu_queue.experiments.progress.summary import left_running, question, says_yes, stopped, summary_lines
from gpu_queue.task import State
from tests.experiments.progress.golden import compare
from tests.experiments.progress.samples import (
    NOW,
    SERVING,
    a_run,
    an_experiment,
    done,
    failed,
    halfway,
    runs,
    task_id,
    waits,
)
from tests.experiments.progress.test_drawing import HOSTILE

QUEUE = Queue("/data/my jobs/.gpu-queue", "jobs", logs=("logs/multi_seed", "logs/gamma_sensitivity"))
COMMAND = "gpu-queue run jobs.yaml"


def ended(log: str) -> Progress:
    """All of it has ended: 26 are done, one ran out of memory, one out of time, one was taken out."""
    half = halfway(log)
    before = advance(half.experiment, half.first, NOW - 1500, agent=SERVING)
    now = {run.name: done(place, 180.0 + 3 * place) for place, run in enumerate(half.experiment.runs)}
    now["cifar10_fedavg_s0"] = replace(
        failed(12, 201.0, log=log), link="logs/multi_seed/cifar10_fedavg_s0.log", tries=2, failures=2
    )
    now["gamma_1e-3"] = replace(failed(103, 600.0, "timeout", "timeout"), gpu_s=1200.0, gpus=(0, 1))
    now["gamma_0"] = Standing(task_id(100), State.FAILED)
    now["table"] = Standing(
        task_id(24), State.FAILED, tries=1, outcome="refused", problem="dependency cifar10_fedavg_s0 (c18cda) failed"
    )
    return advance(half.experiment, now, NOW, agent=SERVING, before=before)


def texts(progress: Progress, columns: int = 100, queue: Queue = QUEUE, glyphs: Glyphs = UNICODE) -> list[str]:
    return [text_of(line) for line in summary_lines(progress, queue, columns, glyphs)]


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_the_summary_is_as_it_was(tmp_path: Path, columns: int) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "epoch 7\nTraceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory.\n==== exit 1\n"
    )
    lines = summary_lines(ended(str(log)), QUEUE, columns, UNICODE)
    table = [line for line in lines if text_of(line).startswith(("GROUP", "multi_seed", "gamma_sens", "all"))]
    assert len(table) == 4
    assert [line for line in table if line_width(line) > columns] == []
    compare(f"summary-{columns}.txt", lines)


def test_gpu_hours_are_told_only_where_those_of_all_tries_are_known() -> None:
    two = an_experiment(a_run("a"), a_run("b"))
    known = advance(two, {"a": done(1, 3600), "b": done(2, 1800, gpus=2)}, NOW)
    assert "2.00" in "".join(texts(known))
    unknown = advance(two, {"a": done(1, 3600), "b": replace(done(2, 1800), gpu_s=None)}, NOW)
    assert "GPU-HOURS" not in "".join(texts(unknown))


def test_nobody_measured_is_a_dash_and_nothing_is_slowest_of_three() -> None:
    found = texts(advance(an_experiment(a_run("a")), {"a": replace(done(1, 0), ran_s=None, gpu_s=None)}, NOW))
    assert found[:2] == [
        "GROUP       RUNS  DONE  FAILED  TIME  MEDIAN RUN",
        "multi_seed     1     1       0     -           -",
    ]
    assert len(found) == 4


def test_without_a_failure_there_are_no_commands() -> None:
    found = texts(advance(an_experiment(a_run("a")), {"a": done(1, 3)}, NOW))
    assert not any("gpu_" in line or "export" in line for line in found)
    assert found[-2:] == ["Logs: logs/multi_seed, logs/gamma_sensitivity", "1 of 1 done; 0s"]


def test_a_shell_that_means_this_queue_already_needs_no_export() -> None:
    progress = advance(an_experiment(a_run("a")), {"a": failed(1, 3)}, NOW)
    assert any("export QUEUE_ROOT='/data/my jobs/.gpu-queue' JOB_ID=jobs" in line for line in texts(progress))
    assert not any("export" in line for line in texts(progress, queue=replace(QUEUE, is_set=True)))


def test_of_hundreds_of_failures_fifty_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("no data\n")
    names = [a_run(f"r{place}") for place in range(200)]
    found = {run.name: failed(place, 3, log=str(tmp_path / "a.log")) for place, run in enumerate(names)}
    lines = texts(advance(an_experiment(*names), found, NOW))
    assert sum(line.startswith("FAILED") for line in lines) == 50
    assert sum("no data" in line for line in lines) == 50
    assert "… and 150 more; gpu-queue report lists them" in lines


def test_hostile_names_are_text_in_the_summary_too() -> None:
    names = [a_run(name, name) for name in HOSTILE]
    found = {run.name: replace(failed(place, 3), link="\x1b[2J") for place, run in enumerate(names)}
    queue = replace(QUEUE, root="/x\x1b[2J\n", logs=("\x1b[H",))
    progress = advance(an_experiment(*names), found, NOW)
    for glyphs in (UNICODE, Glyphs.of("ascii")):
        lines = texts(progress, 80, queue, glyphs)
        assert all(line.isprintable() for line in lines)
        "".join(lines).encode(glyphs.encoding)


# -- Ctrl-C


def test_what_is_asked_at_ctrl_c() -> None:
    progress = halfway().progress()
    assert question(progress) == "4 running and 12 waiting. Leave it running without this screen? [Y/n] "
    assert left_running(progress, COMMAND) == f"It goes on: 4 running and 12 waiting. Look again with: {COMMAND}"
    one = advance(an_experiment(a_run("a"), a_run("b")), {"a": waits(1), "b": done(2, 3)}, NOW)
    assert question(one).startswith("1 waiting. ")
    assert stopped(one, COMMAND) == f"Stopped; 1 run left. Go on with: {COMMAND}"


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("", True), ("y\n", True), ("yes", True), ("?", True), ("n\n", False), (" No", False)]
)
def test_only_a_clear_no_stops_anything(answer: str, goes_on: bool) -> None:
    assert says_yes(answer) is goes_on


def test_what_still_runs_when_one_leaves_stands_in_the_table() -> None:
    found = texts(advance(an_experiment(a_run("a"), a_run("b")), {"a": runs(1, 3, 0), "b": waits(2)}, NOW))
    assert found[0].split() == ["GROUP", "RUNS", "DONE", "FAILED", "LEFT", "TIME", "MEDIAN", "RUN"]
    assert found[1].split()[4] == "2"
